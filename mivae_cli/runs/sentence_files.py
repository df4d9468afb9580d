"""The files of figures per sentence in a run directory, RUN/sentences/.

Each evaluation record with such figures names one file (`evaluation.sentence_values`). A file is
written before the record, and removed after the last record that names it. A crash can therefore
leave a file that no record names, but no record without its file.
"""

__all__ = ["SENTENCES", "load_values", "remove_unlisted", "unlisted", "write_values"]

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from .. import limits
from ..errors import CheckpointError
from ..evaluation.records import SENTENCE_FILE, Record
from ..evaluation.sentence_values import SentenceValues
from ..storage.files import write_durably
from ..storage.manifest import Entry, Manifest
from ..storage.ownership import draft_target

SENTENCES = "sentences"


def write_values(run: Path, name: str, content: bytes) -> None:
    """Writes a file of figures per sentence; raises OSError if that fails."""
    (run / SENTENCES).mkdir(exist_ok=True)
    write_durably(run / SENTENCES / name, content)


def load_values(run: Path, record: Record) -> SentenceValues | None:
    """Returns the figures per sentence of an evaluation record; None if it names no file.

    Raises:
        CheckpointError: The file is missing or damaged.
    """
    if (listed := record.get("sentence_values")) is None:
        return None
    name, entry = listed["file"], Entry(size=listed["size"], sha256=listed["sha256"])
    path = run / SENTENCES / name
    if entry.size > limits.MAX_SENTENCE_VALUES_BYTES:
        raise CheckpointError(f"'{path}' is too large: {entry.size:,} bytes")
    if path.parent.is_symlink():
        raise CheckpointError(f"'{path.parent}' is a link: replace it by the folder it points to")
    path = Manifest(path.parent, {name: entry}, {}).checked_path(name)
    try:
        values = SentenceValues.of(path.read_bytes())
        if len(values) != record.get("sentences"):
            raise ValueError("the record has another number of sentences")
    except (OSError, ValueError) as error:
        raise CheckpointError(f"'{path}' is damaged: {error}") from error
    return values


def unlisted(run: Path, records: Iterable[Record]) -> Iterator[Path]:
    """Yields the files of figures per sentence that no record names, and drafts of such files."""
    names = {(record.get("sentence_values") or {}).get("file") for record in records}
    with suppress(OSError), os.scandir(run / SENTENCES) as entries:
        for entry in entries:
            own = SENTENCE_FILE.fullmatch(draft_target(entry.name) or entry.name)
            if own and entry.name not in names and entry.is_file(follow_symlinks=False):
                yield Path(entry.path)


def remove_unlisted(run: Path, records: Iterable[Record]) -> None:
    """Removes the files of figures per sentence that no record names."""
    for path in list(unlisted(run, records)):
        with suppress(OSError):
            path.unlink()
