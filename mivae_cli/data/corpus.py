"""Sentences of text files, and the files and sentences that belong to each split.

A sentence is a line of a text file, a JSON value or its field, or a cell of a table; `.gz` on
top of any of these is unpacked on the way. Blank sentences are passed over, and counted. A
sentence's number is that of its line in the file, counted from 1; of a table's row, that of its
last line.
"""

__all__ = [
    "locate_splits",
    "numbered_sentences",
    "read_sentences",
    "shares",
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
    """Yields the sentences of a file, white space at their ends removed.

    Arguments:
        path: The file.
        config: How it is read.
        counts: Counts what is read and what is skipped, if given.

    Raises:
        DataError: The file is missing, is not UTF-8 text (the line is named), lacks the column,
            or has a row without a text.
    """
    return (record.text for record in TextRecords(path, config, counts))


def numbered_sentences(
    path: Path,
    config: DataConfig,
    counts: RowCounts | None = None,
    digest: Digest | None = None,
) -> Iterator[tuple[int, str]]:
    """Yields what `read_sentences` does, each sentence after its number.

    Arguments:
        path: The file.
        config: How it is read.
        counts: Counts what is read and what is skipped, if given.
        digest: Receives the bytes of the file, as of `lines.opened`.
    """
    return ((record.line, record.text) for record in TextRecords(path, config, counts, digest))


def locate_splits(config: DataConfig) -> dict[Split, Path]:
    """Returns the file of each split that has one of its own; train is always among them.

    Raises:
        ConfigError: A setting is for tables or for JSON, and no file is one.
        DataError: There is no such file, or a folder without a training file, or a file that is
            not text.
    """
    try:
        files = _located(config)
        given = [key for key, value in config if value != getattr(DEFAULTS, key)]
        forms = {format_of(path, config.format) for path in files.values()}
        check_settings(given, forms, str(files["train"]))
        return files
    except OSError as error:  # too long a name, or a folder that may not be looked into
        raise DataError(f"cannot read '{error.filename}': {error.strerror}") from error


def split_of(sentence: str, valid_share: float, test_share: float) -> Split:
    """Returns the split of a sentence, decided by its hash alone.

    So duplicates never straddle splits, and a growing corpus keeps its test set apart.
    """
    [share] = shares([sentence])
    if share < test_share:
        return "test"
    return "valid" if share < test_share + valid_share else "train"


def shares(sentences: Sequence[str]) -> NDArray[np.float64]:
    """Returns where the hash of each sentence lies between 0 and 1, with shape (N,)."""
    blake2b = hashlib.blake2b  # looked up once: this runs for every sentence of a corpus
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
            raise DataError(f"the folder '{source}' has no training text: looked for {wanted}")
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
    """Returns the file of a split in a folder, if there is one.

    Raises:
        DataError: There are several, or only one that cannot be read: none is passed over.
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
            f"the folder '{folder}' has {len(found)} files for the {split} split "
            f"({listing(repr(path.name) for path in found)}): keep one of them in the folder, or "
            f"name the one to read with {option}"
        )
    found = found or unreadable
    return found[0] if found else None
