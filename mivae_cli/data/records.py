"""The records of a text file: lines, JSON values or table rows; `.gz` files are unpacked.

All rows are counted: *rows = sentences + empty rows + malformed rows*. A malformed row (a table row
with the wrong number of cells, or a JSON value without text) is an error, or is skipped if
`data.bad_rows` is `skip`. Blank lines in JSON files and tables are not rows.
"""

__all__ = ["Record", "RowCounts", "TextRecords"]

from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from ..config.data import DataConfig
from ..errors import DataError
from .file_formats import format_of
from .json_rows import json_rows, looks_like_json
from .lines import Digest, lines_of, read_lines
from .text_tables import Table

Row = tuple[int, str, str, Any]  # line, text, problem (if any), source
SKIP = "skip and count such rows with --bad-rows skip (setting data.bad_rows)"


class Record(NamedTuple):
    """A sentence and its position in the file."""

    row: int
    """Row number, counted from 1, without the header of a table."""
    line: int
    """Line number, counted from 1: the first line of the row, or the last line of a table row."""
    text: str
    """The sentence without leading and trailing white space."""
    source: Any
    """The JSON value or the cells of the row; None for a line of text."""


@dataclass
class RowCounts:
    """Counts of the rows of a file."""

    rows: int = 0
    empty: int = 0
    """Rows with empty text, which are always skipped."""
    malformed: int = 0
    """Malformed rows that were skipped because `data.bad_rows` is `skip`."""
    spanning: int = 0
    """Table rows with a quoted cell of several lines."""
    quoted: int = 0
    """Table rows whose text has quotes around it that were kept by default."""

    @property
    def sentences(self) -> int:
        """The number of sentences."""
        return self.rows - self.empty - self.malformed

    @classmethod
    def total(cls, counted: Iterable["RowCounts"]) -> "RowCounts":
        """Returns the counts of several files together."""
        return cls(*map(sum, zip(*map(astuple, counted), strict=True)))


class TextRecords:
    """An iterable over the sentences of a file, which is read lazily.

    Arguments:
        path: The file.
        config: Settings for reading it.
        counts: Updated with the row counts; default: a new object.
        digest: Updated with the bytes of the file; see `lines.opened`.
        part: Of a plain text, the start in bytes and the content of the only part to read, which
            consists of whole lines. Lines are counted from its start.

    Raises:
        DataError: During iteration, if the file is missing, is not UTF-8 text, lacks the column,
            or has a malformed row. The message names the line.
    """

    def __init__(
        self,
        path: Path,
        config: DataConfig,
        counts: RowCounts | None = None,
        digest: Digest | None = None,
        part: tuple[int, bytes] | None = None,
    ) -> None:
        self.path, self.config, self._digest, self._part = path, config, digest, part
        self.counts = RowCounts() if counts is None else counts
        self.header: list[str] = []
        """The column names of a table, available after the first row is read."""

    def __repr__(self) -> str:
        return f"<TextRecords of '{self.path}'>"

    def __iter__(self) -> Iterator[Record]:
        counts, skip = self.counts, self.config.bad_rows == "skip"
        for row, (line, text, problem, source) in enumerate(self._rows(), start=1):
            counts.rows = row
            if problem:
                if not skip:
                    raise DataError(f"'{self.path}', line {line}, {problem}; {SKIP}")
                counts.malformed += 1
            elif stripped := text.strip():
                yield Record(row, line, stripped, source)
            else:
                counts.empty += 1

    def numbered(self) -> Iterator[tuple[int, str]]:
        """Yields pairs of line number and sentence."""
        return ((record.line, record.text) for record in self)

    def _rows(self) -> Iterator[Row]:
        form = format_of(self.path, self.config.format)
        if form == "json":
            return json_rows(self.path, self.config.field, self._digest)
        return self._lines() if form == "text" else self._table_rows(by_tabs=form == "tsv")

    def _lines(self) -> Iterator[Row]:
        start, content = self._part or (0, None)
        sniffing = self.config.format == "auto" and start == 0
        lines = (
            read_lines(self.path, self._digest)
            if content is None
            else lines_of(BytesIO(content), self.path, from_start=start == 0)
        )
        for number, line in enumerate(lines, start=1):
            if sniffing and not line.isspace():
                sniffing = False
                if looks_like_json(line):
                    raise DataError(
                        f"'{self.path}' looks like JSON; add --format json, or --format text to "
                        "read each line as a sentence (setting data.format)"
                    )
            yield number, line, "", None

    def _table_rows(self, by_tabs: bool) -> Iterator[Row]:
        table = Table(self.path, self.config, by_tabs, self._digest)
        self.header = table.names
        before = 0
        for row in table:
            line, _, _, cells = row
            # only search the cells if the line number has jumped
            if line - before > 1 and any("\n" in cell or "\r" in cell for cell in cells):
                self.counts.spanning += 1
                table.check_quotes_closed(line, cells)
            before = line
            self.counts.quoted += table.in_quotes(row[1])
            yield row
