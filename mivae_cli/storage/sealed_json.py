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
    "read_sealed",
    "sealed",
    "write_sealed",
]

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

from .. import __version__, limits
from ..errors import CheckpointError, ConfigError
from .files import read_plain, write_durably
from .json_values import parse_json

FORMAT = 2  # of the run directory and every file in it
SHOWN = 40  # characters of an untrusted value that a message repeats

Kind = Literal["run", "config", "environment", "corpus", "checkpoint", "state", "evaluation"]
Body = dict[str, Any]
# Upgrades by kind and format to the next format; without an entry, the document is unchanged.
UPGRADES: dict[tuple[Kind, int], Callable[[Body], Body]] = {
    ("evaluation", 1): lambda body: _upgrade_evaluation(body),
}


def _upgrade_evaluation(body: Body) -> Body:
    """Turns the single record of format 1 into a list of records."""
    record = body.get("evaluation")
    if not isinstance(record, dict):
        return body
    if record.get("full") is None:
        return {**body, "evaluations": [record], "full": []}
    full = {"checkpoint": record.get("checkpoint"), "full": record["full"]}
    return {**body, "evaluations": [{**record, "full": None}], "full": [full]}


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
        CheckpointError: The file is missing, damaged, edited, of another kind, or of a newer
            format.
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
    """Returns the kind that a document states, even if it is damaged; None for other files.

    A file with a kind was written by mivae, even if it has changed since.
    """
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

    Arguments:
        path: The file to write.
        sources: The files that the results are computed from.

    Raises:
        ConfigError: The file is a source, or is in the folder of a checkpoint or of a prepared
            corpus, possibly through a link.
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
    if isinstance(value, str | int | float | None):
        return str(value)[:SHOWN]
    return f"({type(value).__name__})"


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
