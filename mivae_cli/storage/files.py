"""Files that are whole or not there, and files read without trusting them.

What is written goes to a draft beside its place, then to the disk (fsync), and takes its name
last. What is read must be a plain file: a link, a directory or a pipe in its place is damage.
"""

__all__ = [
    "DRAFT",
    "PLAIN_NAME",
    "open_plain",
    "parse_json",
    "plain_bytes",
    "remove_tree",
    "sync_file",
    "sync_folder",
    "write_durably",
    "write_synced",
]

import json
import os
import re
import shutil
import stat
from io import BufferedReader
from pathlib import Path
from typing import Any, NoReturn

from ..errors import CheckpointError

DRAFT = ".draft-"  # how the names of files and folders begin that are not whole yet
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def write_durably(path: Path, data: bytes) -> None:
    """Puts a whole file in the place of what is there; a crash leaves the one or the other."""
    draft = path.with_name(DRAFT + path.name)
    write_synced(draft, data)
    os.replace(draft, path)
    sync_folder(path.parent)


def write_synced(path: Path, data: bytes) -> None:
    """Writes a file and waits until the disk has it."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


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


def remove_tree(folder: Path) -> None:
    """Removes a folder that readers may be looking for: first its name, then what it holds."""
    dropped = folder.with_name(f"{DRAFT}dropped-{folder.name}")
    shutil.rmtree(dropped, ignore_errors=True)
    os.rename(folder, dropped)
    shutil.rmtree(dropped, ignore_errors=True)


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
        raise CheckpointError(f"cannot read '{path}': {_reason(error)}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise CheckpointError(f"'{path}' is damaged: it is no file")
    return os.fdopen(descriptor, "rb")


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
            raise CheckpointError(f"cannot read '{path}': {_reason(error)}") from error


def parse_json(data: bytes, path: Path) -> Any:  # noqa: ANN401  # whatever JSON can hold
    """Returns what a JSON text says; NaN and Infinity are not JSON.

    Raises:
        CheckpointError: It is no JSON, or nested beyond reason.
    """
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else error
        raise CheckpointError(f"'{path}' is damaged: it is no JSON ({reason})") from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
