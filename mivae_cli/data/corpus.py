"""Readers: from files to sentences.

A sentence is a line of a text file, a field of a JSON line, or a cell of a table; `.gz` on
top of any of these is unpacked on the way. Blank sentences are passed over. A sentence's number
is that of its line in the file, counted from 1; of a table's row, that of its last line.
"""

__all__ = [
    "locate_splits",
    "numbered_sentences",
    "read_sentences",
    "shares",
    "split_of",
    "spooled_stdin",
]

import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..config import DataConfig
from ..errors import DataError
from .arrays import listing
from .lines import read_lines, read_rows

Split = Literal["train", "valid", "test"]
SPLIT_NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "valid": ("valid", "validation", "val", "dev"),
    "test": ("test",),
}
STDIN_BLOCK = 2**20  # bytes read at a time
EXTENSIONS = (".txt", ".jsonl", ".csv", ".tsv")


def read_sentences(path: Path, config: DataConfig) -> Iterator[str]:
    """Yields the sentences of a file, white space at their ends removed.

    Raises:
        DataError: The file is missing, is not UTF-8 text (the line is named), or lacks the
            field or column.
    """
    for _, sentence in numbered_sentences(path, config):
        yield sentence


def numbered_sentences(path: Path, config: DataConfig) -> Iterator[tuple[int, str]]:
    """Yields what `read_sentences` does, each sentence after its number."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    match suffixes[-1:]:
        case [".jsonl"]:
            numbered = _json_fields(path, config.field)
        case [".csv"]:
            numbered = _table_cells(path, config.column, ",")
        case [".tsv"]:
            numbered = _table_cells(path, config.column, "\t")
        case _:
            numbered = enumerate(read_lines(path), start=1)
    for number, sentence in numbered:
        if stripped := sentence.strip():
            yield number, stripped


def locate_splits(config: DataConfig) -> dict[Split, Path]:
    """Returns the file of each split that has one of its own; train is always among them.

    Raises:
        DataError: There is no such file, or a folder without a training file.
    """
    try:
        return _located(config)
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


@contextmanager
def spooled_stdin() -> Iterator[Path]:
    """Keeps standard input in a temporary file, because a corpus is read more than once."""
    with tempfile.TemporaryDirectory(prefix="mivae-") as folder:
        path = Path(folder) / "stdin.txt"
        with path.open("wb") as file:
            for block in _stdin_blocks():
                file.write(block)
        yield path


def _stdin_blocks() -> Iterator[bytes]:
    while True:
        try:
            block = sys.stdin.buffer.read(STDIN_BLOCK)
        except OSError as error:
            raise DataError(f"cannot read standard input: {error.strerror or error}") from error
        if not block:
            return
        yield block


def _located(config: DataConfig) -> dict[Split, Path]:
    source = Path(config.train)
    files: dict[Split, Path] = {}
    if source.is_dir():
        for split, names in SPLIT_NAMES.items():
            if found := _find(source, names):
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
        if not path.is_file():
            raise DataError(f"there is no file '{path}'")
    return files


def _find(folder: Path, names: tuple[str, ...]) -> Path | None:
    for name in names:
        for extension in EXTENSIONS:
            for path in (folder / f"{name}{extension}", folder / f"{name}{extension}.gz"):
                if path.is_file():
                    return path
    return None


def _json_fields(path: Path, field: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:  # too long a number is a bare ValueError
            raise DataError(f"'{path}', line {number}, is not JSON: {error}") from error
        text = record.get(field) if isinstance(record, dict) else record
        if not isinstance(text, str):
            known = listing(map(repr, record)) if isinstance(record, dict) else "no fields"
            raise DataError(
                f"'{path}', line {number}, has no text in the field '{field}' (it has {known}): "
                "name another with --field"
            )
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise DataError(
                f"'{path}', line {number}, is not Unicode text: it holds half a surrogate pair"
            ) from error
        yield number, " ".join(text.splitlines())


def _table_cells(path: Path, column: str, delimiter: str) -> Iterator[tuple[int, str]]:
    rows = read_rows(path, delimiter)
    _, header = next(rows, (0, []))
    names = [name.strip() for name in header]
    if len(names) == 1:
        index = 0
    elif column in names:
        index = names.index(column)
    else:
        known = listing(map(repr, names)) or "none"
        raise DataError(
            f"'{path}' has no column '{column}' (it has {known}): name one with --column"
        )
    for number, row in rows:
        if len(row) > index:
            yield number, " ".join(row[index].splitlines())
