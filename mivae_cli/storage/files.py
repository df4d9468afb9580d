"""Files that are whole or not there, and files read without trusting them.

What is written goes to a draft beside its place, then to the disk (fsync), and takes its name
last. What is read must be a plain file: a link, a directory or a pipe in its place is damage.
"""

__all__ = [
    "PLAIN_NAME",
    "check_dense",
    "copy_durably",
    "last_written",
    "open_plain",
    "parse_json",
    "plain_bytes",
    "sync_file",
    "sync_folder",
    "whole",
    "writable",
    "write_durably",
    "write_synced",
]

import errno
import fcntl
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import Any, NoReturn

from .. import limits
from ..errors import CheckpointError, ConfigError, reason
from .ownership import draft_of, remove_drafts

FICLONE = 0x40049409  # has two files share their blocks until one is written
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@contextmanager
def writable(path: Path) -> Iterator[None]:
    """Says of what cannot be written that the user may mend it.

    Raises:
        ConfigError: What is inside has raised an OSError.
    """
    try:
        yield
    except OSError as error:
        raise ConfigError(f"cannot write '{path}': {reason(error)}") from error


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Gives a draft to write, which then takes a file's name, or goes where that fails.

    Raises:
        ConfigError: It cannot be written, or something other than a regular file has that name.
    """
    path = Path(os.path.realpath(path))  # a link stays one
    with writable(path):
        if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
            raise FileExistsError(errno.EEXIST, "it exists and is not a regular file")
        draft = draft_of(path)
        draft.open("xb").close()
        try:
            yield draft
            sync_file(draft)
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)


def write_durably(path: Path, data: bytes) -> None:
    """Puts a whole file in the place of the one that is there; a crash leaves either of them.

    The caller is the only one who writes it; drafts that earlier ones have left are removed.
    """
    remove_drafts(path)
    draft = draft_of(path)
    try:
        write_synced(draft, data)
        os.replace(draft, path)
    except OSError:
        with suppress(OSError):  # on a full disk, room for the next attempt
            draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_synced(path: Path, data: bytes) -> None:
    """Writes a file that is not there yet, and waits until the disk has it."""
    with path.open("xb") as file:  # never through a link that somebody has put there
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def copy_durably(source: Path, target: Path) -> None:
    """Copies a file to where there is none yet, and waits until the disk has it.

    Where the file system can, the two share their blocks until one of them is written.

    Raises:
        CheckpointError: The source is not a plain file or cannot be opened.
        OSError: It cannot be copied.
    """
    with open_plain(source) as original, target.open("xb") as copy:
        try:
            fcntl.ioctl(copy, FICLONE, original.fileno())
        except OSError:
            shutil.copyfileobj(original, copy, 2**20)
        copy.flush()
        os.fsync(copy.fileno())


def sync_file(path: Path) -> None:
    """Waits until the disk has a file that somebody else has written."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Waits until the disk has the names in a folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def last_written(folder: Path) -> float:
    """Returns when something in a folder was last written, in seconds since 1970."""
    times = [0.0]
    for entry in folder.iterdir():
        with suppress(FileNotFoundError):  # a draft that has taken its name meanwhile
            times.append(entry.lstat().st_mtime)
    return max(times)


def open_plain(path: Path) -> BufferedReader:
    """Opens a file to read, if it is one.

    Raises:
        CheckpointError: It is missing, cannot be read, or is a link, a directory or a pipe.
    """
    # without O_NONBLOCK, to open a pipe waits for somebody to write into it
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        if path.is_symlink():
            raise CheckpointError(f"'{path}' is a link: a run holds its files itself")
        descriptor = os.open(path, flags)
    except FileNotFoundError as error:
        raise CheckpointError(f"'{path}' is missing") from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot read '{path}': {reason(error)}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise CheckpointError(f"'{path}' is damaged: it is no file")
    return os.fdopen(descriptor, "rb")


def check_dense(file: BufferedReader, path: Path) -> None:
    """Raises CheckpointError if an open file is almost all hole.

    A file of a terabyte can take no room on a disk, or in an archive, and hours to read. A file
    system that compresses its files makes no holes of data.
    """
    status = os.fstat(file.fileno())
    on_disk = 512 * status.st_blocks
    if status.st_size <= max(limits.SMALL_FILE_BYTES, limits.MAX_SPARSE_RATIO * on_disk):
        return
    try:
        hole = os.lseek(file.fileno(), 0, os.SEEK_HOLE)
        os.lseek(file.fileno(), 0, os.SEEK_SET)
    except OSError:  # a file system that does not tell
        return
    if hole < status.st_size:
        raise CheckpointError(
            f"'{path}' is damaged: of the {status.st_size:,} bytes that it claims, {on_disk:,} are "
            "on the disk (a sparse file)"
        )


def plain_bytes(path: Path, most: int) -> bytes:
    """Returns what a file holds.

    Raises:
        CheckpointError: It cannot be read, or holds more than `most` bytes.
    """
    with open_plain(path) as file:
        try:
            size = os.fstat(file.fileno()).st_size
            if size > most:
                raise CheckpointError(
                    f"'{path}' is damaged: it has {size:,} bytes, and no such file has more than "
                    f"{most:,}"
                )
            return file.read(most)
        except OSError as error:
            raise CheckpointError(f"cannot read '{path}': {reason(error)}") from error


def parse_json(data: bytes, path: Path) -> Any:  # noqa: ANN401  # whatever JSON can hold
    """Returns what a JSON text says; NaN and Infinity are not JSON.

    Raises:
        CheckpointError: It is no JSON, or nested beyond reason.
    """
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else error
        raise CheckpointError(f"'{path}' is damaged: it is no JSON ({why})") from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")
