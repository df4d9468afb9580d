"""The records of a text file: its lines, its JSON values, or the rows of its table.

No record is lost without a count: *rows read = sentences + empty rows + malformed rows*. A
malformed row (a table's row of another length than the first, a JSON value without a text) stops
the reading with an error that names file and line, or is skipped where `data.bad_rows` is `skip`.
Blank lines between JSON values and between the rows of a table are not rows.
"""

__all__ = ["Record", "RowCounts", "TextRecords"]

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..config.data import DataConfig
from ..errors import DataError
from .file_formats import format_of
from .json_rows import json_rows, looks_like_json
from .lines import Digest, read_lines
from .text_tables import Table

Row = tuple[int, str, str, Any]  # line, text, what is wrong with it if anything is, the row itself
SKIP = "to skip such rows and count them, add --bad-rows skip"


class Record(NamedTuple):
    """A sentence of a file, and where it stands there."""

    row: int
    """Its number among the rows, counted from 1; a table's header is not a row."""
    line: int
    """The line of the file that it begins on, counted from 1; for a table, that it ends on."""
    text: str
    """The sentence, white space at its ends removed."""
    source: Any
    """The JSON value or the cells of the row that it is from; None of a line of text."""


@dataclass
class RowCounts:
    """How many rows were read from a file, and how many of them gave no sentence."""

    rows: int = 0
    empty: int = 0
    """Rows whose text is empty; always skipped."""
    malformed: int = 0
    """Rows that are skipped because `data.bad_rows` says so."""
    spanning: int = 0
    """Rows of a table that span several lines, because a quoted cell does."""
    quoted: int = 0
    """Rows of a table whose text keeps the quotes around it, because nobody said what they are."""

    @property
    def sentences(self) -> int:
        """Rows that gave a sentence."""
        return self.rows - self.empty - self.malformed


class TextRecords:
    """The sentences of a file, read as they are asked for.

    Arguments:
        path: The file.
        config: How it is read.
        counts: Counts the rows that are read; by default a new one, which starts from zero.
        digest: Receives the bytes of the file, as of `lines.opened`.

    Raises:
        DataError: While it is read: the file is missing, is not UTF-8 text, lacks the column, or
            has a row without a text. The line is named.
    """

    def __init__(
        self,
        path: Path,
        config: DataConfig,
        counts: RowCounts | None = None,
        digest: Digest | None = None,
    ) -> None:
        self.path, self.config, self._digest = path, config, digest
        self.counts = RowCounts() if counts is None else counts
        self.header: list[str] = []
        """The names of a table's columns, known once the first row is read."""

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

    def _rows(self) -> Iterator[Row]:
        form = format_of(self.path, self.config.format)
        match form:
            case "json":
                return json_rows(self.path, self.config.field, self._digest)
            case "csv" | "tsv":
                return self._table_rows(by_tabs=form == "tsv")
            case _:
                return self._lines()

    def _lines(self) -> Iterator[Row]:
        sniffing = self.config.format == "auto"
        for number, line in enumerate(read_lines(self.path, self._digest), start=1):
            if sniffing and not line.isspace():
                sniffing = False
                if looks_like_json(line):
                    raise DataError(
                        f"'{self.path}' looks like JSON: add --format json, or --format text "
                        "to read every line as a sentence"
                    )
            yield number, line, "", None

    def _table_rows(self, by_tabs: bool) -> Iterator[Row]:
        table = Table(self.path, self.config, by_tabs, self._digest)
        self.header = table.names
        before = 0
        for row in table:
            line, _, _, cells = row
            # blank lines between rows are seldom, so that most cells are never looked through
            if line - before > 1 and any("\n" in cell or "\r" in cell for cell in cells):
                self.counts.spanning += 1
                table.check_quotes_closed(line, cells)
            before = line
            self.counts.quoted += table.in_quotes(row[1])
            yield row
