"""The character between the cells of a table, detected from its first lines.

A `.csv` file may have commas, semicolons or tabs. Programs with a European locale, such as Excel, write
semicolons, because commas are decimal points there. A first line of `sep=;` names the character.
"""

__all__ = ["CellFormat", "Decimals", "cell_format", "with_point"]

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ...data.lines import read_lines
from ...errors import ConfigError

SNIFFED = 60  # lines
REGULAR = 0.9  # share of rows with as many cells as the first
DIRECTIVE = re.compile(r"sep=(.)\s*")
NUMBER = re.compile(r"\s*[+-]?[0-9]+([,.][0-9]*)?([eE][+-]?[0-9]+)?\s*")
COMMA = re.compile(r"\s*[+-]?[0-9]*,[0-9]+([eE][+-]?[0-9]+)?\s*")
POINT = re.compile(r"\s*[+-]?[0-9]*\.[0-9]+([eE][+-]?[0-9]+)?\s*")
NAMES = {"tab": "\t", r"\t": "\t"}


@dataclass(frozen=True)
class CellFormat:
    """How the cells of a table are written.

    Attributes:
        delimiter: The character between cells.
        skipped: The number of lines before the first row.
    """

    delimiter: str
    skipped: int = 0

    @property
    def decimal_commas(self) -> bool:
        """Whether numbers may have a decimal comma."""
        return self.delimiter == ";"


def cell_format(path: Path, delimiter: str | None = None) -> CellFormat:
    """Returns the format of the cells of a `.csv` or `.tsv` file, possibly ending in `.gz`.

    Arguments:
        path: The file.
        delimiter: The character between cells, or "tab"; None to detect it.

    Raises:
        ConfigError: The delimiter is no single character.
        DataError: The file cannot be read.
    """
    if delimiter is not None:
        delimiter = NAMES.get(delimiter, delimiter)
        if len(delimiter) != 1 or delimiter in '"\r\n\0':
            raise ConfigError("--delimiter must be one character other than a quote, or tab")
    lines = list(islice(read_lines(path), SNIFFED))
    directive = DIRECTIVE.fullmatch(lines[0]) if lines else None
    skipped = 1 if directive else 0
    if delimiter is None and directive:
        delimiter = directive[1]
    if delimiter is None and ".tsv" in path.name.lower()[-7:]:
        delimiter = "\t"
    return CellFormat(delimiter or _detected(lines, len(lines) == SNIFFED), skipped)


def with_point(cell: str) -> str:
    """Returns the text of a cell with a decimal point in place of a decimal comma."""
    return cell.replace(",", ".") if COMMA.fullmatch(cell) else cell


class Decimals:
    """Checks that the numbers of a column have decimal commas or decimal points, but not both."""

    def __init__(self) -> None:
        self.used: str | None = None

    def conflict(self, cells: Sequence[str]) -> int | None:
        """Returns the place of the first cell with another decimal point than cells before it."""
        text = "".join(cells)
        if "," not in text and "." not in text:
            return None
        for place, cell in enumerate(cells):
            for mark, pattern in ((",", COMMA), (".", POINT)):
                if mark in cell and pattern.fullmatch(cell):
                    self.used = self.used or mark
                    if self.used != mark:
                        return place
        return None


def _detected(lines: Sequence[str], cut: bool) -> str:
    """Returns the character that divides the lines into rows of the same number of cells.

    Of several, as where each row has the same number of decimal commas, it is the one with the
    largest share of numbers among the cells.
    """
    shares = {}
    for delimiter in (",", ";", "\t"):
        rows = [row for row in csv.reader(lines, delimiter=delimiter) if row]
        rows = rows[:-1] if cut and len(rows) > 1 else rows  # a quoted cell may go on
        width = len(rows[0]) if rows else 0
        if width > 1 and sum(len(row) == width for row in rows) >= REGULAR * len(rows):
            cells = [cell for row in rows for cell in row]
            shares[delimiter] = sum(bool(NUMBER.fullmatch(cell)) for cell in cells) / len(cells)
    return max(shares, key=shares.__getitem__, default=",")
