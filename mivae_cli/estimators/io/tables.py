"""Read columns of `.csv` and `.tsv` tables: numbers, labels and missing values.

If all cells of the first row are numbers, the table has no header, and the columns are called
1, 2, ...; but a first row of 0, 1, 2, ... or 1, 2, 3, ... is a header, as pandas writes it.

If semicolons are between cells, numbers may have a decimal comma.
"""

__all__ = ["MISSING", "read_table"]

import math
import re
from array import array
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...data.lines import read_rows
from ...errors import DataError
from .column_choice import ROLES, Choice, choose_columns
from .delimiters import CellFormat, Decimals, cell_format, with_point
from .frames import Block, Frame

# Cells that pandas reads as missing values
MISSING = {
    *("", "NA", "N/A", "n/a", "#NA", "#N/A", "#N/A N/A", "<NA>", "NULL", "null", "None"),
    *("NaN", "nan", "-NaN", "-nan", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
}
CHUNK = 4096  # rows
INTEGER = re.compile(r"\s*[+-]?[0-9]{1,4000}\s*")  # Python converts no more digits
MAX_EXACT = 2.0**53  # larger integers may lose digits in double precision


def read_table(
    path: Path, choice: Choice, header: bool | None = None, delimiter: str | None = None
) -> dict[str, Frame]:
    """Returns the chosen columns of a `.csv` or `.tsv` file, possibly ending in `.gz`.

    A column without any numbers contains labels. Empty cells, NaN, NA and null are missing.

    Arguments:
        path: The file.
        choice: The columns of each variable.
        header: Whether the first row contains the names of the columns; None to detect it.
        delimiter: The character between cells, or "tab"; None to detect it.

    Raises:
        ConfigError: A column does not exist, is ambiguous or is chosen twice, or the delimiter is
            no single character.
        DataError: The file cannot be read, or a column contains numbers and text; the error gives
            the line.
    """
    form = cell_format(path, delimiter)
    rows = (row for row in read_rows(path, form.delimiter) if row[0] > form.skipped)
    number, first = next(rows, (0, []))
    names = [name.strip() for name in first]
    if header is None:
        read = [with_point(name) for name in names] if form.decimal_commas else names
        has_header, warnings = _detect(path, read)
    else:
        has_header, warnings = header, ()
    if not has_header:
        names = [str(number) for number in range(1, len(names) + 1)]
    chosen = choose_columns(path, names, has_header, choice)
    columns = {
        role: [
            _Column(path, names[i], ROLES[role], role in choice.labels, form.decimal_commas)
            for i in places
        ]
        for role, places in chosen.items()
    }
    lines = array("q")
    source = rows if has_header else _with(number, first, rows)
    while chunk := list(islice(source, CHUNK)):
        for number, row in chunk:
            if len(row) != len(names):
                raise DataError(
                    f"'{path}', line {number}, has {len(row)} cells, but the first line has "
                    f"{len(names)}"
                )
            lines.append(number)
        for role, places in chosen.items():
            for column, place in zip(columns[role], places, strict=True):
                column.add([row[place] for _, row in chunk], lines[-len(chunk) :])
    numbers = np.frombuffer(lines, np.int64) if lines else np.empty(0, np.int64)
    frames = {}
    for role in chosen:
        blocks = tuple(column.block() for column in columns[role])
        told = (warnings, _notes(path, form)) if role == "x" else ((), ())  # once for the file
        frames[role] = Frame(blocks, f"'{path}'", True, numbers, None, *told)
    return frames


def _notes(path: Path, form: CellFormat) -> tuple[str, ...]:
    """Returns a note on the character between cells if it is unusual for the file."""
    if form.delimiter == ("\t" if ".tsv" in path.name.lower()[-7:] else ","):
        return ()
    name = "tabs" if form.delimiter == "\t" else f"'{form.delimiter}'"
    commas = ", and ',' as the decimal point" if form.decimal_commas else ""
    return (f"'{path}' was read with {name} between cells{commas}; to change this: --delimiter",)


def _with(
    number: int, first: list[str], rows: Iterator[tuple[int, list[str]]]
) -> Iterator[tuple[int, list[str]]]:
    if first:
        yield number, first
    yield from rows


def _detect(path: Path, names: list[str]) -> tuple[bool, tuple[str, ...]]:
    """Returns whether the first row of a table is a header, and a warning if that is a guess."""
    counted = [str(number) for number in range(len(names) + 1)]
    if len(names) > 1 and names in (counted[:-1], counted[1:]):
        doubtful = f"{names[0]}, ..., {names[-1]}"
    elif all(_is_number(name) for name in names):
        return False, ()
    elif decimals := [name for name in names if "." in name and _is_number(name)]:
        doubtful = f"with '{decimals[0]}'"
    else:
        return True, ()
    return True, (
        f"the first row of '{path}' ({doubtful}) was read as column names; otherwise --no-header",
    )


def _are_whole(numbers: NDArray[np.float64]) -> bool:
    present = numbers[~np.isnan(numbers)]
    return bool((np.isfinite(present) & (present == np.floor(present))).all())


def _is_number(cell: str) -> bool:
    return _number(cell) is not None and cell.strip() not in MISSING


def _number(cell: str) -> float | None:
    """Returns the number in a cell, NaN for a missing value, or None for text."""
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return np.nan if cell.strip() in MISSING else None


class _Column:
    """Reads a column chunk by chunk; the first cell that is not missing determines its type."""

    def __init__(
        self, path: Path, name: str, option: str, labels: bool, decimal_commas: bool
    ) -> None:
        self.path, self.name, self.option = path, name, option
        self.decimals = Decimals() if decimal_commas else None
        self.labels = labels  # whether all cells are labels, also numbers
        self.kind = "labels" if labels else ""
        self.chunks: list[NDArray[np.float64]] = []  # of numbers, or codes of labels
        self.exact: dict[int, list[int]] = {}  # integers beyond double precision, by chunk
        self.codes: dict[str, int] = {}

    def add(self, cells: list[str], lines: Sequence[int]) -> None:
        """Reads the cells of a chunk."""
        if self.decimals is not None and self.kind != "labels":
            if (place := self.decimals.conflict(cells)) is not None:
                raise self._mixed(
                    lines[place], cells[place], "a number with another decimal point than others"
                )
            cells = [with_point(cell) for cell in cells]
        if self.kind != "labels":
            numbers = self._numbers(cells, lines)
            if numbers is not None:
                self.chunks.append(numbers)
                return
            self.kind = "labels"  # all chunks before have missing values only
            self.chunks = [np.full(len(chunk), -1.0) for chunk in self.chunks]
        codes = np.empty(len(cells))
        for place, cell in enumerate(cells):
            label = cell.strip()
            if label in MISSING:
                codes[place] = -1
                continue
            if not self.labels and _number(cell) is not None:
                raise self._mixed(lines[place], cell, "a number, but cells before it are text")
            codes[place] = self.codes.setdefault(label, len(self.codes))
        self.chunks.append(codes)

    def _numbers(self, cells: list[str], lines: Sequence[int]) -> NDArray[np.float64] | None:
        """Returns the numbers of a chunk, NaN where missing; None for a column of labels."""
        numbers: NDArray[np.float64] | None = None
        if "_" not in "".join(cells):
            try:
                numbers = np.fromiter(map(float, cells), np.float64, len(cells))
            except ValueError:
                numbers = None
        if numbers is None:
            parsed = [_number(cell) for cell in cells]
            text = next((place for place, value in enumerate(parsed) if value is None), None)
            if text is not None:
                seen = any(not math.isnan(value) for value in parsed[:text] if value is not None)
                if self.kind == "numbers" or seen:
                    raise self._mixed(lines[text], cells[text], "not a number")
                return None
            numbers = np.array(parsed, np.float64)
        present = ~np.isnan(numbers)
        if present.any():
            self.kind = "numbers"
        largest = np.abs(numbers, where=present, out=np.zeros(len(cells)))
        if largest.max() >= MAX_EXACT and all(
            INTEGER.fullmatch(cell) for cell, found in zip(cells, present, strict=True) if found
        ):
            self.exact[len(self.chunks)] = [
                int(cell) if found else 0 for cell, found in zip(cells, present, strict=True)
            ]
        for place in np.flatnonzero(numbers == 0).tolist():
            if re.match(r"\s*[+-]?[0.]*[1-9]", cells[place]):
                raise DataError(
                    f"'{self.path}', line {lines[place]}, column '{self.name}': "
                    f"'{cells[place][:40]}' is too small for double precision; rescale the column"
                )
        return numbers

    def _mixed(self, line: int, cell: str, problem: str) -> DataError:
        side = {"--x-columns": "x", "--z-columns": "z"}.get(self.option)
        advice = f"; if the column contains labels, use --discrete {side}" if side else ""
        return DataError(
            f"'{self.path}', line {line}, column '{self.name}': '{cell[:40]}' is {problem}{advice}"
        )

    def block(self) -> Block:
        """Returns all cells of the column."""
        values = np.concatenate(self.chunks) if self.chunks else np.empty(0)
        if self.kind == "labels":
            codes = values.astype(np.int64)
            if self.labels:
                codes = self._merged(codes)
            return Block("levels", codes[:, None], (self.name,))
        # chunks of exact integers; in the others, integers in double precision are exact
        whole = all(
            place in self.exact or _are_whole(chunk) for place, chunk in enumerate(self.chunks)
        )
        if self.exact and whole:
            present = ~np.isnan(values)
            exact = np.zeros(len(values), object)
            exact[:] = [
                integer
                for place, chunk in enumerate(self.chunks)
                for integer in self.exact.get(place) or map(int, np.nan_to_num(chunk).tolist())
            ]
            mask = None if present.all() else ~present[:, None]
            return Block("integers", exact[:, None], (self.name,), mask)
        return Block("numbers", values[:, None], (self.name,))

    def _merged(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns codes by which equal numbers, such as 1 and 1.0, are the same label."""
        numbers = [_number(label) for label in self.codes]
        if any(number is None for number in numbers):
            return codes
        same: dict[float | int, int] = {}
        merged = [
            same.setdefault(int(label) if INTEGER.fullmatch(label) else number or 0.0, len(same))
            for label, number in zip(self.codes, numbers, strict=True)
        ]
        return np.array([*merged, -1], np.int64)[codes]
