"""The lock of a run: only one process at a time may write it.

The lock is a file that names its holder, who also locks it with `flock`; the kernel releases that
when the process ends, so a stale lock file is recognised. On network file systems `flock` may
fail, or not work between machines. A holder on another machine, or without `flock`, therefore
counts as alive until nothing in the folder has been modified for `STALE_SECONDS`.
"""

__all__ = ["LOCK", "is_lock", "lock_holder", "locked"]

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from .. import limits
from ..errors import CheckpointError, ConfigError
from .files import last_modified, read_plain, writable
from .ownership import open_own
from .sealed_json import parse_json

LOCK = "lock.json"
STALE_SECONDS = 600.0
MOUNTS = Path("/proc/self/mountinfo")
LOCAL = {"btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "xfs", "zfs"}


class Holder(NamedTuple):
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
            me = {"pid": os.getpid(), "host": socket.gethostname()}
            os.pwrite(descriptor, (json.dumps(me) + "\n").encode(), 0)
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
    with suppress(CheckpointError):
        data = read_plain(path, limits.MAX_LOCK_BYTES)
        return not data or _named(data) is not None
    return False


def _acquired(path: Path) -> int:
    """Returns a descriptor that holds the lock; raises OSError or as `locked`."""
    while True:
        descriptor = open_own(path)
        try:
            holder = _holder(descriptor)
            own = holder is None or holder.host == socket.gethostname()
            certain = own or _is_local(path.parent)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                who = holder or "another process"
                raise ConfigError(
                    f"'{path.parent}' is being written by {who}: wait until it ends, or choose "
                    "another output directory (--out; in Python, out=)"
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
    """Whether this kernel knows all locks in a folder, even those of earlier host names."""
    with suppress(OSError):
        device = os.stat(folder).st_dev
        place = f"{os.major(device)}:{os.minor(device)}"
        for line in MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines():
            mount, _, kind = line.partition(" - ")
            if mount.split()[2] == place:
                return kind.split()[0] in LOCAL
    return False


def _is_at(descriptor: int, path: Path) -> bool:
    with suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    return False


def _holder(descriptor: int) -> Holder | None:
    """Returns the holder that a lock file names, or None if it is empty or damaged."""
    with suppress(OSError, CheckpointError):
        return _named(os.pread(descriptor, limits.MAX_LOCK_BYTES, 0))
    return None


def _named(data: bytes) -> Holder | None:
    match parse_json(data, Path(LOCK)):
        case {"pid": int(pid), "host": str(host)}:
            return Holder(pid, host)
        case _:
            return None
