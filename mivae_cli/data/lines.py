"""Lines and rows of text files, of which no more is ever held than one may take.

`.gz` is unpacked on the way. A small archive can unpack to terabytes, and a quote that is never
closed makes a file one row: what is longer than `MAX_LINE` is refused before it is read. A line
ends with a line feed, a carriage return, or both.
"""

__all__ = [
    "PICKLES",
    "Digest",
    "lines_of",
    "opened",
    "pickle_error",
    "read_lines",
    "read_rows",
    "whole_text",
]

import csv
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from .. import limits
from ..errors import DataError
from .decompression import unpacked_file

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BUFFER = 2**17  # bytes
BLOCK = 2**16  # bytes read at a time
PICKLES = (".pkl", ".pickle", ".p", ".pt", ".pth", ".ckpt", ".joblib", ".dill")
PICKLED = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")  # how protocols 2 to 5 begin
UTF8_BOM, UTF16_BOMS = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")
OTHERS = {  # how files begin that are not text, and what they are
    b"PK\x03\x04": "a zip archive: unpack it first",
    b"\x1f\x8b": "compressed with gzip: give it a name that ends in .gz",
    b"BZh91AY&SY": "compressed with bzip2: unpack it first",
    b"\xfd7zXZ\0": "compressed with xz: unpack it first",
    b"\x28\xb5\x2f\xfd": "compressed with zstd: unpack it first",
    b"%PDF-": "a PDF: save its text as .txt first",
    b"PAR1": "a Parquet file: save it as .csv or .jsonl first",
}


class Digest(Protocol):
    """A hash that bytes are added to, such as those of `hashlib`."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Adds bytes."""

    def hexdigest(self) -> str:
        """Returns the hash of all bytes so far."""


class _HashedFile(io.FileIO):
    """A file opened for reading that adds all bytes read from it to a digest."""

    def __init__(self, path: Path, digest: Digest) -> None:
        super().__init__(path, "rb")
        self._digest = digest

    def readinto(self, buffer: "WriteableBuffer", /) -> int | None:
        count = super().readinto(buffer)
        self._digest.update(memoryview(buffer)[: count or 0])
        return count


@contextmanager
def opened(path: Path, digest: Digest | None = None) -> Iterator[BinaryIO]:
    """Opens a file of text for reading bytes, unpacked where it is compressed.

    Arguments:
        path: The file.
        digest: Receives the bytes of the file as they are read, still compressed; all of them
            when it has been read to its end.

    Raises:
        DataError: The file cannot be read, here or inside the context, or is a pickle.
    """
    packed = path.suffix.lower() == ".gz"
    if (path.with_suffix("") if packed else path).suffix.lower() in PICKLES:
        raise pickle_error(path)
    try:
        raw = io.FileIO(path, "rb") if digest is None else _HashedFile(path, digest)
        with io.BufferedReader(raw, BUFFER) as file:
            if packed:
                with unpacked_file(file, f"'{path}'") as unpacked:
                    yield unpacked
            else:
                yield file
    except (OSError, EOFError, zlib.error) as error:
        # a truncated .gz ends in EOFError, a damaged one in BadGzipFile (an OSError) or zlib's
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DataError(f"cannot read '{path}': {reason}") from error


def read_lines(path: Path, digest: Digest | None = None) -> Iterator[str]:
    """Yields the lines of a UTF-8 file, unpacked where it is compressed.

    Arguments:
        path: The file.
        digest: As of `opened`.

    Raises:
        DataError: The file cannot be read, is a pickle or an archive, is not UTF-8, or has a
            line that is too long: the line is named.
    """
    with opened(path, digest) as file:
        yield from lines_of(file, path)


def lines_of(file: BinaryIO, path: Path) -> Iterator[str]:
    """Yields the lines of an open file; the path is for errors, as of `read_lines`."""
    for number, line in enumerate(_split(file), start=1):
        if number == 1:
            line = _checked_start(path, line)
            if not line:  # a byte order mark and nothing else
                return
        if len(line) > limits.MAX_LINE:
            raise DataError(
                f"'{path}', line {number}, is longer than {limits.MAX_LINE:,} bytes: is this a "
                "text of one sentence a line?"
            )
        yield _decoded(path, line, number)


def whole_text(file: BinaryIO, path: Path, most: int) -> str:
    """Returns the rest of an open file, if it has at most so many bytes.

    Raises:
        DataError: It has more, is not text, or is not UTF-8: the line is named.
    """
    content = file.read(most + 1)
    if len(content) > most:
        raise DataError(
            f"'{path}' is one JSON array of more than {most:,} bytes: convert it to JSON lines "
            "first, e.g. with: jq -c '.[]' FILE.json > FILE.jsonl"
        )
    content = _checked_start(path, content)
    if b"\0" not in content:
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            pass
    lines = content.splitlines(keepends=True)
    return "".join(_decoded(path, line, number) for number, line in enumerate(lines, start=1))


def read_rows(
    path: Path,
    delimiter: str,
    quoted: bool = True,
    advice: str = "",
    digest: Digest | None = None,
) -> Iterator[tuple[int, list[str]]]:
    """Yields the rows of a table that are not blank, each with the number of its last line.

    Arguments:
        path: The file.
        delimiter: What separates cells.
        quoted: Whether quotes enclose cells; else they are characters as any other.
        advice: What an error adds.
        digest: As of `opened`.

    Raises:
        DataError: As of `read_lines`, or the file is not a table: the line is named.
    """
    length = start = 0

    def measured() -> Iterator[str]:
        nonlocal length, start
        for number, line in enumerate(read_lines(path, digest), start=1):
            start = start if length else number
            length += len(line)
            if length > limits.MAX_LINE:
                raise DataError(
                    f"'{path}', line {number}, goes on with a row of more than {limits.MAX_LINE:,} "
                    "characters: is a quote never closed?"
                )
            yield line

    # strict: otherwise a quote that is never closed swallows the rest of the file in silence
    rows = csv.reader(
        measured(),
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        strict=True,
    )
    csv.field_size_limit(
        limits.MAX_LINE
    )  # all readers share it; its default is less than a long page
    try:
        for row in rows:
            length = 0
            if row:
                yield rows.line_num, row
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            raise DataError(
                f"'{path}', line {start}, is not a table: a quote is opened in this row and never "
                f"closed{advice}"
            ) from error
        raise DataError(
            f"'{path}', line {rows.line_num}, is not a table: {error} (a quote inside a quoted "
            f"cell is doubled; a cell that begins with a quote ends with one){advice}"
        ) from error


def pickle_error(path: Path) -> DataError:
    """Returns the error that refuses a pickle."""
    return DataError(
        f"'{path}' is a pickle: a pickle can run code when it is loaded, and mivae never loads one"
    )


def _split(file: BinaryIO) -> Iterator[bytes]:
    """Yields lines with their ends; of one that is longer than `MAX_LINE`, a part and no more."""
    rest = b""
    # reads grow with what is still without an end, so that a long line is not copied too often
    while block := file.read(min(max(BLOCK, len(rest)), limits.MAX_LINE + 1 - len(rest))):
        lines = (rest + block).splitlines(keepends=True)
        # a carriage return at the end may be the first half of a line's end
        rest = b"" if lines[-1].endswith(b"\n") else lines.pop()
        yield from lines
        if len(rest) > limits.MAX_LINE:
            break
    if rest:
        yield rest


def _decoded(path: Path, line: bytes, number: int) -> str:
    if b"\0" in line:
        raise DataError(f"'{path}' is not text: line {number} holds a zero byte")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"'{path}' is not UTF-8: line {number}, byte {error.start + 1} of the line is "
            f"0x{line[error.start]:02x}; convert the file to UTF-8 first"
        ) from error


def _checked_start(path: Path, line: bytes) -> bytes:
    """Returns the first line, less its byte order mark, if it may be text at all."""
    if line.startswith(UTF16_BOMS):
        raise DataError(f"'{path}' is UTF-16: convert it to UTF-8 first")
    if line.startswith(PICKLED):
        raise pickle_error(path)
    for start, kind in OTHERS.items():
        if line.startswith(start):
            raise DataError(f"'{path}' is {kind}")
    return line.removeprefix(UTF8_BOM)
