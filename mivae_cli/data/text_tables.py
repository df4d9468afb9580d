"""Tables of text: which column holds the text, and whether every row has its cell."""

__all__ = ["Table"]

from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from ..config.data import DataConfig
from ..errors import DataError, listing
from .lines import Digest, read_rows

DELIMITERS = {",": "','", ";": "';'", "\t": "tab", "|": "'|'"}  # and how --delimiter spells them
LOOKED_AT = 20  # first rows of a table without a header, to see what separates its cells
SWALLOWED = 3  # lines inside a cell: as many may look like rows by chance, and seldom do
Row = tuple[int, str, str, list[str]]


class Table:
    """The rows of a table below its header, read as they are asked for.

    Arguments:
        path: The file.
        config: How it is read.
        by_tabs: Whether cells are separated by tabs and quotes are characters as any other,
            unless the configuration says something else.
        digest: Receives the bytes of the file, as of `lines.opened`.

    Raises:
        DataError: The file cannot be read, or has no such column.
    """

    def __init__(
        self, path: Path, config: DataConfig, by_tabs: bool, digest: Digest | None = None
    ) -> None:
        self.path = path
        self.delimiter = {"auto": "\t" if by_tabs else ",", "tab": "\t"}.get(
            config.delimiter, config.delimiter
        )
        self.quoted = config.quoting == "minimal" or (config.quoting == "auto" and not by_tabs)
        self._assumed = config.delimiter == "auto", config.quoting == "auto"
        self._quotes_kept = not self.quoted and self._assumed[1]
        advice = "; to read quotes as text, add --quoting none" if self.quoted else ""
        self._rows = read_rows(path, self.delimiter, self.quoted, advice, digest)
        first = list(islice(self._rows, 1 if config.header else LOOKED_AT))
        if not first:
            raise DataError(f"'{path}' is an empty table: there is no column '{config.column}'")
        self._first_line, cells = first[0]
        self.names = [cell.strip() for cell in cells]
        """The names of the columns; without a header, their numbers."""
        if config.header:
            self.column = self._named(config.column)
        else:
            self.names = [str(number) for number in range(1, len(cells) + 1)]
            self.column = self._numbered(config.column)
            self._check_delimiter([row for _, row in first])
            self._rows = chain(first, self._rows)

    def __iter__(self) -> Iterator[Row]:
        """Yields the line of each row, its text, what is wrong with it if anything is, its cells.

        A row of blank cells has an empty text, however many they are.
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
        """Tells whether a text has quotes around it that nobody asked to keep."""
        return self._quotes_kept and len(text) > 1 and text[0] == text[-1] == '"'

    def _named(self, column: str) -> int:
        names = self.names
        count = names.count(column)
        if count == 1:
            return names.index(column)
        if count:
            raise DataError(
                f"'{self.path}', line {self._first_line}, has {count} columns named '{column}': "
                "choose one by its number with --column"
            )
        number = _number(column)
        # a number is one only where no column has a number for a name
        if not any(map(_number, names)) and 1 <= number <= len(names):
            return number - 1
        if names[0].startswith("sep="):
            raise DataError(
                f"'{self.path}', line {self._first_line}, is '{names[0][:10]}', which only "
                "spreadsheet programs read: delete this line and name the character with --delimiter"
            )
        raise DataError(
            f"'{self.path}' has no column '{column}' (its first row, line {self._first_line}, is "
            f"{listing(map(repr, names))}): name a column with --column"
            f"{self._other_delimiter(column)}; if the first row is not a header, add --no-header"
        )

    def _numbered(self, column: str) -> int:
        count = len(self.names)
        if count == 1 and column == DataConfig().column:
            return 0
        if 1 <= (number := _number(column)) <= count:
            return number - 1
        raise DataError(
            f"'{self.path}' has no column '{column}': without a header the columns are numbered "
            f"from 1 to {count}; choose one with --column"
        )

    def _other_delimiter(self, column: str) -> str:
        """Returns a hint where the first row looks quoted, or separated by something else."""
        if self._quotes_kept and f'"{column}"' in self.names:
            return ", or say that quotes enclose cells: --quoting minimal"
        if self._assumed[0]:
            for delimiter, name in DELIMITERS.items():
                parts = self.delimiter.join(self.names).split(delimiter)
                alone = len(self.names) == 1 and len(parts) > 1
                if alone or (delimiter != self.delimiter and column in map(str.strip, parts)):
                    return f", or say what separates cells: --delimiter {name}"
        return ""

    def _check_delimiter(self, rows: list[list[str]]) -> None:
        """Raises DataError where rows of one cell each look separated by something else."""
        if not self._assumed[0] or len(self.names) > 1 or len(rows) < 2:
            return
        for delimiter in "\t;|":
            counts = {row[0].count(delimiter) for row in rows}
            if len(counts) == 1 and counts != {0}:
                raise DataError(
                    f"'{self.path}' looks separated by {DELIMITERS[delimiter]}: add --delimiter "
                    f"{DELIMITERS[delimiter]}, or --delimiter "
                    f"{DELIMITERS.get(self.delimiter, self.delimiter)} if it is not"
                )

    def check_quotes_closed(self, line: int, cells: list[str]) -> None:
        """Raises DataError where a cell of several lines looks as if it had swallowed rows.

        A quote that is opened in one row and closed in another makes a cell of all rows between,
        and no rule of the format is broken. Each of them then has as many delimiters as a row.
        """
        if not self._assumed[1] or len(self.names) < 2:
            return
        for cell in cells:
            inside = cell.splitlines()[1:-1]
            if len(inside) >= SWALLOWED and all(
                part.count(self.delimiter) == len(self.names) - 1 for part in inside
            ):
                raise DataError(
                    f"'{self.path}', lines {line - len(inside) - 1} to {line}, has a quoted cell "
                    "whose lines look like rows: is a quote never closed? Correct it, or add "
                    "--quoting none to read quotes as text, or --quoting minimal if it is meant so"
                )

    def _check_quotes(self, line: int, text: str) -> None:
        """Raises DataError where a quoted cell would be read with its quotes doubled."""
        inside = text[1:-1]
        if text.endswith('"') and '""' in inside and '"' not in inside.replace('""', ""):
            raise DataError(
                f"'{self.path}', line {line}, has a quoted cell: add --quoting minimal to read "
                "quotes as in .csv, or --quoting none to keep them"
            )

    def _wrong_length(self, cells: list[str]) -> str:
        """Returns what is wrong with a row, and which options may help."""
        name = DELIMITERS.get(self.delimiter, repr(self.delimiter))
        advice = "choose the right --delimiter"
        if self.quoted and len(cells) > len(self.names):
            advice = f"put quotes around cells that contain {name}, or {advice}"
        elif not self.quoted and any('"' in cell for cell in cells):
            advice = f"if quotes enclose cells, add --quoting minimal; or {advice}"
        return (
            f"does not have as many cells as line {self._first_line} ({len(cells)} separated by "
            f"{name}, not {len(self.names)}): {advice}"
        )


def _number(text: str) -> int:
    """Returns the number that a text is, or 0."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
