"""Columns of Python objects: strings, exact numbers, missing values and lists of numbers."""

__all__ = ["levels_of", "object_block", "python_floats"]

from collections.abc import Hashable, Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, cut
from .frames import Block

MISSING_TYPES = {"NoneType", "NAType", "NaTType"}  # None, pandas.NA, pandas.NaT
LISTS = (list, tuple, np.ndarray)


def object_block(values: Sequence[Any], name: str, title: str, discrete: bool = False) -> Block:
    """Returns a column of Python objects as a block.

    Numbers, also of the types `Decimal` and `Fraction`, keep all their digits. Lists of numbers of
    equal length become one column for each element. Other values become levels.

    Arguments:
        values: The objects; None, NaN, `pandas.NA` and `pandas.NaT` are missing.
        name: The name of the column.
        title: The column in messages, such as "x, column 'a'".
        discrete: Whether the column is declared to be discrete: then all values are levels.

    Raises:
        DataError: The values are of no type that can be used; the error names them.
    """
    missing = np.fromiter((is_missing(value) for value in values), bool, len(values))
    present = [value for value, absent in zip(values, missing, strict=True) if not absent]
    kinds = {_kind(value) for value in present}
    if "lists" in kinds:
        if kinds != {"lists"}:
            raise DataError(f"{title} contains lists and other values")
        return _lists(present, missing, name, title)
    if kinds and kinds <= {"booleans"} and not discrete:
        return _block("booleans", present, missing, name, np.bool_)
    if kinds <= {"booleans", "integers", "numbers"} and not discrete:
        if kinds and kinds <= {"booleans", "integers"}:
            present = [int(value) for value in present]
            return _block("integers", present, missing, name, object)
        floats = np.full(len(values), np.nan)
        floats[~missing] = python_floats(present, title)
        return Block("numbers", floats[:, None], (name,))
    content = "/".join(sorted(kinds))
    objection = ""
    if "complex numbers" in kinds:
        objection = f"{title} contains complex numbers: provide both parts as two columns"
    elif kinds - {"strings"}:
        objection = f"{title} contains {content}, not real numbers"
        if "strings" in kinds and kinds & {"booleans", "integers", "numbers"}:
            row = next(i for i, value in enumerate(values) if isinstance(value, str))
            objection = f"{title} contains numbers, but also {cut(repr(values[row]), 40)} in row "
            objection += f"{row + 1:,}"
    return Block(
        "levels", levels_of(values, missing, title)[:, None], (name,), None, content, objection
    )


def levels_of(values: Iterable[Any], missing: NDArray[np.bool_], title: str) -> NDArray[np.int64]:
    """Returns a code 0, 1, ... for each distinct value in order of appearance; -1 if missing."""
    codes: dict[Hashable, int] = {}
    try:
        return np.array(
            [
                -1 if absent else codes.setdefault(value, len(codes))
                for value, absent in zip(values, missing, strict=True)
            ],
            np.int64,
        )
    except TypeError as error:  # not hashable
        raise DataError(f"{title} contains values that are neither numbers nor labels") from error


def is_missing(value: object) -> bool:
    """Returns whether a value is None, NaN, or the missing value of pandas."""
    if type(value).__name__ in MISSING_TYPES:
        return True
    if isinstance(value, (str, int)):
        return False
    try:
        return bool(value != value)  # noqa: PLR0124
    except (ArithmeticError, TypeError, ValueError):  # a signalling NaN; arrays
        return False


def python_floats(values: Sequence[Any], title: str) -> NDArray[np.float64]:
    """Returns real numbers of any type and size in double precision.

    If the conversion would merge different values, or overflow, the numbers are first shifted and
    scaled exactly to the interval from 0 to 1, which does not change mutual information.

    Raises:
        DataError: Even then, different values would become equal.
    """
    distinct = len(set(values))
    floats = _floats(values)
    if np.isfinite(floats).all() and len(np.unique(floats)) == distinct:
        return floats
    try:
        exact = [Fraction(value) for value in values]
    except (OverflowError, ValueError, TypeError):  # an infinite value, reported later
        return floats
    low, high = min(exact), max(exact)
    floats = np.array([float((value - low) / (high - low)) for value in exact])
    if len(np.unique(floats)) < distinct:
        raise DataError(
            f"{title} contains numbers that are equal in double precision but not in all their "
            "digits; subtract an offset, or declare the column as discrete (--discrete; in "
            "Python, discrete=)"
        )
    return floats


def _floats(values: Sequence[Any]) -> NDArray[np.float64]:
    floats = np.empty(len(values))
    for place, value in enumerate(values):
        try:
            floats[place] = float(value)
        except (OverflowError, ValueError):
            floats[place] = np.inf
    return floats


def _kind(value: object) -> str:
    """Returns the kind of a value, as a plural for messages."""
    if isinstance(value, str):
        return "strings"
    if isinstance(value, (bool, np.bool_)):
        return "booleans"
    if isinstance(value, (int, np.integer)):
        return "integers"
    if isinstance(value, (Real, Decimal)):
        return "numbers"
    if isinstance(value, LISTS) or hasattr(value, "detach"):
        return "lists"
    if isinstance(value, (complex, np.complexfloating)):
        return "complex numbers"
    if isinstance(value, bytes):
        return "bytes"
    return f"{type(value).__name__} objects"


def _block(
    kind: Any,  # noqa: ANN401  # a BlockKind
    present: Sequence[Any],
    missing: NDArray[np.bool_],
    name: str,
    dtype: Any,  # noqa: ANN401
) -> Block:
    values = np.zeros(len(missing), dtype)
    values[~missing] = present
    mask = missing[:, None] if missing.any() else None
    return Block(kind, values[:, None], (name,), mask)


def _lists(present: Sequence[Any], missing: NDArray[np.bool_], name: str, title: str) -> Block:
    """Returns a column of lists or arrays, such as embeddings, as one column for each element."""
    lengths = {np.size(value) for value in present}
    if len(lengths) > 1:
        raise DataError(
            f"{title} has lists of {min(lengths)} to {max(lengths)} numbers; all lists must have "
            "the same length"
        )
    try:
        rows = np.array([np.ravel(np.asarray(value, np.float64)) for value in present])
    except (TypeError, ValueError) as error:
        raise DataError(f"{title} contains lists of values that are not numbers") from error
    values = np.full((len(missing), rows.shape[1]), np.nan)
    values[~missing] = rows
    return Block("numbers", values, tuple(f"{name}[{i}]" for i in range(rows.shape[1])))
