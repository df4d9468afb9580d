"""Columns of Arrow tables and of `.parquet` files.

pyarrow is not a dependency: it is imported on first use, and has no types.
"""

__all__ = ["arrow_frame", "read_parquet"]

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...data.decompression import check_unpacked
from ...errors import ConfigError, DataError
from .arrays import damage_named
from .column_choice import Choice, choose_columns
from .frames import Block, Frame
from .objects import levels_of, object_block


def read_parquet(path: Path, choice: Choice) -> dict[str, Frame]:
    """Returns the chosen columns of a Parquet file.

    A column of lists of equal length, such as embeddings, becomes one dimension per element.

    Raises:
        ConfigError: pyarrow is not installed, or a column does not exist.
        DataError: The file cannot be read, or a column is of a type that cannot be used.
    """
    try:
        importlib.import_module("pyarrow")
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise ConfigError(
            f"'{path}' needs pyarrow; install it with: pip install 'mivae[parquet]'"
        ) from error
    with damage_named(path), parquet.ParquetFile(path) as file:
        names = list(file.schema_arrow.names)
        chosen = choose_columns(path, names, True, choice)
        wanted = {names[place] for places in chosen.values() for place in places}
        _check_footer(path, file.metadata, wanted)
        table = file.read(columns=sorted(wanted))
        frames = {}
        for role, places in chosen.items():
            blocks = tuple(
                _block(
                    table[names[i]],
                    names[i],
                    f"column '{names[i]}' of '{path}'",
                    role in choice.labels,
                )
                for i in places
            )
            frames[role] = Frame(blocks, f"{role} of '{path}'", named=True)
    return frames


def arrow_frame(values: Any, name: str, discrete: bool) -> Frame:  # noqa: ANN401
    """Returns an Arrow table, record batch or array as a frame."""
    names: Sequence[str] = getattr(getattr(values, "schema", None), "names", ())
    if not names:
        return Frame((_block(values, "1", name, discrete),), name)
    blocks = [
        _block(values.column(i), key, f"{name}, column '{key}'", discrete)
        for i, key in enumerate(names)
    ]
    return Frame(tuple(blocks), name, named=True)


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


def _block(column: Any, name: str, title: str, discrete: bool) -> Block:  # noqa: ANN401
    """Returns a column of an Arrow table as a block."""
    pyarrow = importlib.import_module("pyarrow")
    if not isinstance(column, pyarrow.ChunkedArray):
        column = pyarrow.chunked_array([column])
    types, kind = pyarrow.types, column.type
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _lists(pyarrow, column, name, title)
    missing = np.asarray(column.is_null().to_numpy(), bool)
    if types.is_integer(kind) or types.is_boolean(kind):
        array = column.fill_null(0 if types.is_integer(kind) else False).to_numpy()
        mask = missing[:, None] if missing.any() else None
        array = np.ascontiguousarray(array)[:, None]
        return Block("booleans" if types.is_boolean(kind) else "integers", array, (name,), mask)
    if types.is_floating(kind):
        numbers = np.array(column.to_numpy(), np.float64)
        return Block("numbers", np.where(missing, np.nan, numbers)[:, None], (name,))
    if types.is_decimal(kind) or types.is_null(kind):
        return object_block(column.to_pylist(), name, title, discrete)
    text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    if not (text or types.is_dictionary(kind) or types.is_temporal(kind)):
        raise DataError(f"{title} contains {kind}, neither numbers nor labels")
    levels = levels_of(column.to_pylist(), missing, title)
    objection = ""
    if types.is_temporal(kind):
        objection = f"{title} contains {kind}, not numbers: convert dates first, for example to "
        objection += "seconds since the first one"
    content = "categories" if types.is_dictionary(kind) else "strings"
    return Block("levels", levels[:, None], (name,), None, content, objection)


def _lists(pyarrow: Any, column: Any, name: str, title: str) -> Block:  # noqa: ANN401
    """Returns a column of lists as one column for each element; a list may be missing."""
    if column.null_count:
        return object_block(column.to_pylist(), name, title)
    flat = pyarrow.chunked_array(
        [chunk.flatten() for chunk in column.chunks], column.type.value_type
    )
    types, kind = pyarrow.types, flat.type
    if not (types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)):
        raise DataError(f"{title} contains lists of {kind}, not of numbers")
    lengths = set()
    if not types.is_fixed_size_list(column.type):
        lengths = {
            length for chunk in column.chunks for length in np.unique(chunk.value_lengths())
        }
    if len(lengths) > 1:
        raise DataError(
            f"{title} has lists of {min(lengths)} to {max(lengths)} numbers; all lists must have "
            "the same length"
        )
    missing = np.asarray(flat.is_null().to_numpy(), bool)
    numbers = np.array(flat.to_numpy(), np.float64)
    numbers = np.where(missing, np.nan, numbers).reshape(len(column), -1)
    return Block("numbers", numbers, tuple(f"{name}[{i}]" for i in range(numbers.shape[1])))
