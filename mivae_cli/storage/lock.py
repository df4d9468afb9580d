"""One process at a time may write a run.

The lock is a file that names its holder. The holder also keeps it locked in the kernel, which
lets go when the process dies, however it dies: so a lock that was left behind is recognised.
Not every file system carries such locks between machines. A holder on another one therefore
counts as alive for `QUIET` seconds after anything in the folder was last written.
"""

__all__ = ["LOCK", "held_by", "locked"]

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import CheckpointError, ConfigError
from .files import parse_json

LOCK = "lock.json"
MOST = 4096  # bytes that name a holder
QUIET = 600.0


@dataclass(frozen=True)
class Holder:
    """A process."""

    pid: int
    host: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds a folder's lock.

    Raises:
        ConfigError: Another process holds it; who, the message says.
        OSError: The folder cannot be written.
    """
    path = folder / LOCK
    descriptor = _acquired(path)
    try:
        me = Holder(os.getpid(), socket.gethostname())
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, _text(me), 0)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def held_by(folder: Path) -> str | None:
    """Returns who holds a folder's lock, or None where nobody does."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return str(_holder(descriptor) or "another process")
    finally:
        os.close(descriptor)
    return None


def _acquired(path: Path) -> int:
    while True:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o644)
        try:
            holder = _holder(descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                who = holder or "another process"
                raise ConfigError(
                    f"'{path.parent}' is being written by {who}: wait for it, or choose another "
                    "place with --out"
                ) from error
            if not _is_at(descriptor, path):  # its holder removed it between the two calls
                os.close(descriptor)
                continue
            elsewhere = holder is not None and holder.host != socket.gethostname()
            if elsewhere and time.time() - _last_written(path.parent) < QUIET:
                raise ConfigError(
                    f"'{path.parent}' was written a moment ago by {holder}, which may still be at "
                    f"it: if it is not, delete '{path}'"
                )
        except ConfigError:
            os.close(descriptor)
            raise
        return descriptor


def _last_written(folder: Path) -> float:
    times = [entry.stat(follow_symlinks=False).st_mtime for entry in os.scandir(folder)]
    return max(times, default=0.0)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except OSError:
        return False


def _holder(descriptor: int) -> Holder | None:
    """Returns whom a lock file names; nobody where it is empty or damaged."""
    try:
        record = parse_json(os.pread(descriptor, MOST, 0), Path(LOCK))
        return Holder(int(record["pid"]), str(record["host"]))
    except (OSError, CheckpointError, LookupError, TypeError, ValueError):
        return None


def _text(holder: Holder) -> bytes:
    return (json.dumps({"pid": holder.pid, "host": holder.host}) + "\n").encode()
