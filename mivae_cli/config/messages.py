"""Messages about invalid settings: one line per mistake, which names the key and a remedy.

An unknown key gets the most similar known key as a suggestion.
"""

__all__ = ["MAX_MISTAKES", "explain", "known_keys", "suggestion"]

import difflib
import types
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from ..errors import cut
from .run import RunConfig

if TYPE_CHECKING:  # pydantic_core is not a public API
    from pydantic_core import ErrorDetails

MAX_SHOWN = 80  # characters of a key or value in a message
MAX_MISTAKES = 20  # mistakes in one message


def explain(error: ValidationError) -> str:
    """Returns a message that names each invalid key, its value and the valid values."""
    details = error.errors(include_url=False)
    lines = [_mistake(detail) for detail in details[:MAX_MISTAKES]]
    if len(details) > MAX_MISTAKES:
        lines.append(f"and {len(details) - MAX_MISTAKES:,} more")
    return "; ".join(lines)


def known_keys() -> dict[str, str]:
    """Returns the description of every setting by its dotted key."""
    return {key: description for key, _, description in _fields(RunConfig, "")}


def suggestion(name: str, known: Sequence[str]) -> str:
    """Returns a hint with the most similar known name, or with one whose last part is similar."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if not near:
        last = name.rpartition(".")[2]
        by_last = {key.rpartition(".")[2]: key for key in known}
        near = [by_last[match] for match in difflib.get_close_matches(last, list(by_last), n=1)]
    return f": did you mean '{near[0]}'?" if near else ""


def _mistake(detail: "ErrorDetails") -> str:
    """Returns the message for one invalid value."""
    if not detail["loc"]:  # the input as a whole is not a table
        return cut(detail["msg"])
    # pydantic's location contains the tags of unions, which are not part of the key
    location = [str(part) for part in detail["loc"]]
    keys = known_keys()
    key = ".".join(location)
    if key not in keys:
        parents = [part for part in location[:-1] if not _is_tag(part)]
        # an unknown key may be spelt like a tag; otherwise a tag at the end stands for a table
        is_key = detail["type"] == "extra_forbidden" or not _is_tag(location[-1])
        key = ".".join(parents + location[-1:] if is_key else parents)
    if detail["type"] == "extra_forbidden" and key in keys:
        return f"'{key}' does not apply to the chosen kind"
    if detail["type"] == "extra_forbidden":
        return f"unknown setting '{cut(key, MAX_SHOWN)}'{suggestion(key, list(keys))}"
    if detail["type"] == "union_tag_invalid":
        kinds = detail["ctx"]["expected_tags"].replace("'", "")
        tag = cut(detail["ctx"]["tag"], MAX_SHOWN)
        return f"'{key}.kind' is '{tag}', but must be one of {kinds}"
    message = detail["msg"].removeprefix("Value error, ").replace("Input should", "must", 1)
    try:
        given = repr(detail["input"])
    except (ValueError, RecursionError):  # thousands of digits or brackets
        given = f"this {type(detail['input']).__name__}"
    return f"'{key}' cannot be {cut(given, MAX_SHOWN)}: {cut(message)}"


def _is_tag(part: str) -> bool:
    return any(
        part in get_args(annotation)
        for key, annotation, _ in _fields(RunConfig, "")
        if key.endswith(".kind") and get_origin(annotation) is Literal
    )


def _fields(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, object, str]]:
    """Yields the dotted key, annotation and description of every field."""
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}", field.annotation, field.description or ""
        for inner in _models(field.annotation):
            yield from _fields(inner, f"{prefix}{name}.")


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    """Yields the models in an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Annotated, Union, types.UnionType):
        for argument in get_args(annotation):
            yield from _models(argument)
