"""The command that trains a run again, derived from its settings."""

__all__ = ["training_command"]

import shlex
from collections.abc import Iterator
from pathlib import Path

from ..config.data import PATHS
from ..config.resolve import flattened, preset_names, read_config
from ..config.run import RunConfig
from ..config.toml import toml_text, toml_value
from ..errors import ConfigError
from ..schema import NONE

LONGEST = 2000  # characters of a command


def training_command(config: RunConfig) -> str:
    """Returns a command whose settings are those of a run; empty if there is none or no text file.

    Names of text files are without their folders, which a shared page need not tell. The presets
    are those in the name of the run, if they exist in this version.
    """
    if config.data.train in ("", "-"):
        return ""
    try:
        presets = _presets(config)
        overrides = [*_overrides(config, presets)]
        if _with_paths_of(config, read_config(presets, overrides=overrides)) != config:
            return ""
    except ConfigError:  # settings of another version
        return ""
    words = ["mivae", "train", *map(_file, config.data.train_paths)]
    for preset in presets:
        words += ["--preset", preset]
    for key in ("valid", "test"):
        if path := getattr(config.data, key):
            words += [f"--{key}", _file(path)]
    for text in overrides:
        words += ["--set", text]
    command = shlex.join(words)
    return command if len(command) <= LONGEST and command.isprintable() else ""


def _presets(config: RunConfig) -> list[str]:
    """Returns the presets that the name of a configuration consists of, or else none."""
    names, known = config.name.split("+"), set(preset_names())
    return names if known.issuperset(names) else []


def _overrides(config: RunConfig, presets: list[str]) -> Iterator[str]:
    """Yields the settings that differ from those of the presets, kinds first."""
    own, given = flattened(config), flattened(read_config(presets))
    kinds = [key for key in own if key.endswith(".kind") and own[key] != given.get(key)]
    yield from (_override(key, own[key]) for key in kinds)
    given = flattened(read_config(presets, overrides=[_override(k, own[k]) for k in kinds]))
    for key, value in own.items():
        if key.removeprefix("data.") in PATHS and key.startswith("data."):
            continue
        if key not in kinds and (key not in given or given[key] != value):
            yield _override(key, value)


def _override(key: str, value: object) -> str:
    """Returns a setting for `--set`, where a string needs no quotes if it stands for itself."""
    plain = isinstance(value, str) and value == value.strip() and toml_value(value) == value
    return f"{key}={value if plain else toml_text(NONE if value is None else value)}"


def _with_paths_of(config: RunConfig, other: RunConfig) -> RunConfig:
    """Returns another configuration with the text paths of a configuration."""
    paths = {key: getattr(config.data, key) for key in PATHS}
    return other.model_copy(update={"data": other.data.model_copy(update=paths)})


def _file(path: str) -> str:
    """Returns the name of a text file without its folder, and not like an option."""
    name = Path(path).name
    return f"./{name}" if name.startswith("-") else name
