"""Assign files and sentences to splits."""

__all__ = ["hash_shares", "locate_splits"]

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..config.data import DataConfig
from ..errors import DataError, listing
from .file_formats import EXTENSIONS, UNREADABLE, check_file, check_settings, format_of

Split = Literal["train", "valid", "test"]
SPLIT_NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "valid": ("valid", "validation", "val", "dev"),
    "test": ("test",),
}
DEFAULTS = DataConfig()


def locate_splits(config: DataConfig) -> dict[Split, Path]:
    """Returns the training file, and the files of other splits that are not split off from it.

    Raises:
        ConfigError: A setting for tables or JSON is given, but no file has that format.
        DataError: A file does not exist or is not text, or a folder has no training file.
    """
    try:
        files = _located(config)
        for path in files.values():
            check_file(path)
        given = [key for key, value in config if value != getattr(DEFAULTS, key)]
        forms = {format_of(path, config.format) for path in files.values()}
        check_settings(given, forms, str(files["train"]))
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


def _located(config: DataConfig) -> dict[Split, Path]:
    source = Path(config.train)
    given: dict[Split, str] = {"valid": config.valid, "test": config.test}
    named = {split: Path(path) for split, path in given.items() if path}
    if not source.is_dir():
        return {"train": source, **named}
    found = {
        split: path
        for split, names in SPLIT_NAMES.items()
        if split not in named and (path := _find(source, split, names))
    }
    if "train" not in found:
        wanted = ", ".join(f"train{extension}" for extension in EXTENSIONS)
        raise DataError(f"no training text in folder '{source}'; expected {wanted}")
    return found | named


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
