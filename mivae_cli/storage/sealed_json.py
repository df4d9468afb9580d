"""Sealed documents: JSON that says its own format and notices when a byte of it has changed.

    {"kind": ..., "format": 1, "mivae": the version that wrote it, ..., "checksum": ...}

The checksum is the SHA-256 of the document's canonical text without it. A reader accepts the
canonical text only, byte for byte, so that not even a space can differ. A document of an older
format is brought up to the present one as it is read; one of a newer format is refused.
"""

__all__ = [
    "FORMAT",
    "check_output",
    "claimed_kind",
    "json_value",
    "read_sealed",
    "sealed",
    "write_sealed",
]

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

from .. import __version__, limits
from ..errors import CheckpointError, ConfigError
from .files import parse_json, plain_bytes, write_durably

FORMAT = 2  # of the run directory and every file in it
SHOWN = 40  # characters of what a stranger wrote that a message repeats

Kind = Literal["run", "config", "environment", "corpus", "checkpoint", "state", "evaluation"]
Body = dict[str, Any]
# How a document of a kind and format becomes one of the next format; without an entry it is one.
UPGRADES: dict[tuple[Kind, int], Callable[[Body], Body]] = {
    ("evaluation", 1): lambda body: _evaluation_of_its_own(body),
}


def _evaluation_of_its_own(body: Body) -> Body:
    """Turns the one record that eval.json had into the first of several."""
    record = body.get("evaluation")
    if not isinstance(record, dict):
        return body
    if record.get("full") is None:
        return {**body, "evaluations": [record], "full": []}
    full = {"checkpoint": record.get("checkpoint"), "full": record["full"]}
    return {**body, "evaluations": [{**record, "full": None}], "full": [full]}


def json_value(value: Any) -> Any:  # noqa: ANN401  # any JSON
    """Returns a value as JSON can hold it: infinite numbers and NaN become null."""
    match value:
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {key: json_value(inner) for key, inner in value.items()}
        case list() | tuple():
            return [json_value(inner) for inner in value]
        case _:
            return value


def sealed(kind: Kind, body: Body) -> bytes:
    """Returns the bytes of a document."""
    document = {"kind": kind, "format": FORMAT, "mivae": __version__} | body
    return _text(document | {"checksum": _checksum(document)}).encode()


def write_sealed(path: Path, kind: Kind, body: Body) -> None:
    """Puts a document in its place, whole."""
    write_durably(path, sealed(kind, body))


def read_sealed(path: Path, kind: Kind) -> Body:
    """Returns the document that a file holds.

    Raises:
        CheckpointError: It is missing, damaged, changed by hand, of another kind, or of a newer
            format.
    """
    data = plain_bytes(path, limits.MAX_DOCUMENT_BYTES)
    document = parse_json(data, path)
    if not isinstance(document, dict) or "checksum" not in document:
        raise CheckpointError(f"'{path}' is damaged: it carries no checksum")
    found = document.get("format")
    if type(found) is int and found > FORMAT:  # which may be sealed in another way
        raise CheckpointError(
            f"'{path}' has format {_shown(found)}, from a newer mivae "
            f"({_shown(document.get('mivae'))}): this one ({__version__}) reads formats up to "
            f"{FORMAT}; take that one, or a later one"
        )
    if _canonical(document) != data:
        raise CheckpointError(
            f"'{path}' is damaged: its checksum does not fit (it must not be changed by hand)"
        )
    if type(found) is not int or found < 1:  # True is an int, and equals 1
        raise CheckpointError(f"'{path}' is damaged: no mivae writes format {_shown(found)}")
    if document.get("kind") != kind:
        other = _shown(document.get("kind"))
        raise CheckpointError(f"'{path}' is no {kind} document, but of kind {other}")
    body: Body = document
    for former in range(found, FORMAT):
        body = UPGRADES.get((kind, former), dict)(body)
    return body


def claimed_kind(path: Path) -> str | None:
    """Returns the kind of document that a file says it is, damaged or not; None of other files.

    A file that says so was made by mivae, whatever has happened to it since.
    """
    try:
        document = parse_json(plain_bytes(path, limits.MAX_DOCUMENT_BYTES), path)
    except CheckpointError:
        return None
    if not isinstance(document, dict) or not {"mivae", "checksum"} <= document.keys():
        return None
    kind = document.get("kind")
    return kind if isinstance(kind, str) else None


def check_output(path: Path, sources: Iterable[Path] = ()) -> None:
    """Refuses a place for a file of results where it would take something that is needed.

    Arguments:
        path: The place.
        sources: What the results are made from.

    Raises:
        ConfigError: It is one of the sources, or lies among the files of a checkpoint or of a
            prepared corpus, also where a link leads there.
    """
    if path.exists() and any(source.exists() and path.samefile(source) for source in sources):
        raise ConfigError(
            f"cannot write '{path}': it is the text to read, which would be lost; choose another "
            "name"
        )
    folder = Path(os.path.realpath(path)).parent
    for name, kind in (("manifest.json", "checkpoint"), ("corpus.json", "corpus")):
        if claimed_kind(folder / name) == kind:
            raise ConfigError(
                f"cannot write '{path}': the folder '{folder}' holds a {kind} and nothing else; "
                "choose another folder"
            )


def _shown(value: object) -> str:
    """Returns what a message repeats of a value, which may be of any kind and size."""
    if isinstance(value, str | int | float | None):
        return str(value)[:SHOWN]
    return f"({type(value).__name__})"


def _canonical(document: Body) -> bytes | None:
    """Returns the bytes that a document's content has when nothing is wrong with it."""
    body = {key: value for key, value in document.items() if key != "checksum"}
    try:
        return _text(body | {"checksum": _checksum(body)}).encode()
    except (ValueError, RecursionError):  # surrogates that no text can hold, for one
        return None


def _checksum(document: Body) -> str:
    return hashlib.sha256(_text(document).encode()).hexdigest()


def _text(document: Body) -> str:
    return json.dumps(document, indent=2, allow_nan=False) + "\n"
