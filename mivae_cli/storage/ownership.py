"""What mivae may write and remove: files and folders that it made itself.

Drafts have names of a form that nobody else gives a file. No file is written through a symbolic
link, or through a hard link that something else shares. No folder is removed that holds anything
but regular files of expected names.
"""

__all__ = [
    "draft_of",
    "drafted",
    "foreign",
    "holds_only",
    "open_own",
    "remove_drafts",
    "remove_folder",
    "remove_tree",
    "set_aside",
]

import errno
import os
import re
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from ..errors import CheckpointError

DRAFT_NAME = re.compile(r"\.draft-[0-9a-f]{12}-(.+)", re.DOTALL)
LONGEST = 50  # characters of a name that its draft repeats; a file system takes 255 bytes


def draft_of(path: Path) -> Path:
    """Returns a name beside a path, which nothing has yet, for what is to take its place."""
    return path.with_name(f".draft-{secrets.token_hex(6)}-{path.name[-LONGEST:]}")


def drafted(name: str) -> str | None:
    """Returns the name of the file or folder that a draft is of, or None for other names."""
    found = DRAFT_NAME.fullmatch(name)
    return None if found is None else found[1]


def remove_drafts(path: Path) -> None:
    """Removes the drafts of a file that processes have left which did not finish it."""
    with suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            if drafted(entry.name) == path.name and entry.is_file(follow_symlinks=False):
                os.unlink(entry)


def holds_only(folder: Path, names: re.Pattern[str]) -> bool:
    """Tells whether a folder holds only regular files of some names, and drafts of such files.

    A link to a folder does not count as one. An empty folder holds nothing else.

    Raises:
        OSError: The folder cannot be read.
    """
    if folder.is_symlink() or not folder.is_dir():
        return False
    with os.scandir(folder) as entries:
        return all(
            entry.is_file(follow_symlinks=False)
            and names.fullmatch(drafted(entry.name) or entry.name)
            for entry in entries
        )


def remove_folder(folder: Path, names: re.Pattern[str], last: str = "") -> None:
    """Removes a folder that holds only files of some names.

    Arguments:
        folder: The folder.
        names: The names of files that may be removed.
        last: The file to remove after all others.

    Raises:
        OSError: It holds anything else, and is left as it is, or it cannot be removed.
    """
    if not holds_only(folder, names):
        raise OSError(errno.ENOTEMPTY, "it holds files that mivae did not write", str(folder))
    for name in sorted(os.listdir(folder), key=lambda name: name == last):
        os.unlink(folder / name)
    os.rmdir(folder)


def remove_tree(folder: Path, names: re.Pattern[str]) -> None:
    """Removes a folder that readers may be looking for: first its name, then what it holds.

    What cannot be deleted stays under the name of a draft.

    Raises:
        OSError: It holds anything but files of these names, and is left as it is, or it cannot
            be renamed.
    """
    if not holds_only(folder, names):
        raise OSError(errno.ENOTEMPTY, "it holds files that mivae did not write", str(folder))
    dropped = draft_of(folder)
    os.rename(folder, dropped)
    with suppress(OSError):
        remove_folder(dropped, names)


def set_aside(path: Path) -> None:
    """Renames a damaged file NAME.EXT, if it is there, to NAME.damaged.EXT or a name like that.

    Raises:
        OSError: It cannot be renamed.
    """
    aside, number = path.with_name(f"{path.stem}.damaged{path.suffix}"), 1
    while os.path.lexists(aside):
        number += 1
        aside = path.with_name(f"{path.stem}.damaged-{number}{path.suffix}")
    with suppress(FileNotFoundError):
        os.rename(path, aside)


def open_own(path: Path, create: bool = True) -> int:
    """Opens a file to read and write; returns its descriptor.

    Arguments:
        path: The file.
        create: Whether to create it where there is none.

    Raises:
        CheckpointError: It is a symbolic link, a hard link that something else shares, or no
            regular file: to write it would change something else.
        OSError: It cannot be opened.
    """
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    if problem := foreign(path):
        raise CheckpointError(problem)
    descriptor = os.open(path, flags | (os.O_CREAT if create else 0), 0o666)
    if problem := _not_own(path, os.fstat(descriptor)):  # it has been replaced since
        os.close(descriptor)
        raise CheckpointError(problem)
    return descriptor


def foreign(path: Path) -> str:
    """Returns why a file may not be written in its place, or nothing where it may be."""
    try:
        return _not_own(path, path.lstat())
    except FileNotFoundError:
        return ""


def _not_own(path: Path, status: os.stat_result) -> str:
    if stat.S_ISLNK(status.st_mode):
        return (
            f"'{path}' is a symbolic link, and mivae writes no file through one: remove the link"
        )
    if not stat.S_ISREG(status.st_mode):
        return f"'{path}' is not a regular file: remove it"
    if status.st_nlink > 1:
        return (
            f"'{path}' has another name elsewhere (a hard link), and writing it would change that "
            f"file too: replace it by a copy (cp '{path}' copy && mv copy '{path}')"
        )
    return ""
