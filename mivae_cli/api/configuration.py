"""Settings of a run: presets, TOML files and single values."""

__all__ = ["checked_settings", "config_template", "list_presets", "plain_value", "read_config"]

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

from ..config import resolve
from ..config.run import RunConfig
from ..errors import ConfigError, cut


def read_config(
    presets: str | Sequence[str] = (),
    settings: Mapping[str, object] | None = None,
    *,
    file: str | Path | None = None,
) -> RunConfig:
    """Returns the settings that `train` would use; the settings of a run are `run.config`.

    Later sources override earlier ones: defaults, presets, file, settings.

    Arguments:
        presets: A preset (`list_presets`), or several, merged from left to right.
        settings: Values by key, such as `{"training.epochs": 5}`.
        file: A TOML file.

    Raises:
        ConfigError: A preset, key or value does not exist.

    >>> mivae.read_config(["mine"], {"training.epochs": 5}).training.epochs
    5
    """
    path = None if file is None else Path(file)
    return resolve.read_config(presets, path, checked_settings(settings))


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


def checked_settings(settings: Mapping[str, object] | None) -> dict[str, object]:
    """Returns settings as plain Python values.

    Raises:
        ConfigError: The settings do not map keys to values.
    """
    settings = {} if settings is None else settings
    if not (isinstance(settings, Mapping) and all(isinstance(key, str) for key in settings)):
        raise ConfigError(
            f"settings is {cut(repr(settings))}, but must be values by key, such as "
            '{"training.epochs": 5}'
        )
    return {key: plain_value(value) for key, value in settings.items()}


def plain_value(value: object) -> object:
    """Returns the Python value of a NumPy scalar or array, and the string of a path."""
    if isinstance(value, PurePath):
        return str(value)
    return value.tolist() if hasattr(value, "tolist") else value
