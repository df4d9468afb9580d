"""Read columns of numbers from `.csv`, `.tsv` and `.parquet` tables.

Columns are chosen by name, or by number from 1 if no column name is a number. If all cells of the
first row are numbers, the table has no header, and the columns are called 1, 2, ...
"""

__all__ = ["read_parquet", "read_table"]

import importlib
import re
from array import array
from collections import Counter
from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...data.decompression import check_unpacked
from ...data.lines import read_rows
from ...errors import ConfigError, DataError, listing
from .arrays import damage_named

Matrix = NDArray[np.float64]


def read_table(
    path: Path, x_columns: Sequence[str] = (), z_columns: Sequence[str] = ()
) -> tuple[Matrix, Matrix]:
    """Returns the columns of x and of z in a `.csv` or `.tsv` file, possibly ending in `.gz`.

    Columns are names, numbers or ranges such as `1-20`, separately or separated by commas; by
    default, those called x, or x and a number, and likewise for z.

    Raises:
        ConfigError: A column does not exist, is ambiguous or is chosen twice.
        DataError: The file cannot be read, or a cell is not a number; the error gives the line.
    """
    delimiter = "\t" if ".tsv" in path.name.lower()[-7:] else ","
    rows = read_rows(path, delimiter)
    values = array("d")
    _, first = next(rows, (0, []))
    names = [name.strip() for name in first]
    has_header = not all(map(_is_number, names))
    if not has_header:
        names = [str(number) for number in range(1, len(names) + 1)]
    x, z = _choose(path, names, has_header, x_columns, z_columns)
    pick = itemgetter(*x, *z)
    if not has_header:
        values.extend(map(float, pick(first)))
    for number, row in rows:
        if len(row) != len(names):
            raise DataError(
                f"'{path}', line {number}, has {len(row)} cells, but the first line has "
                f"{len(names)}"
            )
        try:
            values.extend(map(float, pick(row)))
        except ValueError as error:
            index = next(index for index in (*x, *z) if not _is_number(row[index]))
            raise DataError(
                f"'{path}', line {number}, column '{names[index]}': '{row[index][:40]}' is not "
                "a number"
            ) from error
    table: Matrix = np.frombuffer(values, np.float64).reshape(-1, len(x) + len(z))
    return table[:, : len(x)], table[:, len(x) :]


def read_parquet(
    path: Path, x_columns: Sequence[str] = (), z_columns: Sequence[str] = ()
) -> tuple[Matrix, Matrix]:
    """Returns the columns of x and of z in a Parquet file, chosen as in `read_table`.

    A column of lists of equal length, such as embeddings, becomes one dimension per element.

    Raises:
        ConfigError: pyarrow is not installed, or a column does not exist.
        DataError: The file cannot be read, or a column contains nulls or other types.
    """
    try:
        pyarrow = importlib.import_module("pyarrow")
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise ConfigError(
            f"'{path}' needs pyarrow; install it with: pip install pyarrow"
        ) from error
    with damage_named(path), parquet.ParquetFile(path) as file:
        names = list(file.schema_arrow.names)
        chosen = _choose(path, names, True, x_columns, z_columns)
        sides = [[names[index] for index in side] for side in chosen]
        _check_footer(path, file.metadata, {name for side in sides for name in side})
        table = file.read(columns=[name for side in sides for name in side])
        x, z = (
            np.column_stack(
                [_numbers(pyarrow, table[name], f"column '{name}' of '{path}'") for name in side]
            )
            for side in sides
        )
    return x, z


def _check_footer(path: Path, metadata: Any, chosen: set[str]) -> None:  # noqa: ANN401
    """Raises DataError if the chosen columns are too large for their file; reads the footer only.

    The footer's sizes are those of encoded values, and equal values take almost no space, so the
    number of values counts too.
    """
    unpacked = 0
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for column in map(group.column, range(group.num_columns)):
            # lists of a column x are called x.list.element
            if any(f"{column.path_in_schema}.".startswith(f"{name}.") for name in chosen):
                unpacked += max(column.total_uncompressed_size, 8 * column.num_values)
    unpacked = max(unpacked, 8 * metadata.num_rows * len(chosen))
    check_unpacked(f"'{path}'", unpacked, path.stat().st_size)


def _numbers(pyarrow: Any, column: Any, name: str) -> Matrix:  # noqa: ANN401  # untyped package
    """Returns a column of an Arrow table, with shape (N, 1) or (N, length of its lists)."""
    types, rows, nulls = pyarrow.types, len(column), column.null_count
    if types.is_list(column.type) or types.is_large_list(column.type):
        lengths = set(column.drop_null().combine_chunks().value_lengths().to_pylist())
        if len(lengths) > 1:
            raise DataError(
                f"{name} has lists of {min(lengths)} to {max(lengths)} numbers; all lists must "
                "have the same length"
            )
    if hasattr(column.type, "value_type") and not types.is_dictionary(column.type):
        column = pyarrow.chunked_array(
            [chunk.flatten() for chunk in column.chunks], column.type.value_type
        )
        nulls += column.null_count
    kind = column.type
    if not (types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)):
        raise DataError(f"{name} contains {kind}, not numbers")
    if nulls:
        raise DataError(f"{name} contains {nulls:,} nulls; remove these pairs")
    values = np.asarray(column.to_numpy(), np.float64)
    return values.reshape(rows, len(values) // max(1, rows))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _choose(
    path: Path,
    names: list[str],
    has_header: bool,
    x_columns: Sequence[str],
    z_columns: Sequence[str],
) -> tuple[list[int], list[int]]:
    """Returns the indices of the columns of x and of z."""
    if not names:
        raise DataError(f"'{path}' is empty; provide a table of numbers")
    known = f"columns: {listing(map(repr, names))}"
    if not has_header:
        known = f"{len(names)} columns, no header"
    sides = []
    for letter, wanted in (("x", x_columns), ("z", z_columns)):
        option = f"--{letter}-columns"
        if wanted:
            chosen = _named(path, names, wanted, known, option)
        else:
            own = re.compile(rf"{letter}[_.]?\d*")
            chosen = [index for index, name in enumerate(names) if own.fullmatch(name)]
            if not chosen:
                raise ConfigError(
                    f"'{path}' has no columns called {letter} or {letter}1, {letter}2, ... "
                    f"({known}); choose some with {option}, by name or by number"
                )
        sides.append(chosen)
    x, z = sides
    for index, count in Counter(x + z).items():
        if count > 1:
            raise ConfigError(
                f"column '{names[index]}' of '{path}' is chosen twice; use each column once, for "
                "x or for z"
            )
    return x, z


def _named(
    path: Path, names: list[str], wanted: Sequence[str], known: str, option: str
) -> list[int]:
    """Returns the indices of columns chosen by names, numbers and ranges."""
    numbered = not any(name.isdecimal() for name in names)  # otherwise '2' would be ambiguous

    def index_of(item: str) -> int:
        if names.count(item) > 1:
            raise ConfigError(
                f"'{path}' has {names.count(item)} columns called '{item}' ({known})"
            )
        if item in names:
            return names.index(item)
        if numbered and re.fullmatch("[0-9]{1,9}", item) and 1 <= int(item) <= len(names):
            return int(item) - 1
        raise ConfigError(f"'{path}' has no column '{item}' ({known}); choose with {option}")

    chosen: list[int] = []
    for item in (item.strip() for group in wanted for item in group.split(",")):
        ends = re.fullmatch("([0-9]+)-([0-9]+)", item)
        if ends and item not in names:
            start, stop = index_of(ends[1]), index_of(ends[2])
            if stop < start:
                raise ConfigError(f"{option} {item}: the first column comes after the last")
            chosen.extend(range(start, stop + 1))
        elif item:
            chosen.append(index_of(item))
    if not chosen:
        raise ConfigError(f"{option} chooses no column of '{path}' ({known})")
    return chosen
