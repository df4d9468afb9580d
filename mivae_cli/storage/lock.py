"""One process at a time may write a run.

The lock is a file that names its holder. The holder also keeps it locked in the kernel, which
lets go when the process dies, however it dies: so a lock that was left behind is recognised.
Not every file system that machines share carries such locks between them, and some know none. A
holder on another machine, or on such a file system, therefore counts as alive for `QUIET` seconds
after anything in the folder was last written.
"""

__all__ = ["LOCK", "held_by", "is_lock", "locked"]

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
from .files import last_written, parse_json, plain_bytes, writable
from .ownership import open_own

LOCK = "lock.json"
QUIET = 600.0
MOUNTS = Path("/proc/self/mountinfo")
LOCAL = {"btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "xfs", "zfs"}


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
        ConfigError: Another process holds it, who, the message says; or the folder cannot be
            written.
        CheckpointError: In its place is a link, or no regular file.
    """
    path = folder / LOCK
    with writable(path):
        descriptor = _acquired(path)
    try:
        with suppress(OSError):  # on a full disk: the kernel's lock holds without a name in it
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, _text(_me()), 0)
        yield
    finally:
        if _is_at(descriptor, path):  # else it was deleted, and another's may be in its place
            with suppress(OSError):
                path.unlink()
        os.close(descriptor)


def held_by(folder: Path) -> str | None:
    """Returns who holds a folder's lock, or None where nobody does."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return str(_holder(descriptor) or "another process")
    except OSError:  # the file system knows no such locks
        return None
    finally:
        os.close(descriptor)
    return None


def is_lock(path: Path) -> bool:
    """Tells whether a file is a lock that names its holder, or is empty as a new one is."""
    try:
        data = plain_bytes(path, limits.MAX_LOCK_BYTES)
        return not data or _named(data) is not None
    except CheckpointError:
        return False


def _acquired(path: Path) -> int:
    """Returns a descriptor that holds the lock.

    Raises:
        ConfigError: Another process holds it, or may.
        CheckpointError: To write it would change something else.
        OSError: The file cannot be made or opened.
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
                    f"'{path.parent}' is being written by {who}: wait for it, or choose another "
                    "place with --out"
                ) from error
            except OSError:  # the file system knows no such locks: only names tell
                certain = holder is None
            if not _is_at(descriptor, path):  # its holder removed it between the two calls
                os.close(descriptor)
                continue
            if not certain and time.time() - last_written(path.parent) < QUIET:
                raise ConfigError(
                    f"'{path.parent}' was written a moment ago by {holder}, which may still be at "
                    f"it: if it is not, delete '{path}'"
                )
        except (ConfigError, OSError):
            os.close(descriptor)
            raise
        return descriptor


def _is_local(folder: Path) -> bool:
    """Tells whether a folder's file system is of this machine alone, whose kernel sees all locks.

    A container that is started again has another host name, and need not wait then.
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
    """Returns whom a lock file names; nobody where it is empty or damaged."""
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
