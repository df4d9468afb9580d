"""From presets, a TOML file and overrides to one resolved configuration.

Later sources win: the defaults, then presets in the order they are named, then the file, then
options of the command line, then `--set`. A preset is a method of a paper or a recipe for a corpus.
Methods are changes to the plain VAE, which is laid below them, so that they can be combined; the
defaults themselves are the method `mine`. A key that does not exist is an error that names the
nearest one. Whatever a source holds, an error is a short line.
"""

__all__ = [
    "check_resumable",
    "describe_preset",
    "differences",
    "flattened",
    "known_keys",
    "preset_kind",
    "preset_names",
    "preset_text",
    "read_config",
    "template",
]

import difflib
import json
import tomllib
import types
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from .config import RunConfig
from .errors import ConfigError
from .frozen import NONE

if TYPE_CHECKING:  # pydantic's core has no promise of staying where it is
    from pydantic_core import ErrorDetails

MOST_FILE = 2**20  # bytes of a TOML file
MOST_DOTS = 50  # of a line of it: tomllib takes the square of a key's parts in time and room
DEEPEST = 10  # parts of a key; the longest that exists has four
SHOWN = 80  # characters of what was given that a message shows
LISTED = 20  # mistakes that a message names before it counts the rest
PLAIN = "vae"  # the preset that all other methods change
RECURRENT = ("lstm", "gru")  # kinds of networks whose settings are the same
OF_METHODS = ("pooling", "word_dropout")  # what a method says of a network of any kind
Table = dict[str, Any]
CHANGEABLE = {
    "name",
    "device",
    "critic.clip",
    "critic.learning_rate",
    "critic.steps",
    "critic.xi_decay",
    "training.epochs",
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
        file: A TOML file of the same form.
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
        table = _merged(table, _settings(_read_toml(file)))
    for key, value in (options or {}).items():
        if value is not None:
            table = _merged(table, _nested(key, value))
    for text in overrides:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not all(key.split(".")) or "\n" in value or "\r" in value:
            raise ConfigError(f"--set {_cut(text)}: write it as section.key=value, on one line")
        table = _merged(table, _nested(key, _toml_value(value)))
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
            f"there is no preset '{_cut(name)}'{_suggestion(name, preset_names())}; "
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


def explain(error: ValidationError) -> str:
    """Returns a validation error as lines that name the key and what to write instead."""
    details = error.errors(include_url=False)
    lines = [_explained(detail) for detail in details[:LISTED]]
    if len(details) > LISTED:
        lines.append(f"and {len(details) - LISTED:,} mistakes more")
    return "; ".join(lines)


def known_keys() -> dict[str, str]:
    """Returns every dotted key of a configuration, with its description."""
    return {key: description for key, _, description in _fields(RunConfig, "")}


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
    """Raises ConfigError where a run cannot go on with other settings, and names them.

    How long, where and how it trains may change; what its weights, moments and place in the
    corpus are made for may not.
    """
    fixed = [
        text
        for key, text in differences(before, after).items()
        if not (key in CHANGEABLE or key.startswith("objective."))
    ]
    if fixed:
        raise ConfigError(
            f"it was begun with other settings ({'; '.join(fixed)}), which cannot change; resume it "
            "without, or begin another run"
        )
    weighted, bound = before.objective.mi_weight > 0, before.objective.mi_bound
    if weighted != (after.objective.mi_weight > 0):
        raise ConfigError(
            "'objective.mi_weight' of a run cannot become or cease to be zero: the critic would "
            "be missing"
        )
    if weighted and bound != after.objective.mi_bound:
        raise ConfigError(
            "'objective.mi_bound' of a run cannot change: what the other bound has learnt or "
            "remembers would be missing"
        )


def template(config: RunConfig) -> str:
    """Returns a configuration as TOML, with every key explained."""
    lines = ["# Every setting of a mivae run. Leave out what you do not change."]
    _write_table(config, "", lines)
    return "\n".join(lines) + "\n"


def _explained(detail: "ErrorDetails") -> str:
    """Returns one mistake in one line."""
    if not detail["loc"]:  # not one value, but the whole, is no configuration
        return _cut(detail["msg"], 200)
    # a union's tag stands in the location, but not in the file
    location = [str(part) for part in detail["loc"]]
    keys = known_keys()
    named = ".".join(location)
    if named not in keys:
        shorter = [part for part in location[:-1] if not _is_tag(part)]
        # a key that does not exist may be spelt like a tag; else what ends in one is a whole table
        is_key = detail["type"] == "extra_forbidden" or not _is_tag(location[-1])
        named = ".".join(shorter + location[-1:] if is_key else shorter)
    if detail["type"] == "extra_forbidden" and named in keys:
        return f"'{named}' does not go with the kind that is chosen there"
    if detail["type"] == "extra_forbidden":
        return f"there is no setting '{_cut(named)}'{_suggestion(named, list(keys))}"
    if detail["type"] == "union_tag_invalid":
        kinds = detail["ctx"]["expected_tags"].replace("'", "")
        tag = _cut(detail["ctx"]["tag"])
        return f"'{named}.kind' cannot be '{tag}': it is one of {kinds}"
    message = detail["msg"].removeprefix("Value error, ")  # what a validator of ours said
    try:
        given = repr(detail["input"])
    except (ValueError, RecursionError):  # thousands of digits, or of brackets
        given = f"this {type(detail['input']).__name__}"
    return f"'{named}' cannot be {_cut(given)}: {_cut(message, 200)}"


def _cut(text: str, length: int = SHOWN) -> str:
    """Returns the beginning of a text, in one line."""
    line = " ".join(text[: length + 1].split())
    return line if len(text) <= length else f"{line[:length]}..."


def _write_table(model: BaseModel, prefix: str, lines: list[str]) -> None:
    tables = []
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            tables.append((name, value, field.description))
            continue
        if field.description:
            lines.append(f"# {field.description}")
        lines.append(f"{name} = {_toml_text(NONE if value is None else value)}")
    for name, value, description in tables:
        lines += ["", f"[{prefix}{name}]"]
        if description:
            lines.append(f"# {description}")
        _write_table(value, f"{prefix}{name}.", lines)


def _toml_text(value: object) -> str:
    if isinstance(value, float):
        return repr(value)  # as in TOML, also where it is infinite
    # JSON's other scalars are TOML's too, but for one character that TOML wants escaped
    text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    # so many dots on a line would be taken for those of a key
    return text.replace(".", "\\u002e") if text.count(".") > MOST_DOTS else text


def _fields(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, object, str]]:
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}", field.annotation, field.description or ""
        for inner in _models(field.annotation):
            yield from _fields(inner, f"{prefix}{name}.")


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    """Yields the models that an annotation admits."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Annotated, Union, types.UnionType):
        for argument in get_args(annotation):
            yield from _models(argument)


def _is_tag(part: str) -> bool:
    return any(
        part in get_args(annotation)
        for key, annotation, _ in _fields(RunConfig, "")
        if key.endswith(".kind") and get_origin(annotation) is Literal
    )


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
    if len(parts) > DEEPEST:
        raise ConfigError(f"there is no setting '{_cut(key)}'")
    for part in reversed(parts):
        value = {part: value}
    assert isinstance(value, dict)
    return value


def _toml_value(text: str) -> object:
    try:
        return _parsed(f"value = {text}")["value"]
    except (ValueError, RecursionError):  # too long a number is a bare ValueError
        return text  # a bare word is a string


def _parsed(text: str) -> Table:
    table = tomllib.loads(text)
    if _has_long_integer(table):  # which Python may refuse to print; TOML promises 64 bits
        raise ValueError("an integer has more than 64 bits")
    return table


def _has_long_integer(value: object) -> bool:
    match value:
        case int():
            return value.bit_length() > 64
        case dict():
            return any(map(_has_long_integer, value.values()))
        case list():
            return any(map(_has_long_integer, value))
    return False


def _read_toml(path: Path) -> Table:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_FILE + 1)
        if len(content) > MOST_FILE:
            raise ValueError(f"a configuration has {MOST_FILE:,} bytes at most")
        text = content.decode("utf-8")
        for number, line in enumerate(text.split("\n"), start=1):
            if line.count(".") > MOST_DOTS and not line.lstrip().startswith("#"):
                raise ValueError(f"line {number} has more than {MOST_DOTS} dots")
        return _parsed(text)
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"cannot read '{path}': {_cut(str(error), 200)}") from error


def _preset(name: str) -> Table:
    """Returns what a preset sets."""
    return _settings(tomllib.loads(preset_text(name)))


def _settings(table: Table) -> Table:
    """Returns what a file sets; a preset also says what it is and what it is for."""
    return {key: value for key, value in table.items() if key not in ("kind", "description")}


def _suggestion(name: str, known: Sequence[str]) -> str:
    """Returns a hint at the nearest known name, of the whole or of its last part."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if not near:
        last = name.rpartition(".")[2]
        by_last = {key.rpartition(".")[2]: key for key in known}
        near = [by_last[match] for match in difflib.get_close_matches(last, list(by_last), n=1)]
    return f": did you mean '{near[0]}'?" if near else ""
