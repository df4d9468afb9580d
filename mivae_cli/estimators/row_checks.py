r"""Warnings about rows that are not independent: autocorrelated, or nearly repeated.

Every interval and p-value counts rows. If rows depend on each other, there are in effect fewer;
intervals are then too short and p-values too small, and nearest neighbours find copies and
successive rows instead of dependence between x and z.

**Autocorrelation** has consequences only if both x and z are autocorrelated: the variance of a
mean of products is :math:`1 + 2 \sum_l r_x(l) \, r_z(l)` times that of independent rows (Bartlett),
with the autocorrelations :math:`r(l)` of ranks.

Shapes: N rows, C columns.

References:
    | On the theoretical specification and sampling properties of autocorrelated time-series
      (Bartlett, 1946)
"""

__all__ = ["RowFindings", "SerialDependence", "check_rows", "serial_dependence"]

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .near_copies import near_copies
from .rows import MIN_UNITS, Rows
from .variables import Variable

Array = NDArray[np.float64]

# Autocorrelation
LEVEL = 1e-3  # of the test of x, and of z
LAGS = 10  # that are tested
MIN_INFLATION = 1.2  # of the variance; smaller ones are harmless
MAX_INFLATION = 5.0  # of the variance, with which an estimate can still be recommended
FORGOTTEN = 0.1  # correlation at which the past no longer matters
MAX_COLUMNS = 32
MAX_SORTED = 20  # levels of a column that rows may be sorted by
MAX_INDICATORS = 8  # of a discrete column
ENOUGH_UNITS = 20


@dataclass(frozen=True)
class SerialDependence:
    """Autocorrelation of successive rows in both x and z."""

    x: float  # largest autocorrelation of a column of x at lag 1
    z: float
    inflation: float  # of the variance of means
    blocks: int  # length of blocks that are nearly independent


@dataclass(frozen=True)
class RowFindings:
    """What is known about rows that depend on each other.

    Attributes:
        warnings: What was found, with advice.
        objection: Why no estimate of these rows can be recommended; None if one can.
    """

    warnings: list[str]
    objection: str | None


def check_rows(x: Variable, z: Variable, rows: Rows | None = None) -> RowFindings:
    """Returns what is known about rows of x and z that depend on each other.

    With `rows` in groups or blocks, only dependence that they do not cover is reported.
    """
    rows = Rows.independent(len(x)) if rows is None else rows
    warnings, objection = [], None
    serial = None
    if rows.kind == "independent":
        levels = torch.cat([x.numbers(), z.numbers()], dim=1)
        serial = serial_dependence(_columns(x), _columns(z), levels)
    if serial is not None:
        longest = len(x) // MIN_UNITS
        advice = f"use --blocks {serial.blocks} (in Python: blocks={serial.blocks})"
        if serial.blocks >= longest:
            advice += ", although the series is too short for reliable figures"
        warnings.append(
            "successive rows are correlated, in x and in z "
            f"({serial.x:.2f} and {serial.z:.2f}): p-value and intervals are not valid. If rows "
            f"are in order of time, {advice}; if they belong to persons, files or similar, use "
            "--groups COLUMN (in Python: groups=); if their order means nothing, shuffle them first"
        )
        # labels may alternate by design, with independent rows otherwise
        if serial.inflation > MAX_INFLATION and x.kind == z.kind == "continuous":
            objection = "successive rows depend on each other"
    if rows.dependent and rows.effective < ENOUGH_UNITS:
        warnings.append(
            f"the rows form only {rows.effective:.0f} independent {rows.kind} in effect: "
            "intervals and p-values are unreliable. Use more rows, smaller groups or shorter blocks"
        )
    if rows.kind == "groups":  # of each group, one row
        first = torch.from_numpy(np.unique(rows.unit.numpy(), return_index=True)[1])
        x, z = x.rows(first), z.rows(first)
    if (copies := near_copies(x.numbers(), z.numbers())) is not None:
        warnings.append(
            f"{copies.share:.0%} of the rows are nearly repeated (about {copies.copies} times): "
            "p-value and intervals are not valid, and nearest-neighbour estimates are far too "
            "high. Keep one row of each, or use --groups COLUMN (in Python: groups=) with a column "
            "that is the same for all copies"
        )
        objection = "most rows are nearly repeated"
    return RowFindings(warnings, objection)


def serial_dependence(
    x: Tensor, z: Tensor, levels: Tensor | None = None
) -> SerialDependence | None:
    """Returns the autocorrelation of x (N, X) and z (N, Z), or None if one has none.

    If the rows are sorted by a column with few levels, such as a label, only the autocorrelation
    inside of its levels counts, because the order of otherwise independent rows means nothing.
    `levels` are the columns that rows may be sorted by, with shape (N, C); default: x and z.
    """
    from scipy.special import ndtri  # slow to import

    count = len(x)
    if not x.shape[1] or not z.shape[1]:
        return None
    ranks = _ranks(_some(x)), _ranks(_some(z))
    level = _sorted_level(torch.cat([x, z], dim=1) if levels is None else levels)
    if level is not None:
        ranks = _within(ranks[0], level), _within(ranks[1], level)
    correlations = [np.abs(_autocorrelations(side, LAGS)) for side in ranks]
    for found in correlations:
        quantile = -float(ndtri(LEVEL / (2 * max(1, found.size))))
        if not found.size or found.max() * math.sqrt(count) < quantile:
            return None
    longest = max(LAGS, count // MIN_UNITS)
    left, right = (np.abs(_autocorrelations(side, longest)).max(axis=1) for side in ranks)
    noise = 2 / math.sqrt(count)
    products = np.where((left > noise) & (right > noise), left * right, 0)
    ends = np.flatnonzero(products == 0)
    inflation = 1 + 2 * float(products[: ends[0] if len(ends) else None].sum())
    if inflation < MIN_INFLATION:
        return None
    forgotten = np.flatnonzero(np.maximum(left, right) < max(FORGOTTEN, noise))
    blocks = int(forgotten[0]) + 1 if len(forgotten) else longest
    return SerialDependence(float(left[0]), float(right[0]), inflation, _rounded(blocks, longest))


def _columns(variable: Variable) -> Tensor:
    """Returns numbers, and indicators of frequent levels, because the order of codes is arbitrary.

    The shape is (N, C + indicators).
    """
    parts = [variable.continuous]
    for codes in variable.codes.T:
        times = codes.bincount()
        frequent = times.argsort(descending=True, stable=True)[:MAX_INDICATORS]
        frequent = frequent[times[frequent] >= MIN_UNITS]
        parts.append((codes[:, None] == frequent).double())
    return torch.cat(parts, dim=1)


def _some(columns: Tensor) -> Tensor:
    """Returns at most 32 columns, evenly spaced."""
    step = max(1, -(-columns.shape[1] // MAX_COLUMNS))
    return columns[:, ::step]


def _ranks(columns: Tensor) -> Array:
    """Returns centred average ranks of each column that varies, with shape (N, C)."""
    from scipy.stats import rankdata

    ranks = np.asarray(rankdata(columns.numpy(), axis=0), dtype=np.float64)
    return _scaled(ranks - ranks.mean(axis=0))


def _scaled(centred: Array) -> Array:
    """Returns columns with a mean square of 1, without constant ones."""
    scale = np.sqrt(np.square(centred).mean(axis=0))
    kept = scale > 1e-9 * max(1, len(centred))
    return np.asarray(centred[:, kept] / scale[kept])


def _autocorrelations(columns: Array, lags: int) -> Array:
    """Returns the autocorrelations at lags 1, 2, ..., with shape (lags, C)."""
    count = len(columns)
    spectrum = np.fft.rfft(columns, 2 * count, axis=0)
    products: Array = np.fft.irfft(np.square(np.abs(spectrum)), axis=0)
    return np.asarray(products[1 : lags + 1] / count)


def _sorted_level(columns: Tensor) -> NDArray[np.int64] | None:
    """Returns the level of a column with few levels by which the rows are sorted, shape (N,)."""
    for column in columns.T:
        level = column.unique_consecutive(return_inverse=True)[1]
        runs = int(level[-1]) + 1
        if 1 < runs <= MAX_SORTED and len(column.unique()) == runs:
            return np.asarray(level.numpy())
    return None


def _within(columns: Array, level: NDArray[np.int64]) -> Array:
    """Returns columns without the mean of each level."""
    sizes = np.bincount(level)[:, None]
    means = np.stack([np.bincount(level, column) for column in columns.T], axis=1) / sizes
    return _scaled(columns - means[level])


def _rounded(length: int, longest: int) -> int:
    """Returns a number of one digit above `length`, but at most `longest`."""
    unit = int(10 ** (len(str(length)) - 1))
    return max(1, min(-(-length // unit) * unit, longest))
