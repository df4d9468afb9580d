"""Columns of arrays, tensors, nested lists, and data frames of pandas, polars and pyarrow."""

__all__ = ["aligned", "frame_of"]

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, reason
from .arrow import arrow_frame
from .frames import Block, Frame
from .objects import levels_of, object_block

# What an array contains that is neither numbers nor strings, by dtype kind
OTHER_KINDS = {
    "M": "dates, not numbers: convert them, for example to seconds since the first one",
    "m": "durations, not numbers: convert them, for example to seconds",
    "c": "complex numbers: provide their real and imaginary parts as two columns",
}


def frame_of(values: object, name: str, discrete: bool = False) -> Frame:
    """Returns an array, tensor, data frame, series or nested lists as a frame.

    Arrays of shape (N, ...) are flattened to (N, columns), with a note.

    Arguments:
        values: The samples; a `Frame` is returned as it is.
        name: The name of the variable in messages.
        discrete: Whether all columns are declared to be discrete.

    Raises:
        DataError: The values are not rows of numbers, labels or both.
    """
    if isinstance(values, Frame):
        return values
    try:
        if hasattr(values, "to_pylist"):  # pyarrow
            return arrow_frame(values, name, discrete)
        if hasattr(values, "iter_columns") or hasattr(values, "is_null"):  # polars
            return _polars(values, name, discrete)
        if hasattr(values, "isna") and hasattr(values, "index"):  # pandas
            return _pandas(values, name, discrete)
        if hasattr(values, "items"):  # a dictionary of columns; other data frames
            return _mapping(values, name, discrete)
        return _array(values, name, discrete)
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:  # ragged; sparse tensors
        raise DataError(f"{name} is not an array of numbers: {reason(error)}") from error


def aligned(frames: Sequence[Frame | None]) -> tuple[list[Frame | None], list[str]]:
    """Returns frames whose rows belong together, and notes.

    Rows of pandas objects belong together if they have the same index label. Other values have no
    labels, and are paired by position.

    Raises:
        DataError: The indexes differ, other than in the order of unique labels.
    """
    first: Frame | None = None
    found: list[Frame | None] = []
    notes = []
    for frame in frames:
        if frame is not None and frame.index is not None:
            first = first or frame
            if not frame.index.equals(first.index):
                frame = _reordered(frame, first)
                notes.append(f"rows of {frame.name} were reordered to the index of {first.name}")
        found.append(frame)
    return found, notes


def _reordered(frame: Frame, first: Frame) -> Frame:
    advice = "join them on their labels, or pair them by position with .reset_index(drop=True)"
    if not (frame.index.is_unique and first.index.is_unique):
        raise DataError(
            f"{first.name} and {frame.name} have different indexes with repeated labels; {advice}"
        )
    places = frame.index.get_indexer(first.index)
    if len(frame) != len(first) or (places < 0).any():
        absent = int((places < 0).sum())
        raise DataError(
            f"{first.name} and {frame.name} have different indexes: {absent:,} of {len(first):,} "
            f"labels of {first.name} are not in {frame.name}, which has {len(frame):,}; {advice}"
        )
    return frame.rows(np.asarray(places))


def _array(values: Any, name: str, discrete: bool) -> Frame:  # noqa: ANN401
    if hasattr(values, "detach"):
        tensor = values.detach().cpu()
        # numpy has no bfloat16
        array = np.asarray(tensor.double() if tensor.is_floating_point() else tensor)
    else:
        array = np.asarray(values)
        if array.dtype.kind in "USO" and not hasattr(values, "dtype"):
            # numpy would turn the numbers among strings into strings
            array = np.asarray(values, object)
    mask = np.ma.getmaskarray(values) if np.ma.isMaskedArray(values) else None
    notes: tuple[str, ...] = ()
    if array.ndim == 1 or (array.ndim > 2 and array.size):
        if array.ndim > 2:
            width = array.size // len(array)
            shape = ", ".join(["N", *map(str, array.shape[1:])])
            notes = (f"{name} of shape ({shape}) was flattened to {width:,} columns",)
        array = array.reshape(len(array), -1)
        mask = None if mask is None else mask.reshape(array.shape)
    if array.ndim != 2:
        raise DataError(
            f"{name} has shape {array.shape}, but must have shape (N,) or (N, dimensions), one "
            "row for each pair"
        )
    if array.shape[1] == 0:
        raise DataError(f"{name} has shape {array.shape}: it has no columns")
    names = tuple(str(number + 1) for number in range(array.shape[1]))
    if array.dtype.kind in "biuf":
        return Frame((_numeric(array, names, mask),), name, notes=notes)
    columns = []
    for place, column in enumerate(array.T):
        absent = None if mask is None else mask[:, place]
        title = name if array.shape[1] == 1 else f"{name}, column {place + 1}"
        columns.append(_column(column, names[place], title, absent, discrete))
    return Frame(tuple(columns), name, notes=notes)


def _numeric(
    array: NDArray[Any], names: tuple[str, ...], missing: NDArray[np.bool_] | None = None
) -> Block:
    """Returns a block of an array (N, K) of numbers or booleans."""
    if missing is not None and not missing.any():
        missing = None
    match array.dtype.kind:
        case "b":
            return Block("booleans", array, names, missing)
        case "i" | "u":
            return Block("integers", array, names, missing)
    # values beyond the range of float64 become infinite; signalling NaNs become quiet
    with np.errstate(over="ignore", invalid="ignore"):
        numbers = np.asarray(array, np.float64)
    return Block(
        "numbers", numbers if missing is None else np.where(missing, np.nan, numbers), names
    )


def _column(
    column: NDArray[Any],
    name: str,
    title: str,
    missing: NDArray[np.bool_] | None = None,
    discrete: bool = False,
) -> Block:
    """Returns a block of an array (N,) of any type."""
    kind = column.dtype.kind
    if kind in "biuf":
        return _numeric(column[:, None], (name,), None if missing is None else missing[:, None])
    absent = np.zeros(len(column), bool) if missing is None else missing
    if kind in "Mmc":
        absent = absent | (np.isnan(column) if kind == "c" else np.isnat(column))
        levels = levels_of(column.tolist(), absent, title)
        objection = f"{title} contains {OTHER_KINDS[kind]}"
        return Block("levels", levels[:, None], (name,), objection=objection)
    if kind == "V":
        raise DataError(f"{title} contains records, not numbers; choose fields")
    if kind in "US":
        codes = np.unique(column, return_inverse=True)[1]
        levels = np.where(absent, -1, codes).astype(np.int64)
        return Block(
            "levels", levels[:, None], (name,), content="strings" if kind == "U" else "bytes"
        )
    values = [None if lost else value for value, lost in zip(column.tolist(), absent, strict=True)]
    return object_block(values, name, title, discrete)


def _mapping(values: Any, name: str, discrete: bool) -> Frame:  # noqa: ANN401
    parts = [(str(key), _array(column, name, discrete)) for key, column in values.items()]
    if not parts or any(len(part.names) > 1 for _, part in parts):
        raise DataError(f"{name} has no columns, or columns of several dimensions")
    if len({len(part) for _, part in parts}) > 1:
        raise DataError(f"the columns of {name} have different lengths")
    blocks = (replace(part.blocks[0], names=(key,)) for key, part in parts)
    return Frame(tuple(blocks), name, named=True)


def _pandas(values: Any, name: str, discrete: bool) -> Frame:  # noqa: ANN401
    series = hasattr(values, "to_frame") and not hasattr(values, "columns")
    named = not series or values.name is not None
    columns = [(values.name if named else "1", values)] if series else list(values.items())
    if not columns:
        raise DataError(f"{name} has shape {values.shape}: it has no columns")
    blocks = []
    for key, column in columns:
        title = f"{name}, column '{key}'" if named else name
        missing = column.isna().to_numpy()
        kind = getattr(column.dtype, "kind", "O")
        if hasattr(column, "cat"):
            codes = np.asarray(column.cat.codes, np.int64)
            blocks.append(Block("levels", codes[:, None], (str(key),), content="categories"))
        elif kind in "biuf":
            blank = {"b": False, "f": np.nan}.get(kind, 0)
            dtype = np.dtype({"b": "?", "i": "i8", "u": "u8", "f": "f8"}[kind])
            array = (
                column.to_numpy(dtype, na_value=blank) if missing.any() else column.to_numpy(dtype)
            )
            blocks.append(_column(array, str(key), title, missing))
        elif kind in "Mm":
            dtype = np.dtype(f"{kind}8[ns]")
            plain = column.dt.tz_localize(None) if getattr(column.dt, "tz", None) else column
            blocks.append(_column(plain.to_numpy(dtype), str(key), title, missing))
        elif kind == "c":
            blocks.append(_column(np.asarray(column), str(key), title, missing))
        else:
            array = np.empty(len(column), object)
            array[:] = column.tolist()
            blocks.append(_column(array, str(key), title, missing, discrete))
    return Frame(tuple(blocks), name, named, index=values.index)


def _polars(values: Any, name: str, discrete: bool) -> Frame:  # noqa: ANN401
    series = not hasattr(values, "iter_columns")
    columns = [values] if series else list(values.iter_columns())
    if not columns:
        raise DataError(f"{name} has no columns")
    blocks = []
    for column in columns:
        title, kind = f"{name}, column '{column.name}'", column.dtype
        missing = np.asarray(column.is_null().to_list(), bool)
        if kind.is_integer() or str(kind) == "Boolean":
            filled = column.fill_null(False if str(kind) == "Boolean" else 0)
            array = np.asarray(
                filled.to_list() if str(kind).endswith("128") else filled.to_numpy()
            )
            blocks.append(_column(array, column.name, title, missing))
        elif kind.is_float():
            numbers = column.cast(type(kind)).fill_null(float("nan")).to_numpy()
            blocks.append(_column(numbers, column.name, title))
        elif str(kind).startswith(("Categorical", "Enum")):
            levels = levels_of(column.to_list(), missing, title)
            blocks.append(Block("levels", levels[:, None], (column.name,), content="categories"))
        else:
            blocks.append(object_block(column.to_list(), column.name, title, discrete))
    return Frame(tuple(blocks), name, not series or bool(values.name))
