"""Columns whose numbers are too large, too small or too unequal for double-precision arithmetic.

Mutual information does not change if a column is mapped by a strictly increasing function.

Shapes: N rows, K columns.
"""

__all__ = ["distinct", "integers_as_floats", "steady"]

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import rankdata

from .objects import python_floats

Matrix = NDArray[np.float64]
MAX_MAGNITUDE = 1e30  # of a column, below the largest number in single precision
MAX_EXACT = 2**53  # larger integers may lose digits in double precision
SMALL = 0.01  # quantile of the deviations from the median ...
MAX_SPREAD = 1e6  # ... and the largest deviation, as a multiple of it, that needs no check
MAX_LOST = 0.01  # share of distinct values that a standardised column may lose


def steady(values: Matrix) -> tuple[Matrix, list[int]]:
    """Returns columns that can be standardised without loss, and the numbers of those replaced.

    Columns of very large or very small numbers are multiplied by a power of two: their squares
    would overflow or underflow. In a column that mixes numbers of very unequal size, most values
    would be equal once it is standardised: it is replaced by the normal scores of its ranks.
    """
    largest = np.abs(values).max(axis=0)
    extreme = (largest > MAX_MAGNITUDE) | (largest < 1 / MAX_MAGNITUDE)
    scaled = values
    if extreme.any():
        with np.errstate(under="ignore"):
            scaled = np.where(extreme, np.ldexp(values, -np.frexp(largest)[1]), values)
    deviation = np.abs(scaled - np.median(scaled, axis=0))
    small = np.quantile(deviation, SMALL, axis=0)
    spread = deviation.max(axis=0) > MAX_SPREAD * small
    replaced = [int(i) for i in np.flatnonzero(spread) if _collapses(values[:, i], scaled[:, i])]
    if replaced:
        scaled = scaled.copy()
        for column in replaced:
            ranks = rankdata(values[:, column])
            scaled[:, column] = ndtri((ranks - 0.5) / len(ranks))
    return scaled, replaced


def integers_as_floats(column: NDArray[Any], title: str) -> Matrix:
    """Returns integers in double precision, less an offset if they exceed 2**53.

    Raises:
        DataError: Different integers would become equal.
    """
    if column.dtype == object:
        low, high = min(column), max(column)
        if max(abs(low), abs(high)) > MAX_EXACT:
            return python_floats([int(value) for value in column], title)
        return np.asarray(column, np.float64)
    low, high = int(column.min()), int(column.max())
    if max(abs(low), abs(high)) <= MAX_EXACT:
        return column.astype(np.float64)
    if high - low <= MAX_EXACT:
        return np.asarray(column - column.min(), np.float64)
    floats = column.astype(np.float64)
    if distinct(floats) == len(np.unique(column)):
        return floats
    return python_floats(column.tolist(), title)


def distinct(column: NDArray[Any]) -> int:
    """Returns the number of different values of a column."""
    ordered = np.sort(column)
    return 1 + int((ordered[1:] != ordered[:-1]).sum())


def _collapses(values: Matrix, scaled: Matrix) -> bool:
    """Returns whether different values of a column become equal once it is standardised."""
    centred = scaled - scaled.mean()
    scale = float(np.sqrt(np.mean(centred**2)))
    if scale == 0:
        return distinct(values) > 1
    count = distinct(values)
    return count - distinct(centred / scale) > MAX_LOST * count
