"""What a configuration's keys are, and what is wrong with a value, in short lines.

A key that does not exist is answered with the nearest one. Whatever a source holds, an error is
one line of readable length.
"""

__all__ = ["LISTED", "cut", "explain", "known_keys", "listed", "suggestion"]

import difflib
import types
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from .run import RunConfig

if TYPE_CHECKING:  # pydantic's core has no promise of staying where it is
    from pydantic_core import ErrorDetails

SHOWN = 80  # characters of what was given that a message shows
LISTED = 20  # mistakes that a message names before it counts the rest
NAMED = 3  # runs that a message names before it counts the rest


def explain(error: ValidationError) -> str:
    """Returns a validation error as lines that name the key and what to write instead."""
    details = error.errors(include_url=False)
    lines = [_explained(detail) for detail in details[:LISTED]]
    if len(details) > LISTED:
        lines.append(f"and {len(details) - LISTED:,} mistakes more")
    return "; ".join(lines)


def listed(names: Sequence[str]) -> str:
    """Returns the first names of several, and how many more there are."""
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def known_keys() -> dict[str, str]:
    """Returns every dotted key of a configuration, with its description."""
    return {key: description for key, _, description in _fields(RunConfig, "")}


def suggestion(name: str, known: Sequence[str]) -> str:
    """Returns a hint at the nearest known name, of the whole or of its last part."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if not near:
        last = name.rpartition(".")[2]
        by_last = {key.rpartition(".")[2]: key for key in known}
        near = [by_last[match] for match in difflib.get_close_matches(last, list(by_last), n=1)]
    return f": did you mean '{near[0]}'?" if near else ""


def cut(text: str, length: int = SHOWN) -> str:
    """Returns the beginning of a text, in one line."""
    line = " ".join(text[: length + 1].split())
    return line if len(text) <= length else f"{line[:length]}..."


def _explained(detail: "ErrorDetails") -> str:
    """Returns one mistake in one line."""
    if not detail["loc"]:  # not one value, but the whole, is no configuration
        return cut(detail["msg"], 200)
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
        return f"there is no setting '{cut(named)}'{suggestion(named, list(keys))}"
    if detail["type"] == "union_tag_invalid":
        kinds = detail["ctx"]["expected_tags"].replace("'", "")
        tag = cut(detail["ctx"]["tag"])
        return f"'{named}.kind' cannot be '{tag}': it is one of {kinds}"
    message = detail["msg"].removeprefix("Value error, ")  # what a validator of ours said
    try:
        given = repr(detail["input"])
    except (ValueError, RecursionError):  # thousands of digits, or of brackets
        given = f"this {type(detail['input']).__name__}"
    return f"'{named}' cannot be {cut(given)}: {cut(message, 200)}"


def _is_tag(part: str) -> bool:
    return any(
        part in get_args(annotation)
        for key, annotation, _ in _fields(RunConfig, "")
        if key.endswith(".kind") and get_origin(annotation) is Literal
    )


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
