"""Read one text column of an untrusted table."""

__all__ = ["Table"]

from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from ..config.data import DataConfig
from ..errors import DataError, listing
from .lines import Digest, read_rows

DELIMITERS = {",": "','", ";": "';'", "\t": "tab", "|": "'|'"}  # and their names for --delimiter
SNIFFED_ROWS = 20  # rows used to detect a wrong delimiter in a table without a header
SWALLOWED_LINES = 3  # this many lines in a cell that look like rows are no coincidence
Row = tuple[int, str, str, list[str]]


class Table:
    """An iterable over the rows of a table without its header; the file is read lazily.

    Arguments:
        path: The file.
        config: Settings for reading it.
        by_tabs: Whether, by default, tabs separate cells and quotes are ordinary characters.
        digest: Updated with the bytes of the file; see `lines.opened`.

    Raises:
        DataError: The file cannot be read or lacks the column.
    """

    def __init__(
        self, path: Path, config: DataConfig, by_tabs: bool, digest: Digest | None = None
    ) -> None:
        self.path = path
        named = {"auto": "\t" if by_tabs else ",", "tab": "\t"}
        self.delimiter = named.get(config.delimiter, config.delimiter)
        self.quoted = config.quoting == "minimal" or (config.quoting == "auto" and not by_tabs)
        self._assumed = config.delimiter == "auto", config.quoting == "auto"
        self._quotes_kept = not self.quoted and self._assumed[1]
        advice = (
            "; add --quoting none (setting data.quoting) to read quotes as text"
            if self.quoted
            else ""
        )
        self._rows = read_rows(path, self.delimiter, self.quoted, advice, digest)
        first = list(islice(self._rows, 1 if config.header else SNIFFED_ROWS))
        if not first:
            raise DataError(f"'{path}' is an empty table, without a column '{config.column}'")
        self._first_line, cells = first[0]
        self.names = [cell.strip() for cell in cells]
        """The column names, or the column numbers if there is no header."""
        if config.header:
            self.column = self._named(config.column)
        else:
            self.names = [str(number) for number in range(1, len(cells) + 1)]
            self.column = self._numbered(config.column)
            self._check_delimiter([row for _, row in first])
            self._rows = chain(first, self._rows)

    def __iter__(self) -> Iterator[Row]:
        """Yields the line, text, problem (if any) and cells of each row.

        A row of blank cells has an empty text and no problem, at any length.
        """
        width, column, literal = len(self.names), self.column, self._quotes_kept
        for line, cells in self._rows:
            if len(cells) == width:
                text = cells[column]
                if literal and text.startswith('"'):
                    self._check_quotes(line, text)
                yield line, " ".join(text.splitlines()), "", cells
            elif any(cell.strip() for cell in cells):
                yield line, "", self._wrong_length(cells), cells
            else:
                yield line, "", "", cells

    def in_quotes(self, text: str) -> bool:
        """Returns whether a text has quotes around it that are kept by default."""
        return self._quotes_kept and len(text) > 1 and text[0] == text[-1] == '"'

    def _named(self, column: str) -> int:
        names = self.names
        count = names.count(column)
        if count == 1:
            return names.index(column)
        if count:
            raise DataError(
                f"'{self.path}', line {self._first_line}, has {count} columns named '{column}'; "
                "choose one by its number with --column (setting data.column)"
            )
        number = _number(column)
        # a number is ambiguous if a column name is a number
        if not any(map(_number, names)) and 1 <= number <= len(names):
            return number - 1
        if names[0].startswith("sep="):
            raise DataError(
                f"'{self.path}', line {self._first_line}: remove the spreadsheet directive "
                f"'{names[0][:10]}', and set the character with --delimiter "
                "(setting data.delimiter)"
            )
        raise DataError(
            f"'{self.path}' has no column '{column}' (line {self._first_line} has "
            f"{listing(map(repr, names))}); choose one with --column (setting "
            f"data.column){self._other_delimiter(column)}; if the first row is not a header, add "
            "--no-header (data.header)"
        )

    def _numbered(self, column: str) -> int:
        count = len(self.names)
        if count == 1 and column == DataConfig().column:
            return 0
        if 1 <= (number := _number(column)) <= count:
            return number - 1
        raise DataError(
            f"'{self.path}' has no column '{column}': without a header, columns are numbered from "
            f"1 to {count}; choose one with --column (setting data.column)"
        )

    def _other_delimiter(self, column: str) -> str:
        """Returns a hint if the first row suggests quoting or another delimiter."""
        if self._quotes_kept and f'"{column}"' in self.names:
            return ", or add --quoting minimal (data.quoting) if quotes enclose cells"
        if self._assumed[0]:
            for delimiter, name in DELIMITERS.items():
                parts = self.delimiter.join(self.names).split(delimiter)
                alone = len(self.names) == 1 and len(parts) > 1
                if alone or (delimiter != self.delimiter and column in map(str.strip, parts)):
                    return f", or set --delimiter {name} (data.delimiter)"
        return ""

    def _check_delimiter(self, rows: list[list[str]]) -> None:
        """Raises DataError if rows of one cell each suggest another delimiter."""
        if not self._assumed[0] or len(self.names) > 1 or len(rows) < 2:
            return
        for delimiter in "\t;|":
            counts = {row[0].count(delimiter) for row in rows}
            if len(counts) == 1 and counts != {0}:
                found, used = DELIMITERS[delimiter], DELIMITERS.get(self.delimiter, self.delimiter)
                raise DataError(
                    f"'{self.path}' seems to be separated by {found}; add --delimiter {found}, or "
                    f"--delimiter {used} if it is not (setting data.delimiter)"
                )

    def check_quotes_closed(self, line: int, cells: list[str]) -> None:
        """Raises DataError if a cell of several lines seems to contain rows.

        If a closing quote is missing, all rows up to the next quote become one cell without a
        syntax error. Each of its lines then has as many delimiters as a row.
        """
        if not self._assumed[1] or len(self.names) < 2:
            return
        for cell in cells:
            inside = cell.splitlines()[1:-1]
            if len(inside) >= SWALLOWED_LINES and all(
                part.count(self.delimiter) == len(self.names) - 1 for part in inside
            ):
                raise DataError(
                    f"'{self.path}', lines {line - len(inside) - 1} to {line}: a quoted cell seems "
                    "to contain rows. Add the missing quote, or add --quoting none to read quotes "
                    "as text, or --quoting minimal to accept the cell (setting data.quoting)"
                )

    def _check_quotes(self, line: int, text: str) -> None:
        """Raises DataError if a quoted cell would keep its doubled quotes."""
        inside = text[1:-1]
        if text.endswith('"') and '""' in inside and '"' not in inside.replace('""', ""):
            raise DataError(
                f"'{self.path}', line {line}, has a quoted cell; add --quoting minimal to remove "
                "its quotes, as in .csv, or --quoting none to keep them (setting data.quoting)"
            )

    def _wrong_length(self, cells: list[str]) -> str:
        """Returns the message for a row with the wrong number of cells."""
        name = DELIMITERS.get(self.delimiter, repr(self.delimiter))
        advice = "choose the right --delimiter (setting data.delimiter)"
        if self.quoted and len(cells) > len(self.names):
            advice = f"put quotes around cells that contain {name}, or {advice}"
        elif not self.quoted and any('"' in cell for cell in cells):
            advice = f"if quotes enclose cells, add --quoting minimal (data.quoting); or {advice}"
        return (
            f"has {len(cells)} cells separated by {name}, but line {self._first_line} has "
            f"{len(self.names)}; {advice}"
        )


def _number(text: str) -> int:
    """Returns a text as a number, or 0 if it is not one."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
