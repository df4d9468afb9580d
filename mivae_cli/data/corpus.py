"""Readers: from files to sentences.

A sentence is a line of a text file, a field of a JSON line, or a cell of a table; `.gz` on
top of any of these is unpacked on the way. Blank sentences are passed over.
"""

__all__ = ["locate_splits", "read_lines", "read_sentences", "shares", "split_of", "spooled_stdin"]

import csv
import gzip
import hashlib
import json
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from ..config import DataConfig
from ..errors import DataError

Split = Literal["train", "valid", "test"]
SPLIT_NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "valid": ("valid", "validation", "val", "dev"),
    "test": ("test",),
}
EXTENSIONS = (".txt", ".jsonl", ".csv", ".tsv")
UTF8_BOM, UTF16_BOMS = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")


def read_sentences(path: Path, config: DataConfig) -> Iterator[str]:
    """Yields the sentences of a file, white space at their ends removed.

    Raises:
        DataError: The file is missing, is not UTF-8 text (the line is named), or lacks the
            field or column.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    lines = read_lines(path)
    match suffixes[-1:]:
        case [".jsonl"]:
            sentences = _json_fields(lines, path, config.field)
        case [".csv"]:
            sentences = _table_cells(lines, path, config.column, ",")
        case [".tsv"]:
            sentences = _table_cells(lines, path, config.column, "\t")
        case _:
            sentences = lines
    for sentence in sentences:
        if stripped := sentence.strip():
            yield stripped


def locate_splits(config: DataConfig) -> dict[Split, Path]:
    """Returns the file of each split that has one of its own; train is always among them.

    Raises:
        DataError: There is no such file, or a folder without a training file.
    """
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
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield path


def _find(folder: Path, names: tuple[str, ...]) -> Path | None:
    for name in names:
        for extension in EXTENSIONS:
            for path in (folder / f"{name}{extension}", folder / f"{name}{extension}.gz"):
                if path.is_file():
                    return path
    return None


def read_lines(path: Path) -> Iterator[str]:
    """Yields the lines of a UTF-8 file, unpacked where it is compressed.

    Raises:
        DataError: if it cannot be read or is not UTF-8.
    """
    try:
        with _open(path) as file:
            for number, line in enumerate(file, start=1):
                if number == 1:
                    if line.startswith(UTF16_BOMS):
                        raise DataError(f"'{path}' is UTF-16: convert it to UTF-8 first")
                    line = line.removeprefix(UTF8_BOM)
                if b"\0" in line:
                    raise DataError(f"'{path}' is not text: line {number} holds a zero byte")
                try:
                    yield line.decode("utf-8")
                except UnicodeDecodeError as error:
                    raise DataError(
                        f"'{path}' is not UTF-8: line {number}, byte {error.start + 1} of the "
                        f"line is 0x{line[error.start]:02x}; convert the file to UTF-8 first"
                    ) from error
    except (OSError, EOFError, zlib.error) as error:
        # a truncated .gz ends in EOFError, a damaged one in BadGzipFile (an OSError) or zlib's
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DataError(f"cannot read '{path}': {reason}") from error


def _open(path: Path) -> BinaryIO:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rb")  # type: ignore[return-value]  # a BinaryIO in all but name
    return path.open("rb")


def _json_fields(lines: Iterator[str], path: Path, field: str) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:  # too long a number is a bare ValueError
            raise DataError(f"'{path}', line {number}, is not JSON: {error}") from error
        text = record.get(field) if isinstance(record, dict) else record
        if not isinstance(text, str):
            known = ", ".join(map(repr, record)) if isinstance(record, dict) else "no fields"
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
        yield " ".join(text.splitlines())


def _table_cells(lines: Iterator[str], path: Path, column: str, delimiter: str) -> Iterator[str]:
    # strict: otherwise a quote that is never closed swallows the rest of the file in silence
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    csv.field_size_limit(sys.maxsize // 2**32)  # the default, 128 KiB, is less than a long page
    try:
        header = next((row for row in rows if row), [])
        names = [name.strip() for name in header]
        if len(names) == 1:
            index = 0
        elif column in names:
            index = names.index(column)
        else:
            known = ", ".join(map(repr, names)) or "none"
            raise DataError(
                f"'{path}' has no column '{column}' (it has {known}): name one with --column"
            )
        for row in rows:
            if len(row) > index:
                yield " ".join(row[index].splitlines())
    except csv.Error as error:
        raise DataError(
            f"'{path}', line {rows.line_num}, is not a table: {error} (a quote inside a quoted cell "
            "is doubled; a cell that begins with a quote ends with one)"
        ) from error
