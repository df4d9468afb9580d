"""The metrics log: an append-only file of JSON lines.

A checkpoint stores the size and checksum of the log at that time. Resuming truncates the log to
that size, because training repeats the later steps. Lines that cannot be written, for example on
a full disk, are kept in memory and written with later ones.
"""

__all__ = ["MetricsLog", "check_prefix"]

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from ..errors import CheckpointError
from .files import check_not_sparse, open_checked
from .manifest import Entry
from .ownership import open_own
from .sealed_json import json_value


class MetricsLog:
    """Writes a metrics log."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._digest = hashlib.sha256()
        self._waiting = b""

    @classmethod
    def resume(cls, path: Path, prefix: Entry) -> Self:
        """Continues a log after a prefix; the next write removes the lines after it.

        Raises:
            CheckpointError: The file does not start with this prefix.
        """
        log = cls(path)
        log._digest = check_prefix(path, prefix)
        log.size = prefix.size
        return log

    def append(self, record: Mapping[str, Any]) -> None:
        """Adds a line; NaN and infinite numbers become null."""
        self._waiting += (json.dumps(json_value(dict(record))) + "\n").encode()
        self.flush()

    def flush(self) -> None:
        """Writes the waiting lines; keeps them if the disk is full or the file is a link."""
        if not self._waiting:
            return
        try:
            descriptor = open_own(self.path)
        except (OSError, CheckpointError):
            return
        try:
            if os.fstat(descriptor).st_size < self.size:  # it was truncated by another program
                self.size, self._digest = 0, hashlib.sha256()
            os.ftruncate(descriptor, self.size)  # remove a partial line left by a full disk
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
        """The size and checksum of the log, to be stored in a checkpoint."""
        return Entry(size=self.size, sha256=self._digest.hexdigest())


def check_prefix(path: Path, prefix: Entry) -> "hashlib._Hash":
    """Returns the SHA-256 state of a log's prefix; raises CheckpointError if it does not match."""
    digest, left = hashlib.sha256(), prefix.size
    with open_checked(path) as file:
        check_not_sparse(file, path)
        while left and (chunk := file.read(min(left, 2**20))):
            digest.update(chunk)
            left -= len(chunk)
    if left or digest.hexdigest() != prefix.sha256:
        raise CheckpointError(f"'{path}' is damaged: it does not match the checkpoint")
    return digest
