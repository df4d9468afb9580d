"""Write files atomically, and read untrusted files.

Data is written to a draft in the same folder, synced to disk (fsync) and then renamed. Files to
read must be regular: a link, directory or pipe counts as damage.
"""

__all__ = [
    "PLAIN_NAME",
    "atomic_file",
    "check_not_sparse",
    "copy_durably",
    "last_modified",
    "open_checked",
    "open_plain",
    "read_plain",
    "sync_file",
    "sync_folder",
    "writable",
    "write_durably",
    "write_synced",
]

import errno
import fcntl
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path

from .. import limits
from ..errors import CheckpointError, ConfigError, reason
from .ownership import draft_path, remove_drafts

FICLONE = 0x40049409  # Linux ioctl: share blocks between two files until one is written
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@contextmanager
def writable(path: Path) -> Iterator[None]:
    """Context manager that turns an OSError into a ConfigError that names the file."""
    try:
        yield
    except OSError as error:
        raise ConfigError(f"cannot write '{path}': {reason(error)}") from error


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Context manager that replaces a file on success; yields the path of a draft to write.

    Raises:
        ConfigError: The file cannot be written, or the path exists and is not a regular file.
    """
    path = Path(os.path.realpath(path))  # keep a link and replace its target
    with writable(path):
        if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
            raise FileExistsError(errno.EEXIST, "it exists and is not a regular file")
        draft = draft_path(path)
        draft.open("xb").close()
        try:
            yield draft
            sync_file(draft)
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)


def write_durably(path: Path, data: bytes) -> None:
    """Replaces a file atomically: a crash leaves either the old or the new content.

    No other process may write the same file; drafts left by earlier ones are removed.
    """
    remove_drafts(path)
    draft = draft_path(path)
    try:
        write_synced(draft, data)
        os.replace(draft, path)
    except OSError:
        with suppress(OSError):  # free space on a full disk for the next attempt
            draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_synced(path: Path, data: bytes) -> None:
    """Writes a new file and syncs it to disk."""
    with path.open("xb") as file:  # exclusive: never writes through a link
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def copy_durably(source: Path, target: Path) -> None:
    """Copies a file to a new path, sharing blocks if the file system can, and syncs it to disk.

    Raises:
        CheckpointError: The source is not a regular file or cannot be opened.
        OSError: The file cannot be copied.
    """
    with open_plain(source) as original, target.open("xb") as copy:
        try:
            fcntl.ioctl(copy, FICLONE, original.fileno())
        except OSError:
            shutil.copyfileobj(original, copy, 2**20)
        copy.flush()
        os.fsync(copy.fileno())


def sync_file(path: Path) -> None:
    """Syncs a file to disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Syncs the entries of a folder to disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def last_modified(folder: Path) -> float:
    """Returns the latest modification time of a folder's entries, in seconds since 1970."""
    times = [0.0]
    for entry in folder.iterdir():
        with suppress(FileNotFoundError):  # a draft that has just been renamed
            times.append(entry.lstat().st_mtime)
    return max(times)


def open_plain(path: Path) -> BufferedReader:
    """Opens a regular file for reading.

    Raises:
        CheckpointError: The file is missing, cannot be read, or is a link, a directory or a pipe.
    """
    # without O_NONBLOCK, opening a pipe would wait for a writer
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        if path.is_symlink():
            raise CheckpointError(f"'{path}' is a link: replace it by the file it points to")
        descriptor = os.open(path, flags)
    except FileNotFoundError as error:
        raise CheckpointError(f"'{path}' is missing") from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot read '{path}': {reason(error)}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise CheckpointError(f"'{path}' is damaged: it is not a regular file")
    return os.fdopen(descriptor, "rb")


def check_not_sparse(file: BufferedReader, path: Path) -> None:
    """Raises CheckpointError if an open file consists almost entirely of holes.

    A sparse file of a terabyte takes no space on disk or in an archive, and hours to read. File
    systems with compression do not turn data into holes.
    """
    status = os.fstat(file.fileno())
    on_disk = 512 * status.st_blocks
    if status.st_size <= max(limits.SMALL_FILE_BYTES, limits.MAX_SPARSE_RATIO * on_disk):
        return
    try:
        hole = os.lseek(file.fileno(), 0, os.SEEK_HOLE)
        os.lseek(file.fileno(), 0, os.SEEK_SET)
    except OSError:  # not supported by the file system
        return
    if hole < status.st_size:
        raise CheckpointError(
            f"'{path}' is damaged: it is a sparse file of {status.st_size:,} bytes with only "
            f"{on_disk:,} on disk"
        )


def read_plain(path: Path, limit: int) -> bytes:
    """Returns the content of a regular file.

    Raises:
        CheckpointError: The file cannot be read, or has more than `limit` bytes.
    """
    with open_checked(path, limit) as file:
        return file.read(limit)


@contextmanager
def open_checked(path: Path, limit: int | None = None) -> Iterator[BufferedReader]:
    """Context manager that opens a regular file; turns an OSError into a CheckpointError.

    Raises:
        CheckpointError: The file cannot be read, or has more than `limit` bytes.
    """
    with open_plain(path) as file:
        try:
            size = os.fstat(file.fileno()).st_size
            if limit is not None and size > limit:
                raise CheckpointError(
                    f"'{path}' is damaged: {size:,} bytes exceed the limit of {limit:,}"
                )
            yield file
        except OSError as error:
            raise CheckpointError(f"cannot read '{path}': {reason(error)}") from error
