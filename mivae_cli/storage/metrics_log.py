"""A journal: a file of JSON lines that only grows, and whose beginning is vouched for.

A checkpoint says how long the journal was and what it held. What came later belongs to steps
that a resumed run makes anew, and is cut off. Lines that cannot be written now, the disk being
full, are kept and written with later ones.
"""

__all__ = ["Journal", "check_beginning"]

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from ..errors import CheckpointError, reason
from .files import check_dense, open_plain
from .manifest import Entry
from .ownership import open_own


class Journal:
    """Writes a journal."""

    def __init__(self, path: Path) -> None:
        """Goes on from nothing."""
        self.path = path
        self.size = 0
        self._digest = hashlib.sha256()
        self._waiting = b""

    @classmethod
    def resume(cls, path: Path, beginning: Entry) -> Self:
        """Goes on from a beginning, and forgets what comes after it.

        Raises:
            CheckpointError: The journal does not begin so.
        """
        check_beginning(path, beginning)
        journal = cls(path)
        journal.size = beginning.size
        for chunk in _chunks(path, beginning.size):
            journal._digest.update(chunk)
        return journal

    def append(self, record: Mapping[str, Any]) -> None:
        """Adds a line; numbers that JSON lacks become null."""
        finite = {key: _finite(value) for key, value in record.items()}
        self._waiting += (json.dumps(finite) + "\n").encode()
        self.flush()

    def flush(self) -> None:
        """Writes the lines that wait, if the disk takes them and the file is the run's alone."""
        if not self._waiting:
            return
        try:
            descriptor = open_own(self.path)
        except (OSError, CheckpointError):  # a link, for one, is never written through
            return
        try:
            if os.fstat(descriptor).st_size < self.size:  # somebody has emptied it
                self.size, self._digest = 0, hashlib.sha256()
            os.ftruncate(descriptor, self.size)  # what half a line a full disk has left
            done = 0
            while done < len(self._waiting):
                done += os.pwrite(descriptor, self._waiting[done:], self.size + done)
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, self.size)
            return
        finally:
            os.close(descriptor)
        self._digest.update(self._waiting)
        self.size += len(self._waiting)
        self._waiting = b""

    @property
    def entry(self) -> Entry:
        """What a checkpoint says of the journal."""
        return Entry(size=self.size, sha256=self._digest.hexdigest())


def check_beginning(path: Path, beginning: Entry) -> None:
    """Holds a journal against what a checkpoint says of it.

    Raises:
        CheckpointError: It is missing, cannot be read, or does not begin so.
    """
    digest, size = hashlib.sha256(), 0
    for chunk in _chunks(path, beginning.size):
        digest.update(chunk)
        size += len(chunk)
    if size < beginning.size or digest.hexdigest() != beginning.sha256:
        raise CheckpointError(f"'{path}' is damaged: it does not begin as its checkpoint says")


def _chunks(path: Path, size: int) -> Iterator[bytes]:
    """Yields how a file begins, or all of it where it is shorter."""
    with open_plain(path) as file:
        try:
            check_dense(file, path)
            while size and (chunk := file.read(min(size, 2**20))):
                yield chunk
                size -= len(chunk)
        except OSError as error:
            raise CheckpointError(f"cannot read '{path}': {reason(error)}") from error


def _finite(value: Any) -> Any:  # noqa: ANN401  # any JSON
    return None if isinstance(value, float) and not math.isfinite(value) else value
