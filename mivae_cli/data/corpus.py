"""Read the sentences of text files, and assign files and sentences to splits.

A sentence is a line of a text file, a JSON value or a field of one, or a cell of a table; `.gz`
files are unpacked. Blank sentences are skipped and counted. The number of a sentence is its line
in the file, counted from 1, or the last line of its table row.
"""

__all__ = [
    "hash_shares",
    "locate_splits",
    "numbered_sentences",
    "read_sentences",
    "split_of",
]

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..config.data import DataConfig
from ..errors import DataError, listing
from .file_formats import EXTENSIONS, UNREADABLE, check_file, check_settings, format_of
from .lines import Digest
from .records import RowCounts, TextRecords

Split = Literal["train", "valid", "test"]
SPLIT_NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "valid": ("valid", "validation", "val", "dev"),
    "test": ("test",),
}
DEFAULTS = DataConfig()


def read_sentences(
    path: Path, config: DataConfig, counts: RowCounts | None = None
) -> Iterator[str]:
    """Yields the sentences of a file without leading and trailing white space.

    Arguments:
        path: The file.
        config: Settings for reading it.
        counts: Updated with the numbers of rows read and skipped, if given.

    Raises:
        DataError: The file is missing, is not UTF-8 text, lacks the column, or has a malformed
            row; the message names the line.
    """
    return (record.text for record in TextRecords(path, config, counts))


def numbered_sentences(
    path: Path,
    config: DataConfig,
    counts: RowCounts | None = None,
    digest: Digest | None = None,
) -> Iterator[tuple[int, str]]:
    """Yields pairs of number and sentence; otherwise like `read_sentences`.

    Arguments:
        path: The file.
        config: Settings for reading it.
        counts: Updated with the numbers of rows read and skipped, if given.
        digest: Updated with the bytes of the file; see `lines.opened`.
    """
    return ((record.line, record.text) for record in TextRecords(path, config, counts, digest))


def locate_splits(config: DataConfig) -> dict[Split, Path]:
    """Returns the training file, and the files of other splits that are not split off from it.

    Raises:
        ConfigError: A setting for tables or JSON is given, but no file has that format.
        DataError: A file does not exist or is not text, or a folder has no training file.
    """
    try:
        files = _located(config)
        given = [key for key, value in config if value != getattr(DEFAULTS, key)]
        forms = {format_of(path, config.format) for path in files.values()}
        check_settings(given, forms, str(files["train"]))
        return files
    except OSError as error:  # such as a name that is too long, or a folder without permission
        raise DataError(f"cannot read '{error.filename}': {error.strerror}") from error


def split_of(sentence: str, valid_share: float, test_share: float) -> Split:
    """Returns the split of a sentence, which depends only on its hash.

    Duplicates are therefore in the same split, and the test set of a growing corpus stays held out.
    """
    [share] = hash_shares([sentence])
    if share < test_share:
        return "test"
    return "valid" if share < test_share + valid_share else "train"


def hash_shares(sentences: Sequence[str]) -> NDArray[np.float64]:
    """Returns the hash of each sentence as a number in [0, 1), with shape (N,)."""
    blake2b = hashlib.blake2b  # a local name is faster: this runs for every sentence
    digests = [blake2b(sentence.encode(), digest_size=8).digest() for sentence in sentences]
    return np.frombuffer(b"".join(digests), ">u8") / 2.0**64


def _located(config: DataConfig) -> dict[Split, Path]:
    source = Path(config.train)
    files: dict[Split, Path] = {}
    if source.is_dir():
        named = {"valid": config.valid, "test": config.test}
        for split, names in SPLIT_NAMES.items():
            if not named.get(split) and (found := _find(source, split, names)):
                files[split] = found
        if "train" not in files:
            wanted = ", ".join(f"train{extension}" for extension in EXTENSIONS)
            raise DataError(f"no training text in folder '{source}'; expected {wanted}")
    else:
        files["train"] = source
    if config.valid:
        files["valid"] = Path(config.valid)
    if config.test:
        files["test"] = Path(config.test)
    for path in files.values():
        check_file(path)
    return files


def _find(folder: Path, split: Split, names: tuple[str, ...]) -> Path | None:
    """Returns the file of a split in a folder, or None.

    A file in an unsupported format is returned too, so that it causes an error later.

    Raises:
        DataError: The folder has several files for the split.
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
