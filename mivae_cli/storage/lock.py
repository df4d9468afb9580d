"""The lock of a run: only one process at a time may write it.

The lock is a file that names its holder. The holder also locks the file with `flock`, which the
kernel releases when the process ends for any reason, so a stale lock file is recognised. Network
file systems may not support `flock`, or not between machines. A holder on another machine, or on
a file system without `flock`, therefore counts as alive until nothing in the folder has been
modified for `STALE_SECONDS`.
"""

__all__ = ["LOCK", "is_lock", "lock_holder", "locked"]

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from .. import limits
from ..errors import CheckpointError, ConfigError
from .files import last_modified, read_plain, writable
from .json_values import parse_json
from .ownership import open_own

LOCK = "lock.json"
STALE_SECONDS = 600.0
MOUNTS = Path("/proc/self/mountinfo")
LOCAL = {"btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "xfs", "zfs"}


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock."""

    pid: int
    host: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Context manager that holds a folder's lock.

    Raises:
        ConfigError: Another process, named in the message, holds the lock, or the folder is not
            writable.
        CheckpointError: The lock file is a link or not a regular file.
    """
    path = folder / LOCK
    with writable(path):
        descriptor = _acquired(path)
    try:
        with suppress(OSError):  # on a full disk, flock works without a holder in the file
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, _text(_me()), 0)
        yield
    finally:
        if _is_at(descriptor, path):  # otherwise it was deleted and may have been created again
            with suppress(OSError):
                path.unlink()
        os.close(descriptor)


def lock_holder(folder: Path) -> str | None:
    """Returns a description of the process that holds a folder's lock, or None."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return str(_holder(descriptor) or "another process")
    except OSError:  # the file system does not support flock
        return None
    finally:
        os.close(descriptor)
    return None


def is_lock(path: Path) -> bool:
    """Whether a file is a lock file: it names a holder, or is empty because it is new."""
    try:
        data = read_plain(path, limits.MAX_LOCK_BYTES)
        return not data or _named(data) is not None
    except CheckpointError:
        return False


def _acquired(path: Path) -> int:
    """Returns a descriptor that holds the lock.

    Raises:
        ConfigError: Another process holds the lock, or may hold it.
        CheckpointError: Writing the lock file would change another file.
        OSError: The file cannot be created or opened.
    """
    while True:
        descriptor = open_own(path)
        try:
            holder = _holder(descriptor)
            certain = holder is None or holder.host == _me().host or _is_local(path.parent)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                who = holder or "another process"
                raise ConfigError(
                    f"'{path.parent}' is being written by {who}: wait until it ends, or choose "
                    "another directory with --out"
                ) from error
            except OSError:  # no flock: only the holder in the file counts
                certain = holder is None
            if not _is_at(descriptor, path):  # the holder removed it between the two calls
                os.close(descriptor)
                continue
            if not certain and time.time() - last_modified(path.parent) < STALE_SECONDS:
                raise ConfigError(
                    f"{holder} has recently written '{path.parent}' and may still be running: if "
                    f"it is not, delete '{path}'"
                )
        except (ConfigError, OSError):
            os.close(descriptor)
            raise
        return descriptor


def _is_local(folder: Path) -> bool:
    """Whether a folder is on a local file system, so that this kernel knows all locks.

    A restarted container has another host name, but need not wait on a local file system.
    """
    with suppress(OSError):
        device = os.stat(folder).st_dev
        place = f"{os.major(device)}:{os.minor(device)}"
        for line in MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines():
            mount, _, kind = line.partition(" - ")
            if mount.split()[2] == place:
                return kind.split()[0] in LOCAL
    return False


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except OSError:
        return False


def _holder(descriptor: int) -> Holder | None:
    """Returns the holder that a lock file names, or None if it is empty or damaged."""
    try:
        return _named(os.pread(descriptor, limits.MAX_LOCK_BYTES, 0))
    except (OSError, CheckpointError):
        return None


def _named(data: bytes) -> Holder | None:
    match parse_json(data, Path(LOCK)):
        case {"pid": int(pid), "host": str(host)}:
            return Holder(pid, host)
        case _:
            return None


def _me() -> Holder:
    return Holder(os.getpid(), socket.gethostname())


def _text(holder: Holder) -> bytes:
    return (json.dumps({"pid": holder.pid, "host": holder.host}) + "\n").encode()
