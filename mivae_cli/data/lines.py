"""Read lines and rows of untrusted text files, with a limit on their length.

`.gz` files are unpacked. A line ends with a line feed, a carriage return, or both. A missing line
end or closing quote can turn a whole file into one line or row, so that `limits.MAX_LINE` is
checked before more is read.
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
import hashlib
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from .. import limits
from ..errors import DataError, reason
from .decompression import BUFFER, unpacked_file

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class Digest:
    """The BLAKE2b hash and the number of the bytes that have been read."""

    def __init__(self) -> None:
        self._hash, self.bytes = hashlib.blake2b(), 0

    def update(self, data: memoryview | bytes) -> None:
        """Adds bytes."""
        self._hash.update(data)
        self.bytes += len(data)

    def hexdigest(self) -> str:
        """Returns the hash of all bytes so far in hexadecimal."""
        return self._hash.hexdigest()


BLOCK = 2**16  # bytes read at a time
PICKLES = (".pkl", ".pickle", ".p", ".pt", ".pth", ".ckpt", ".joblib", ".dill")
PICKLED = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")  # first bytes of protocols 2 to 5
UTF8_BOM, UTF16_BOMS = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")
BINARY = {  # first bytes of other formats
    b"PK\x03\x04": "a zip archive: unpack it first",
    b"\x1f\x8b": "compressed with gzip: rename it to end in .gz",
    b"BZh91AY&SY": "compressed with bzip2: unpack it first",
    b"\xfd7zXZ\0": "compressed with xz: unpack it first",
    b"\x28\xb5\x2f\xfd": "compressed with zstd: unpack it first",
    b"%PDF-": "a PDF: save its text as .txt first",
    b"PAR1": "a Parquet file: save it as .csv or .jsonl first",
}


class _HashedFile(io.FileIO):
    """A file that updates a digest with all bytes read from it."""

    def __init__(self, path: Path, digest: Digest) -> None:
        super().__init__(path, "rb")
        self._digest = digest

    def readinto(self, buffer: "WriteableBuffer", /) -> int | None:
        count = super().readinto(buffer)
        self._digest.update(memoryview(buffer)[: count or 0])
        return count


@contextmanager
def opened(path: Path, digest: Digest | None = None) -> Iterator[BinaryIO]:
    """Context manager that opens a text file for reading bytes; `.gz` files are unpacked.

    The digest is updated with the bytes of the file as they are read, before unpacking.

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
        # EOFError: truncated .gz; BadGzipFile (an OSError) or zlib.error: damaged .gz
        raise DataError(f"cannot read '{path}': {reason(error)}") from error


def read_lines(path: Path, digest: Digest | None = None) -> Iterator[str]:
    """Yields the lines of a UTF-8 file; `.gz` files are unpacked.

    Raises:
        DataError: The file cannot be read, is a pickle or an archive, is not UTF-8, or has a line
            that is too long; the message names the line.
    """
    with opened(path, digest) as file:
        yield from lines_of(file, path)


def lines_of(file: BinaryIO, path: Path, from_start: bool = True) -> Iterator[str]:
    """Yields the lines of an open file like `read_lines`; the path is for messages.

    `from_start` says whether it is open at the start, where a byte order mark may be.
    """
    for number, line in enumerate(_split(file), start=1):
        if number == 1 and from_start:
            line = _checked_start(path, line)
            if not line:  # a byte order mark only
                return
        if len(line) > limits.MAX_LINE:
            raise DataError(
                f"'{path}', line {number}, is longer than {limits.MAX_LINE:,} bytes; write one "
                "sentence per line"
            )
        yield _decoded(path, line, number)


def whole_text(file: BinaryIO, path: Path) -> str:
    """Returns the rest of an open file that contains one JSON array.

    Raises:
        DataError: It exceeds the size limit, is not text, or is not UTF-8.
    """
    content = file.read(limits.MAX_JSON_ARRAY_BYTES + 1)
    if len(content) > limits.MAX_JSON_ARRAY_BYTES:
        raise DataError(
            f"'{path}' is a JSON array of more than {limits.MAX_JSON_ARRAY_BYTES:,} bytes; convert "
            "it to JSON lines first, e.g. with: jq -c '.[]' FILE.json > FILE.jsonl"
        )
    content = _checked_start(path, content)
    if b"\0" not in content:
        with suppress(UnicodeDecodeError):
            return content.decode("utf-8")
    lines = content.splitlines(keepends=True)
    return "".join(_decoded(path, line, number) for number, line in enumerate(lines, start=1))


def read_rows(
    path: Path, delimiter: str, quoted: bool = True, advice: str = "", digest: Digest | None = None
) -> Iterator[tuple[int, list[str]]]:
    """Yields pairs of last line number and cells for the rows of a table; skips blank rows.

    Arguments:
        path: The file.
        delimiter: The character between cells.
        quoted: Whether quotes enclose cells; otherwise they are ordinary characters.
        advice: Added to messages about quotes.
        digest: See `opened`.

    Raises:
        DataError: See `read_lines`; or the file is not a table.
    """
    length = start = 0

    def measured() -> Iterator[str]:
        nonlocal length, start
        for number, line in enumerate(read_lines(path, digest), start=1):
            start = start if length else number
            length += len(line)
            if length > limits.MAX_LINE:
                raise DataError(
                    f"'{path}', line {number}: a table row is longer than {limits.MAX_LINE:,} "
                    "characters; is a closing quote missing?"
                )
            yield line

    # strict: otherwise a missing closing quote silently makes one cell of the rest of the file
    rows = csv.reader(
        measured(),
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        strict=True,
    )
    # all readers share this limit; its default is less than a long page
    csv.field_size_limit(limits.MAX_LINE)
    try:
        for row in rows:
            length = 0
            if row:
                yield rows.line_num, row
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            raise DataError(
                f"'{path}', line {start}, is not a table row: a quoted cell is never "
                f"closed{advice}"
            ) from error
        raise DataError(
            f"'{path}', line {rows.line_num}, is not a table row: {error} (double the quotes "
            f"inside a quoted cell, and end it with a quote){advice}"
        ) from error


def pickle_error(path: Path) -> DataError:
    """Returns the error for a pickle file."""
    return DataError(f"'{path}' is a pickle, which mivae never loads because it can run code")


def _split(file: BinaryIO) -> Iterator[bytes]:
    """Yields lines with their ends; stops after the first part of a line that is too long."""
    rest = b""
    # larger reads for a long line, which is copied with each of them
    while block := file.read(min(max(BLOCK, len(rest)), limits.MAX_LINE + 1 - len(rest))):
        lines = (rest + block).splitlines(keepends=True)
        # a final carriage return may be followed by a line feed
        rest = b"" if lines[-1].endswith(b"\n") else lines.pop()
        yield from lines
        if len(rest) > limits.MAX_LINE:
            break
    if rest:
        yield rest


def _decoded(path: Path, line: bytes, number: int) -> str:
    if b"\0" in line:
        raise DataError(f"'{path}' is not text: line {number} contains a zero byte")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"'{path}' is not UTF-8: line {number}, byte {error.start + 1} of the line is "
            f"0x{line[error.start]:02x}; convert the file to UTF-8 first"
        ) from error


def _checked_start(path: Path, line: bytes) -> bytes:
    """Returns the first line without its byte order mark; raises DataError for binary formats."""
    if line.startswith(UTF16_BOMS):
        raise DataError(f"'{path}' is UTF-16: convert it to UTF-8 first")
    if line.startswith(PICKLED):
        raise pickle_error(path)
    for start, kind in BINARY.items():
        if line.startswith(start):
            raise DataError(f"'{path}' is {kind}")
    return line.removeprefix(UTF8_BOM)
