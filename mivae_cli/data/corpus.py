"""Assign files and sentences to splits.

The training text can consist of several files: named one by one, by a pattern, or as a folder
without a training file of its own. They are read in the given order; those of a pattern or a folder
are sorted by name.
"""

__all__ = ["Files", "hash_shares", "locate_splits"]

import glob
import hashlib
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .. import limits
from ..config.data import DataConfig
from ..errors import DataError, listing
from .file_formats import EXTENSIONS, UNREADABLE, check_file, check_settings, format_of

Split = Literal["train", "valid", "test"]
Files = dict[Split, tuple[Path, ...]]
SPLIT_NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "valid": ("valid", "validation", "val", "dev"),
    "test": ("test",),
}
DEFAULTS = DataConfig()


def locate_splits(config: DataConfig) -> Files:
    """Returns the training files, and the files of other splits that are not split off from them.

    Only the training split can have several files.

    Raises:
        ConfigError: A setting for tables or JSON is given, but no file has that format.
        DataError: A file does not exist or is not text, a folder or a pattern has no training file,
            or a training file is given twice.
    """
    try:
        files = _located(config)
        paths = [path for split in files for path in files[split]]
        for path in paths:
            check_file(path)
        _check_distinct(files["train"])
        given = [key for key, value in config if value != getattr(DEFAULTS, key)]
        forms = {format_of(path, config.format) for path in paths}
        check_settings(given, forms, str(files["train"][0]))
        return files
    except OSError as error:  # such as a name that is too long, or a folder without permission
        raise DataError(f"cannot read '{error.filename}': {error.strerror}") from error


def hash_shares(sentences: Sequence[str]) -> NDArray[np.float64]:
    """Returns the hash of each sentence as a number in [0, 1), with shape (N,).

    The split of a sentence depends only on this number. Duplicates are therefore in the same
    split, and the test set of a growing corpus stays held out.
    """
    blake2b = hashlib.blake2b  # a local name is faster: this runs for every sentence
    digests = [blake2b(sentence.encode(), digest_size=8).digest() for sentence in sentences]
    return np.frombuffer(b"".join(digests), ">u8") / 2.0**64


def _located(config: DataConfig) -> Files:
    entries = config.train_paths
    given: dict[Split, str] = {"valid": config.valid, "test": config.test}
    named: Files = {split: (Path(path),) for split, path in given.items() if path}
    held_out = {os.path.realpath(path) for paths in named.values() for path in paths}
    if len(entries) > 1 or not Path(entries[0]).is_dir():
        train = [path for entry in entries for path in _expanded(entry, held_out, len(entries))]
        return {"train": tuple(train), **named}
    source = Path(entries[0])
    found: Files = {
        split: (path,)
        for split, names in SPLIT_NAMES.items()
        if split not in named and (path := _find(source, split, names))
    }
    if "train" not in found:
        of_splits = {os.path.realpath(path) for paths in found.values() for path in paths}
        found["train"] = _texts(source, held_out | of_splits)
    return {"train": found["train"], **found, **named}


def _expanded(entry: str, held_out: Collection[str], entries: int) -> tuple[Path, ...]:
    """Returns the files that a path, a folder or a pattern stands for, without held-out files."""
    path = Path(entry)
    if entry == "-" and entries > 1:
        raise DataError("standard input (-) cannot be combined with other texts; remove it")
    if path.is_dir():
        for split, names in SPLIT_NAMES.items():
            if own := _find(path, split, names):
                raise DataError(
                    f"folder '{path}' has a {split} split ('{own.name}'): name this folder alone, or "
                    "name its files"
                )
        return _texts(path, held_out)
    if not glob.has_magic(entry) or os.path.lexists(path):
        return (path,)
    matches = map(Path, sorted(glob.glob(entry, recursive=True)))
    found = tuple(
        path for path in matches if path.is_file() and os.path.realpath(path) not in held_out
    )
    if not found:
        raise DataError(f"no file matches the pattern '{entry}'")
    return found


def _texts(folder: Path, held_out: Collection[str]) -> tuple[Path, ...]:
    """Returns the text files in a folder that has no training file, sorted by name.

    A file in an unsupported format is returned too, so that it causes an error later.
    """
    found = tuple(
        path
        for path in sorted(folder.iterdir())
        if path.name.lower().removesuffix(".gz").endswith((*EXTENSIONS, *UNREADABLE))
        and not path.name.startswith(".")
        and path.is_file()
        and os.path.realpath(path) not in held_out
    )
    if not found:
        raise DataError(
            f"no training text in folder '{folder}'; expected train.txt or other files with one of "
            f"the extensions {', '.join(EXTENSIONS)}"
        )
    return found


def _check_distinct(paths: Sequence[Path]) -> None:
    """Raises DataError if there are too many files, or one is given twice."""
    if len(paths) > limits.MAX_CORPUS_FILES:
        raise DataError(
            f"the training text has {len(paths):,} files; the maximum is "
            f"{limits.MAX_CORPUS_FILES:,}: concatenate them"
        )
    seen: set[str] = set()
    for path in paths:
        if (real := os.path.realpath(path)) in seen:
            raise DataError(f"'{path}' is given twice as training text; name it once")
        seen.add(real)


def _find(folder: Path, split: Split, names: tuple[str, ...]) -> Path | None:
    """Returns the file of a split in a folder, or None; raises DataError if there are several.

    A file in an unsupported format is returned too, so that it causes an error later.
    """
    found, unreadable = [], []
    for path in sorted(folder.iterdir()):
        name, _, rest = path.name.partition(".")
        ending = f".{rest.lower()}"
        if name not in names or not path.is_file():
            continue
        if ending.removesuffix(".gz") in EXTENSIONS:
            found.append(path)
        elif ending.endswith(UNREADABLE):
            unreadable.append(path)
    if len(found) > 1:
        option = "its path" if split == "train" else f"--{split}"
        raise DataError(
            f"folder '{folder}' has {len(found)} files for the {split} split "
            f"({listing(repr(path.name) for path in found)}); keep one of them, or choose one with "
            f"{option}"
        )
    found = found or unreadable
    return found[0] if found else None
