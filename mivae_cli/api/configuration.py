"""Settings of a run: presets, TOML files and single values."""

__all__ = ["config_template", "list_presets", "read_config"]

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..config import resolve
from ..config.run import RunConfig


def read_config(
    presets: Sequence[str] = (),
    settings: Mapping[str, object] | None = None,
    *,
    file: str | Path | None = None,
) -> RunConfig:
    """Returns the settings that `train` would use; the settings of a run are `run.config`.

    Later sources override earlier ones: defaults, presets, file, settings.

    Arguments:
        presets: Names of presets (`list_presets`), merged from left to right.
        settings: Values by key, such as `{"training.epochs": 5}`.
        file: A TOML file.

    Raises:
        ConfigError: A preset, key or value does not exist.

    >>> mivae.read_config(["mine"], {"training.epochs": 5}).training.epochs
    5
    """
    return resolve.read_config(presets, None if file is None else Path(file), settings)


def list_presets() -> dict[str, str]:
    """Returns the description of each preset by name.

    >>> "mine" in mivae.list_presets()
    True
    """
    return {name: resolve.describe_preset(name) for name in resolve.preset_names()}


def config_template(config: RunConfig) -> str:
    """Returns settings as TOML, with an explanation of each key.

    >>> text = mivae.config_template(mivae.read_config(["mine"]))
    >>> "[training]" in text
    True
    """
    return resolve.template(config)
