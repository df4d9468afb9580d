"""Lines and rows of text files, of which no more is ever held than one may take.

`.gz` is unpacked on the way. A small archive can unpack to terabytes, and a quote that is never
closed makes a file one row: what is longer than `MOST_LINE` is refused before it is read.
"""

__all__ = ["PICKLES", "read_lines", "read_rows"]

import csv
import gzip
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from ..errors import DataError

MOST_LINE = 2**24  # bytes of a line, and characters of a table's row, its line ends among them
PICKLES = (".pkl", ".pickle", ".p", ".pt", ".pth", ".ckpt", ".joblib", ".dill")
PICKLED = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")  # how protocols 2 to 5 begin
ZIPPED = b"PK\x03\x04"
UTF8_BOM, UTF16_BOMS = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")


def read_lines(path: Path) -> Iterator[str]:
    """Yields the lines of a UTF-8 file, unpacked where it is compressed.

    Raises:
        DataError: The file cannot be read, is a pickle or an archive, is not UTF-8, or has a
            line that is too long: the line is named.
    """
    packed = path.suffix.lower() == ".gz"
    if (path.with_suffix("") if packed else path).suffix.lower() in PICKLES:
        raise _pickle_error(path)
    try:
        with _open(path, packed) as file:
            lines = iter(partial(file.readline, MOST_LINE + 1), b"")
            for number, line in enumerate(lines, start=1):
                if number == 1:
                    line = _checked_start(path, line)
                if len(line) > MOST_LINE:
                    raise DataError(
                        f"'{path}', line {number}, is longer than {MOST_LINE:,} bytes: is this a "
                        "text of one sentence a line?"
                    )
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


def read_rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yields the rows of a table that are not blank, each with the number of its last line.

    Raises:
        DataError: As of `read_lines`, or the file is not a table: the line is named.
    """
    length = 0

    def measured() -> Iterator[str]:
        nonlocal length
        for number, line in enumerate(read_lines(path), start=1):
            length += len(line)
            if length > MOST_LINE:
                raise DataError(
                    f"'{path}', line {number}, goes on with a row of more than {MOST_LINE:,} "
                    "characters: is a quote never closed?"
                )
            yield line

    # strict: otherwise a quote that is never closed swallows the rest of the file in silence
    rows = csv.reader(measured(), delimiter=delimiter, strict=True)
    csv.field_size_limit(MOST_LINE)  # all readers share it; its default is less than a long page
    try:
        for row in rows:
            length = 0
            if row:
                yield rows.line_num, row
    except csv.Error as error:
        raise DataError(
            f"'{path}', line {rows.line_num}, is not a table: {error} (a quote inside a quoted cell "
            "is doubled; a cell that begins with a quote ends with one)"
        ) from error


def _open(path: Path, packed: bool) -> BinaryIO:
    if packed:
        return gzip.open(path, "rb")  # type: ignore[return-value]  # a BinaryIO in all but name
    return path.open("rb")


def _checked_start(path: Path, line: bytes) -> bytes:
    """Returns the first line, less its byte order mark, if it may be text at all."""
    if line.startswith(UTF16_BOMS):
        raise DataError(f"'{path}' is UTF-16: convert it to UTF-8 first")
    if line.startswith(PICKLED):
        raise _pickle_error(path)
    if line.startswith(ZIPPED):
        raise DataError(f"'{path}' is a zip archive: unpack it first")
    return line.removeprefix(UTF8_BOM)


def _pickle_error(path: Path) -> DataError:
    return DataError(
        f"'{path}' is a pickle: a pickle can run code when it is loaded, and mivae never loads one"
    )
