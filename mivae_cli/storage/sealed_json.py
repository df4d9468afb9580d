"""Sealed documents: JSON with a format version and a checksum.

    {"kind": ..., "format": 1, "mivae": version that wrote it, ..., "checksum": ...}

The checksum is the SHA-256 of the document's canonical text without the checksum. Only the
canonical text is accepted, so any changed byte is detected. A document of an older format is
upgraded when it is read; one of a newer format is rejected.
"""

__all__ = [
    "FORMAT",
    "check_output",
    "claimed_kind",
    "json_value",
    "parse_json",
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
from typing import Any, Literal, NoReturn

from .. import __version__, limits
from ..errors import CheckpointError, ConfigError
from .files import read_plain, write_durably

FORMAT = 3  # of the run directory and every file in it
SHOWN = 40  # characters of an untrusted value that a message repeats

Kind = Literal["run", "config", "environment", "corpus", "checkpoint", "state", "evaluation"]
Body = dict[str, Any]


def json_value(value: Any) -> Any:  # noqa: ANN401  # any JSON
    """Returns a value with NaN and infinite numbers, which JSON lacks, replaced by null."""
    match value:
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {key: json_value(inner) for key, inner in value.items()}
        case list() | tuple():
            return [json_value(inner) for inner in value]
        case _:
            return value


def parse_json(data: bytes, path: Path) -> Any:  # noqa: ANN401  # whatever JSON can hold
    """Returns the value of a JSON text; raises CheckpointError if it is not valid JSON.

    NaN, Infinity and deep nesting are not valid.
    """
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_reject)
    except (ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else error
        raise CheckpointError(f"'{path}' is damaged: invalid JSON ({why})") from error


def _reject(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not allowed")


def _upgrade_evaluation(body: Body) -> Body:
    """Turns the single record of format 1 into a list of records."""
    record = body.get("evaluation")
    if not isinstance(record, dict):
        return body
    if record.get("full") is None:
        return {**body, "evaluations": [record], "full": []}
    full = {"checkpoint": record.get("checkpoint"), "full": record["full"]}
    return {**body, "evaluations": [{**record, "full": None}], "full": [full]}


# Upgrades by kind and format to the next format; without an entry, the document is unchanged.
UPGRADES: dict[tuple[Kind, int], Callable[[Body], Body]] = {("evaluation", 1): _upgrade_evaluation}


def sealed(kind: Kind, body: Body) -> bytes:
    """Returns the bytes of a sealed document."""
    document = {"kind": kind, "format": FORMAT, "mivae": __version__} | body
    return _text(document | {"checksum": _checksum(document)}).encode()


def write_sealed(path: Path, kind: Kind, body: Body) -> None:
    """Writes a sealed document atomically."""
    write_durably(path, sealed(kind, body))


def read_sealed(path: Path, kind: Kind) -> Body:
    """Returns the document in a file.

    Raises:
        CheckpointError: The file is missing, damaged, edited, of another kind or a newer format.
    """
    data = read_plain(path, limits.MAX_DOCUMENT_BYTES)
    document = parse_json(data, path)
    if not isinstance(document, dict) or "checksum" not in document:
        raise CheckpointError(f"'{path}' is damaged: it has no checksum")
    found = document.get("format")
    if type(found) is int and found > FORMAT:  # whose checksum may be defined differently
        raise CheckpointError(
            f"'{path}' has format {_shown(found)}, written by a newer mivae "
            f"({_shown(document.get('mivae'))}). This version ({__version__}) reads formats up to "
            f"{FORMAT}: update mivae"
        )
    if _canonical(document) != data:
        raise CheckpointError(
            f"'{path}' is damaged: checksum mismatch (the file must not be edited)"
        )
    if type(found) is not int or found < 1:  # True is an int, and equals 1
        raise CheckpointError(f"'{path}' is damaged: unknown format {_shown(found)}")
    if document.get("kind") != kind:
        other = _shown(document.get("kind"))
        raise CheckpointError(f"'{path}' is a document of kind {other}, not {kind}")
    body: Body = document
    for former in range(found, FORMAT):
        body = UPGRADES.get((kind, former), dict)(body)
    return body


def claimed_kind(path: Path) -> str | None:
    """Returns the kind of a file that mivae wrote, even if it has changed since; or None."""
    try:
        document = parse_json(read_plain(path, limits.MAX_DOCUMENT_BYTES), path)
    except CheckpointError:
        return None
    if not isinstance(document, dict) or not {"mivae", "checksum"} <= document.keys():
        return None
    kind = document.get("kind")
    return kind if isinstance(kind, str) else None


def check_output(path: Path, sources: Iterable[Path] = ()) -> None:
    """Checks that writing a file of results does not destroy data.

    Raises:
        ConfigError: The file is a source of the results, or is in the folder of a checkpoint or of
            a prepared corpus, possibly through a link.
    """
    if path.exists() and any(source.exists() and path.samefile(source) for source in sources):
        raise ConfigError(
            f"cannot write '{path}': it is an input file and would be overwritten; choose another "
            "name"
        )
    folder = Path(os.path.realpath(path)).parent
    for name, kind in (("manifest.json", "checkpoint"), ("corpus.json", "corpus")):
        if claimed_kind(folder / name) == kind:
            raise ConfigError(
                f"cannot write '{path}': the folder '{folder}' is reserved for a {kind}; choose "
                "another folder"
            )


def _shown(value: object) -> str:
    """Returns an untrusted value as a short text for a message."""
    simple = isinstance(value, str | int | float | None)
    return str(value)[:SHOWN] if simple else f"({type(value).__name__})"


def _canonical(document: Body) -> bytes | None:
    """Returns the canonical bytes of a document's content, or None if it has none."""
    body = {key: value for key, value in document.items() if key != "checksum"}
    try:
        return _text(body | {"checksum": _checksum(body)}).encode()
    except (ValueError, RecursionError):  # for example lone surrogates
        return None


def _checksum(document: Body) -> str:
    return hashlib.sha256(_text(document).encode()).hexdigest()


def _text(document: Body) -> str:
    return json.dumps(document, indent=2, allow_nan=False) + "\n"
