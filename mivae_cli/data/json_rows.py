"""Read untrusted JSON: one value per line, or one array, regardless of the file extension."""

__all__ = ["json_rows", "looks_like_json"]

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import DataError, listing, reason
from .lines import UTF8_BOM, Digest, lines_of, opened, whole_text

SPACE = re.compile(r"[ \t\r\n]*")
DECODER = json.JSONDecoder()
Row = tuple[int, str, str, Any]
KINDS = {bool: "true or false", int: "a number", float: "a number", list: "an array"}


def json_rows(path: Path, field: str, digest: Digest | None = None) -> Iterator[Row]:
    """Yields the line, text, problem (if any) and value of each JSON value in a file.

    The text of an object is in the given field. The digest is updated as by `lines.opened`.

    Raises:
        DataError: The file cannot be read, is not text, or is an invalid JSON array.
    """
    with opened(path, digest) as file:
        if _is_array(file):
            yield from _array_rows(file, path, field)
            return
        for number, line in enumerate(lines_of(file, path), start=1):
            if line.isspace():
                continue
            if line.strip() == "{":
                raise DataError(
                    f"'{path}', line {number}: a JSON object spans several lines; write one value "
                    "per line or one array, e.g. with: jq -c '.data[]' FILE.json > FILE.jsonl"
                )
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:  # ValueError: also too many digits
                yield number, "", f"is not JSON: {reason(error)}", line
                continue
            yield (number, *_text_in(value, field), value)


def looks_like_json(line: str) -> bool:
    """Returns whether the first line of a text is, or starts, a JSON object or array."""
    if not line.lstrip().startswith(("{", "[")):
        return False
    if line.strip() in ("{", "["):
        return True
    try:
        return isinstance(json.loads(line), dict | list)
    except (ValueError, RecursionError):
        return False


def _is_array(file: BinaryIO) -> bool:
    start: bytes = file.peek(1)  # type: ignore[attr-defined]  # all readers of `opened` have it
    return start.removeprefix(UTF8_BOM).lstrip().startswith(b"[")


def _array_rows(file: BinaryIO, path: Path, field: str) -> Iterator[Row]:
    """Yields the items of an array, each with the line on which it starts."""
    text = whole_text(file, path)
    line, counted = 1, 0

    def line_at(place: int) -> int:
        nonlocal line, counted
        line, counted = line + text.count("\n", counted, place), place
        return line

    place = _after(text, text.index("[") + 1)
    closed = text.startswith("]", place)
    while not closed:
        number = line_at(place)
        try:
            value, end = DECODER.raw_decode(text, place)
        except (ValueError, RecursionError) as error:
            # the decoder counts lines from the start of the text
            number = getattr(error, "lineno", number)
            why = getattr(error, "msg", None) or reason(error)
            raise DataError(f"'{path}', line {number}, is not JSON: {why}") from error
        yield (number, *_text_in(value, field), value)
        place = _after(text, end)
        closed = text.startswith("]", place)
        if not (closed or text.startswith(",", place)):
            raise DataError(
                f"'{path}', line {line_at(place)}, is not JSON: expected a comma or the end of the "
                "array"
            )
        if not closed:
            place = _after(text, place + 1)
    place = _after(text, place + 1)
    if place < len(text):
        raise DataError(
            f"'{path}', line {line_at(place)}: unexpected text after the JSON array; a file must be "
            "one array, or have one value per line"
        )


def _after(text: str, place: int) -> int:
    """Returns the position of the next character that is not white space."""
    found = SPACE.match(text, place)
    return found.end() if found else place


def _text_in(value: Any, field: str) -> tuple[str, str]:  # noqa: ANN401  # any JSON
    """Returns the text of a JSON value, or an empty text and the problem.

    A string is the text. In an object, the text is the field of that name, or, if there is no such
    field, the field at that path: `data.text` is the field `text` of the object in `data`.
    """
    where = "the JSON value"
    if isinstance(value, dict):
        where = f"the field '{field}'"
        value, problem = _at(value, field)
        if problem:
            return "", problem
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return "", f"is not Unicode text: {where} contains half of a surrogate pair"
        return " ".join(value.splitlines()), ""
    if value is None:
        return "", f"has no text: {where} is null"
    if isinstance(value, dict):
        return "", (
            f"has no text: {where} is an object ({_fields(value)}); choose one of its fields with "
            "--field (setting data.field)"
        )
    return "", f"has no text: {where} is {KINDS[type(value)]}"


def _at(record: dict[str, Any], field: str) -> tuple[Any, str]:
    """Returns the value of a field or path of fields, or None and the problem."""
    if field in record:
        return record[field], ""
    found: Any = record
    parts = field.split(".")
    for depth, part in enumerate(parts):
        if not isinstance(found, dict):
            parent = ".".join(parts[:depth])
            kind = "null" if found is None else KINDS.get(type(found), "a string")
            return None, f"has no field '{field}': '{parent}' is {kind}, not an object"
        if part not in found:
            inside = f"'{'.'.join(parts[:depth])}'" if depth else "it"
            return None, (
                f"has no field '{field}' ({inside} has {_fields(found)}); choose one with --field "
                "(setting data.field)"
            )
        found = found[part]
    return found, ""


def _fields(record: dict[str, Any]) -> str:
    return listing(map(repr, record)) or "no fields"
