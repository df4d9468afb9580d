"""Merge presets, a TOML file and overrides into one configuration.

Later sources override earlier ones: defaults, presets in the given order, the file, options of the
command line, `--set`. A preset is a method of a paper or a recipe for a corpus. Methods are
changes to the plain VAE, so that they can be combined; the defaults are those of the method `mine`.
"""

__all__ = [
    "check_resumable",
    "describe_preset",
    "differences",
    "flattened",
    "preset_kind",
    "preset_names",
    "preset_text",
    "read_config",
    "template",
]

import glob
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path

from pydantic import BaseModel, ValidationError

from .. import limits
from ..errors import ConfigError, cut
from ..schema import NONE
from .data import PATHS
from .messages import explain, suggestion
from .run import RunConfig
from .toml import Table, read_toml, toml_text, toml_value

BASELINE = "vae"  # the preset below all methods
RECURRENT = ("lstm", "gru")  # kinds with the same settings
SHARED_KEYS = ("pooling", "word_dropout")  # settings that a change of kind keeps
CHANGEABLE = {  # settings that a resumed run may change, besides objective.*
    "name",
    "device",
    "critic.clip",
    "critic.learning_rate",
    "critic.steps",
    "critic.xi_decay",
    "evaluation.iw_samples",
    "evaluation.seed",
    "training.batch_size",
    "training.cooldown_epochs",
    "training.epochs",
    "training.graphs",
    "training.keep",
    "training.log_every",
    "training.max_bad_batches",
    "training.max_decays",
    "training.max_norm",
    "training.optimizer.learning_rate",
    "training.optimizer.word_learning_rate",
    "training.patience",
    "training.report",
    "training.save_minutes",
}


def read_config(
    presets: str | Sequence[str] = (),
    file: Path | None = None,
    options: Mapping[str, object] | None = None,
    overrides: Sequence[str] = (),
    base: RunConfig | None = None,
) -> RunConfig:
    """Returns the configuration merged from the given sources.

    Arguments:
        presets: A preset, or several, merged from left to right.
        file: A TOML file; relative paths in it are relative to its folder.
        options: Values by dotted key; None stands for an option not given.
        overrides: Texts of the form `section.key=value`, the value as in TOML.
        base: By default the defaults or, if a preset is a method, the plain VAE.

    Raises:
        ConfigError: A preset or key does not exist, or a value is invalid.
    """
    presets = [presets] if isinstance(presets, str) else list(presets)
    table: Table = (base or RunConfig()).model_dump(mode="json")
    if base is None and any(preset_kind(name) == "method" for name in presets):
        table = _merged(table, _settings(tomllib.loads(preset_text(BASELINE))))
    for name in presets:
        table = _merged(table, _settings(tomllib.loads(preset_text(name))))
    if presets:
        table["name"] = "+".join(presets)
    if file is not None:
        table = _merged(table, _located(_settings(read_toml(file)), file.parent))
    for key, value in (options or {}).items():
        if value is not None:
            table = _merged(table, _nested(key, value))
    for text in overrides:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not all(key.split(".")) or "\n" in value or "\r" in value:
            raise ConfigError(f"--set {cut(text, 80)}: expected section.key=value on one line")
        table = _merged(table, _nested(key, toml_value(value)))
    try:
        return RunConfig.model_validate(table)
    except ValidationError as error:
        raise ConfigError(explain(error)) from error


def preset_names() -> list[str]:
    """Returns the names of all presets."""
    folder = resources.files(__package__) / "presets"
    names = (entry.name for entry in folder.iterdir())
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def preset_text(name: str) -> str:
    """Returns the TOML text of a preset.

    Raises:
        ConfigError: There is no such preset.
    """
    if name not in preset_names():
        hint = suggestion(name, preset_names()) or "."
        raise ConfigError(
            f"unknown preset '{cut(name, 80)}'{hint} List all presets with: mivae presets"
        )
    file = resources.files(__package__) / "presets" / f"{name}.toml"
    return file.read_text(encoding="utf-8")


def describe_preset(name: str) -> str:
    """Returns the one-line description of a preset."""
    return str(tomllib.loads(preset_text(name))["description"])


def preset_kind(name: str) -> str:
    """Returns the kind of a preset: method or recipe."""
    return str(tomllib.loads(preset_text(name))["kind"])


def differences(before: RunConfig, after: RunConfig) -> dict[str, str]:
    """Returns a text with both values of each setting that differs, by dotted key."""
    first, second = flattened(before), flattened(after)
    keys = sorted(first.keys() | second.keys())
    return {
        key: f"{key} from {first.get(key)!r} to {second.get(key)!r}"
        for key in keys
        if first.get(key) != second.get(key)
    }


def flattened(config: RunConfig) -> Table:
    """Returns the values of a configuration by dotted key."""
    return dict(_leaves(config.model_dump(), ""))


def check_resumable(before: RunConfig, after: RunConfig) -> None:
    """Raises ConfigError, naming the settings, if a run cannot be resumed with changed settings.

    Settings of the loop, the device and the objective can change. Settings that determine the
    data, the model or the optimizer's state cannot.
    """
    fixed = [
        text
        for key, text in differences(before, after).items()
        if not (key in CHANGEABLE or key.startswith("objective."))
    ]
    if fixed:
        raise ConfigError(
            f"cannot resume with changed settings ({'; '.join(fixed)}). Resume without them, or "
            "train a new run."
        )
    old, new = before.objective, after.objective
    weighted = old.mi_weight > 0
    if weighted != (new.mi_weight > 0):
        raise ConfigError(
            f"cannot resume with 'objective.mi_weight' changed from {old.mi_weight:g} to "
            f"{new.mi_weight:g}: only a positive weight has a critic. Resume without it, or train "
            "a new run."
        )
    if weighted and old.mi_bound != new.mi_bound:
        raise ConfigError(
            f"cannot resume with 'objective.mi_bound' changed from {old.mi_bound!r} to "
            f"{new.mi_bound!r}: the checkpoint has the state of the old bound only. Resume without "
            "it, or train a new run."
        )


def template(config: RunConfig) -> str:
    """Returns a configuration as TOML, with a comment for each setting."""
    lines = ["# All settings of a run. Delete the settings that you do not change."]
    _write_table(config, "", lines)
    return "\n".join(lines) + "\n"


def _write_table(model: BaseModel, prefix: str, lines: list[str]) -> None:
    tables = []
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            tables.append((name, value, field.description))
            continue
        lines += [f"# {field.description}"] if field.description else []
        lines.append(f"{name} = {toml_text(NONE if value is None else value)}")
    for name, value, description in tables:
        lines += ["", *([f"# {description}"] if description else []), f"[{prefix}{name}]"]
        _write_table(value, f"{prefix}{name}.", lines)


def _merged(base: Table, layer: Table) -> Table:
    """Returns a table with the values of a layer; a layer of another kind replaces the table."""
    merged = dict(base)
    for key, value in layer.items():
        below = merged.get(key)
        if not (isinstance(value, dict) and isinstance(below, dict)):
            merged[key] = value
        elif "kind" in value and value["kind"] != below.get("kind"):
            merged[key] = _kept(below, value["kind"]) | value
        else:
            merged[key] = _merged(below, value)
    return merged


def _kept(below: Table, kind: object) -> Table:
    """Returns the settings of a table that also apply to another kind."""
    if kind in RECURRENT and below.get("kind") in RECURRENT:
        return below
    return {key: below[key] for key in SHARED_KEYS if key in below}


def _leaves(table: Table, prefix: str) -> Iterator[tuple[str, object]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _nested(key: str, value: object) -> Table:
    parts = key.split(".")
    if len(parts) > limits.MAX_KEY_PARTS:
        raise ConfigError(f"unknown setting '{cut(key, 80)}'")
    for part in reversed(parts):
        value = {part: value}
    assert isinstance(value, dict)
    return value


def _located(table: Table, folder: Path) -> Table:
    """Returns settings with paths made absolute, relative to a folder."""
    data = table.get("data")
    if not isinstance(data, dict):
        return table
    paths = {key: _absolute(data[key], folder.resolve()) for key in PATHS if key in data}
    return {**table, "data": {**data, **paths}}


def _absolute(value: object, folder: Path) -> object:
    """Returns a path or a list of paths relative to a folder; leaves anything else unchanged."""
    if isinstance(value, list):
        return [_absolute(each, folder) for each in value]
    if not isinstance(value, str) or value in ("", "-"):
        return value
    if glob.has_magic(value) and not os.path.lexists(folder / value):
        folder = Path(glob.escape(str(folder)))
    return str(folder / value)


def _settings(table: Table) -> Table:
    """Returns the settings in a table; the other keys describe a preset."""
    return {key: value for key, value in table.items() if key not in ("kind", "description")}
