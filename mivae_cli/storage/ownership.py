"""Restrict writing and removing to files and folders that mivae itself created.

Drafts have a distinctive name. No file is written through a symbolic link, or if it has another
hard link. A folder is removed only if it contains nothing but regular files of expected names.
"""

__all__ = [
    "check_no_links",
    "draft_path",
    "draft_target",
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
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ..errors import CheckpointError

DRAFT_NAME = re.compile(r"\.draft-[0-9a-f]{12}-(.+)", re.DOTALL)
LONGEST = 50  # characters of a name that its draft repeats; file systems allow 255 bytes


def draft_path(path: Path) -> Path:
    """Returns an unused path in the same folder for a draft of a file or folder."""
    return path.with_name(f".draft-{secrets.token_hex(6)}-{path.name[-LONGEST:]}")


def draft_target(name: str) -> str | None:
    """Returns the name of the file or folder that a draft will become; None for other names."""
    return found[1] if (found := DRAFT_NAME.fullmatch(name)) else None


def remove_drafts(path: Path) -> None:
    """Removes drafts of a file left by interrupted processes."""
    with suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            if draft_target(entry.name) == path.name and entry.is_file(follow_symlinks=False):
                os.unlink(entry)


def holds_only(folder: Path, names: re.Pattern[str]) -> bool:
    """Whether a folder contains only regular files of these names, and drafts of such files.

    False for a link to a folder, true for an empty folder; raises OSError if it cannot be read.
    """
    if folder.is_symlink() or not folder.is_dir():
        return False
    with os.scandir(folder) as entries:
        return all(
            entry.is_file(follow_symlinks=False)
            and names.fullmatch(draft_target(entry.name) or entry.name)
            for entry in entries
        )


def remove_folder(folder: Path, names: re.Pattern[str], last: str = "") -> None:
    """Removes a folder that contains only files of these names, the file `last` after all others.

    Raises:
        OSError: The folder contains other files and is unchanged, or it cannot be removed.
    """
    if not holds_only(folder, names):
        raise OSError(errno.ENOTEMPTY, "it contains files that mivae did not write", str(folder))
    for name in sorted(os.listdir(folder), key=lambda name: name == last):
        os.unlink(folder / name)
    os.rmdir(folder)


def remove_tree(folder: Path, names: re.Pattern[str]) -> None:
    """Removes a folder that other processes may be reading, by renaming it to a draft first.

    Files that cannot be deleted remain in the draft.

    Raises:
        OSError: The folder contains other files and is unchanged, or it cannot be renamed.
    """
    if not holds_only(folder, names):
        raise OSError(errno.ENOTEMPTY, "it contains files that mivae did not write", str(folder))
    dropped = draft_path(folder)
    os.rename(folder, dropped)
    with suppress(OSError):
        remove_folder(dropped, names)


def set_aside(path: Path) -> None:
    """Renames a damaged file NAME.EXT to NAME.damaged.EXT or NAME.damaged-2.EXT and so on."""
    aside, number = path.with_name(f"{path.stem}.damaged{path.suffix}"), 1
    while os.path.lexists(aside):
        number += 1
        aside = path.with_name(f"{path.stem}.damaged-{number}{path.suffix}")
    with suppress(FileNotFoundError):
        os.rename(path, aside)


def open_own(path: Path, create: bool = True) -> int:
    """Returns a descriptor of a file, open for reading and writing.

    With `create`, a missing file is created.

    Raises:
        CheckpointError: The file is a symbolic link, has another hard link, or is not a regular
            file: writing it would change another file.
        OSError: The file cannot be opened.
    """
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    check_no_links([path], [])
    descriptor = os.open(path, flags | (os.O_CREAT if create else 0), 0o666)
    try:
        _check_own(path, os.fstat(descriptor))  # it may just have been replaced
    except CheckpointError:
        os.close(descriptor)
        raise
    return descriptor


def check_no_links(files: Iterable[Path], folders: Iterable[Path]) -> None:
    """Checks that writing to files and folders, which need not exist, changes nothing elsewhere.

    Raises:
        CheckpointError: One of them is a link, or a file has another hard link.
    """
    for file in files:
        with suppress(FileNotFoundError):
            _check_own(file, file.lstat())
    for folder in folders:
        if folder.is_symlink():
            raise CheckpointError(
                f"'{folder}' is a symbolic link: replace it by the folder it points to"
            )


def _check_own(path: Path, status: os.stat_result) -> None:
    """Raises CheckpointError if writing a file would change another one."""
    if stat.S_ISLNK(status.st_mode):
        raise CheckpointError(
            f"'{path}' is a symbolic link, and mivae does not write through links: remove it"
        )
    if not stat.S_ISREG(status.st_mode):
        raise CheckpointError(f"'{path}' is not a regular file: remove it")
    if status.st_nlink > 1:
        raise CheckpointError(
            f"'{path}' has another hard link, and writing it would change that file too: "
            f"replace it by a copy (cp '{path}' copy && mv copy '{path}')"
        )
