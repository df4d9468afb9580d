"""From presets, a TOML file and overrides to one resolved configuration.

Later sources win: the defaults, then presets in the order they are named, then the file, then
options of the command line, then `--set`. A preset is a method of a paper or a recipe for a corpus.
Methods are changes to the plain VAE, which is laid below them, so that they can be combined; the
defaults themselves are the method `mine`.
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

import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from pydantic import BaseModel, ValidationError

from .. import limits
from ..errors import ConfigError
from ..schema import NONE
from .data import TEXTS
from .messages import cut, explain, suggestion
from .run import RunConfig
from .toml import Table, read_toml, toml_text, toml_value

PLAIN = "vae"  # the preset that all other methods change
RECURRENT = ("lstm", "gru")  # kinds of networks whose settings are the same
OF_METHODS = ("pooling", "word_dropout")  # what a method says of a network of any kind
CHANGEABLE = {
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
    "training.save_minutes",
}


def read_config(
    presets: Sequence[str] = (),
    file: Path | None = None,
    options: Mapping[str, object] | None = None,
    overrides: Sequence[str] = (),
    base: RunConfig | None = None,
) -> RunConfig:
    """Returns the configuration that these sources make together.

    Arguments:
        presets: Names of presets, merged from left to right.
        file: A TOML file of the same form. Paths in it are taken from its own folder and made absolute.
        options: Values by dotted key; None stands for an option not given.
        overrides: Texts of the form `section.key=value`, the value as in TOML.
        base: What all of these are laid over; by default the defaults, and below a method the
            plain VAE.

    Raises:
        ConfigError: A preset, key or value is not one that exists.
    """
    table: Table = (base or RunConfig()).model_dump(mode="json")
    if base is None and any(preset_kind(name) == "method" for name in presets):
        table = _merged(table, _preset(PLAIN))
    for name in presets:
        table = _merged(table, _preset(name))
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
            raise ConfigError(f"--set {cut(text)}: write it as section.key=value, on one line")
        table = _merged(table, _nested(key, toml_value(value)))
    try:
        return RunConfig.model_validate(table)
    except ValidationError as error:
        raise ConfigError(explain(error)) from error


def preset_names() -> list[str]:
    """Returns the names of the presets that come with mivae."""
    folder = resources.files(__package__) / "presets"
    names = (entry.name for entry in folder.iterdir())
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def preset_text(name: str) -> str:
    """Returns the TOML text of a preset.

    Raises:
        ConfigError: There is no such preset.
    """
    if name not in preset_names():
        raise ConfigError(
            f"there is no preset '{cut(name)}'{suggestion(name, preset_names())}; "
            "'mivae presets' lists them"
        )
    file = resources.files(__package__) / "presets" / f"{name}.toml"
    return file.read_text(encoding="utf-8")


def describe_preset(name: str) -> str:
    """Returns the one line in which a preset describes itself."""
    return str(tomllib.loads(preset_text(name))["description"])


def preset_kind(name: str) -> str:
    """Returns what a preset is: a method or a recipe."""
    return str(tomllib.loads(preset_text(name))["kind"])


def differences(before: RunConfig, after: RunConfig) -> dict[str, str]:
    """Returns the dotted keys whose values differ, each with both in words."""
    first, second = flattened(before), flattened(after)
    keys = sorted(first.keys() | second.keys())
    return {
        key: f"{key} {first.get(key)!r}, now {second.get(key)!r}"
        for key in keys
        if first.get(key) != second.get(key)
    }


def flattened(config: RunConfig) -> Table:
    """Returns a configuration's values by dotted key."""
    return _flattened(config.model_dump())


def check_resumable(before: RunConfig, after: RunConfig) -> None:
    """Raises ConfigError if a run cannot be resumed with other settings; it names them.

    How long, where and how it trains may change, also with which batch size. What its weights and
    moments are made for cannot.
    """
    fixed = [
        text
        for key, text in differences(before, after).items()
        if not (key in CHANGEABLE or key.startswith("objective."))
    ]
    if fixed:
        raise ConfigError(
            f"these settings cannot be changed ({'; '.join(fixed)}). Resume without them, or "
            "start a new run without --resume."
        )
    weighted, bound = before.objective.mi_weight > 0, before.objective.mi_bound
    if weighted != (after.objective.mi_weight > 0):
        raise ConfigError(
            "'objective.mi_weight' cannot change from or to zero, because the critic would be "
            f"missing ({before.objective.mi_weight:g}, now {after.objective.mi_weight:g}). Resume "
            "without it, or start a new run without --resume."
        )
    if weighted and bound != after.objective.mi_bound:
        raise ConfigError(
            "'objective.mi_bound' cannot be changed, because what the other bound has learnt "
            f"would be missing ({bound!r}, now {after.objective.mi_bound!r}). Resume without it, "
            "or start a new run without --resume."
        )


def template(config: RunConfig) -> str:
    """Returns a configuration as TOML, with every key explained."""
    lines = ["# Every setting of a mivae run. Leave out what you do not change."]
    _write_table(config, "", lines)
    return "\n".join(lines) + "\n"


def _write_table(model: BaseModel, prefix: str, lines: list[str]) -> None:
    tables = []
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            tables.append((name, value, field.description))
            continue
        if field.description:
            lines.append(f"# {field.description}")
        lines.append(f"{name} = {toml_text(NONE if value is None else value)}")
    for name, value, description in tables:
        lines += ["", f"[{prefix}{name}]"]
        if description:
            lines.append(f"# {description}")
        _write_table(value, f"{prefix}{name}.", lines)


def _merged(base: Table, layer: Table) -> Table:
    """Lays one table over another; of one of another kind little or nothing shows through."""
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
    """Returns what of a table also holds for another kind."""
    if kind in RECURRENT and below.get("kind") in RECURRENT:
        return below
    return {key: below[key] for key in OF_METHODS if key in below}


def _flattened(table: Table, prefix: str = "") -> Table:
    flat: Table = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat |= _flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _nested(key: str, value: object) -> Table:
    parts = key.split(".")
    if len(parts) > limits.MAX_KEY_PARTS:
        raise ConfigError(f"there is no setting '{cut(key)}'")
    for part in reversed(parts):
        value = {part: value}
    assert isinstance(value, dict)
    return value


def _preset(name: str) -> Table:
    """Returns what a preset sets."""
    return _settings(tomllib.loads(preset_text(name)))


def _located(table: Table, folder: Path) -> Table:
    """Returns what a file in a folder sets, its paths to text taken from there.

    They are absolute, so that they mean the same wherever the program is run.
    """
    data = table.get("data")
    if not isinstance(data, dict):
        return table
    paths = {
        key: str(folder.resolve() / data[key])
        for key in TEXTS
        if isinstance(data.get(key), str) and data[key] not in ("", "-")
    }
    return {**table, "data": {**data, **paths}}


def _settings(table: Table) -> Table:
    """Returns what a file sets; a preset also says what it is and what it is for."""
    return {key: value for key, value in table.items() if key not in ("kind", "description")}
