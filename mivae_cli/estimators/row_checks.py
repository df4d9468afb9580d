r"""Warnings about rows that are not independent: autocorrelated, or nearly repeated.

Every interval and p-value counts rows. If rows depend on each other, there are in effect fewer;
intervals are then too short and p-values too small, and nearest neighbours find copies and
successive rows instead of dependence between x and z.

**Autocorrelation** has consequences only if both x and z are autocorrelated: the variance of a
mean of products is :math:`1 + 2 \sum_l r_x(l) \, r_z(l)` times that of independent rows (Bartlett),
with the autocorrelations :math:`r(l)` of ranks.

**Near copies.** Where the density is smooth, the distances :math:`d_1 \le d_2 \le \dots` from a row
to its neighbours satisfy, with the local dimension q,

.. math:: k \, q \log \frac{d_{k + 1}}{d_k} \sim \mathrm{Exp}(1), \quad \text{independently for
    every } k.

A row with c - 1 copies has a jump at k = c - 1. The check needs neither q nor the density: it looks
for a k at which the ratios of most rows jump, and for rows whose largest ratio is far above all
others of the same row.

Shapes: N rows, Q rows that are checked, K neighbours, C columns.

References:
    | On the theoretical specification and sampling properties of autocorrelated time-series
      (Bartlett, 1946)
    | Estimating the intrinsic dimension of datasets by a minimal neighborhood information
      (Facco, d'Errico, Rodriguez & Laio, 2017), for the law of the ratios
"""

__all__ = ["NearCopies", "SerialDependence", "near_copies", "row_warnings", "serial_dependence"]

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .rows import MIN_UNITS, Rows
from .variables import Variable

Array = NDArray[np.float64]

# Autocorrelation
LEVEL = 1e-3  # of the test of x, and of z
LAGS = 10  # that are tested
MIN_INFLATION = 1.2  # of the variance; smaller ones are harmless
FORGOTTEN = 0.1  # correlation at which the past no longer matters
MAX_COLUMNS = 32
MAX_SORTED = 20  # levels of a column that rows may be sorted by
MAX_INDICATORS = 8  # of a discrete column
ENOUGH_UNITS = 20
# Near copies
CHECKED = 1000
NEIGHBOURS = 40
MAX_EXACT = 8  # columns for which a tree is faster than all distances
JUMPS = ((14.0, 0.04), (10.0, 0.08))  # sizes of jumps, and shares of rows that may have them
PEAK, PEAK_ERRORS = 1.4, 6.0
REACH = 3  # neighbouring k that a peak is compared with
REGULAR = 0.1  # share of equal gaps between the values of a column
FLOOR = 1e-9  # smallest distance


@dataclass(frozen=True)
class SerialDependence:
    """Autocorrelation of successive rows in both x and z."""

    x: float  # largest autocorrelation of a column of x at lag 1
    z: float
    inflation: float  # of the variance of means
    blocks: int  # length of blocks that are nearly independent


@dataclass(frozen=True)
class NearCopies:
    """Rows that are far closer to some rows than to all others."""

    copies: int  # most frequent number of rows that are close to each other
    share: float  # share of rows with close ones


def row_warnings(x: Variable, z: Variable, rows: Rows | None = None) -> list[str]:
    """Returns warnings about rows of x and z that depend on each other.

    With `rows` in groups or blocks, only dependence that they do not cover is reported.
    """
    rows = Rows.independent(len(x)) if rows is None else rows
    warnings = []
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
            "--groups COLUMN; if their order means nothing, shuffle them first"
        )
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
            "high. Keep one row of each, or use --groups COLUMN with a column that is the same "
            "for all copies"
        )
    return warnings


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


def near_copies(x: Tensor, z: Tensor, seed: int = 0) -> NearCopies | None:
    """Returns the near copies among the rows of x (N, X) and z (N, Z), or None."""
    generator = np.random.default_rng(seed)
    columns = _local(torch.cat([x, z], dim=1).double().numpy(), generator)
    number = min(NEIGHBOURS, len(columns) // 4)
    if number < 2 * REACH + 2 or not columns.shape[1]:
        return None
    chosen = generator.permutation(len(columns))[:CHECKED]
    apart = np.maximum(_nearest(columns, chosen, number + 1), FLOOR)
    order = np.arange(1, number + 1)
    scaled = order * np.diff(np.log(apart), axis=1)  # (Q, K), exponential with mean 1 / q
    largest = scaled.argmax(axis=1)
    jump = scaled[np.arange(len(scaled)), largest]
    rest = (scaled.sum(axis=1) - jump) / (number - 1)
    size = jump / np.maximum(rest, 1e-12)
    shares = [float((size > low).mean()) for low, _ in JUMPS]
    if any(share > most for share, (_, most) in zip(shares, JUMPS, strict=True)):
        found = largest[size > JUMPS[-1][0]]
        return NearCopies(int(np.bincount(found).argmax()) + 2, shares[-1])
    means = np.minimum(scaled, 5 * np.median(scaled) / math.log(2)).mean(axis=0)
    for at in range(number // 2):
        near = means[max(0, at - REACH) : at + REACH + 1]
        # means alternate if rows lie on a line at even distances
        others = [means[other] for other in (at - 2, at + 2, at + 3) if other >= 0]
        usual = max(float(np.median(near)), *others)
        if means[at] > usual * max(PEAK, 1 + PEAK_ERRORS / math.sqrt(len(chosen))):
            return NearCopies(at + 2, 1.0)
    return None


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


def _local(columns: Array, generator: np.random.Generator) -> Array:
    """Returns columns in comparable units without ties or heavy tails, with shape (N, C).

    The map of each column is smooth, so that it keeps ratios of small distances. Values that
    occur several times, or are evenly spaced, are spread over the gaps to the next values, because
    rounded and counted numbers have equal distances. Of more than 64 columns, 32 random combinations are returned.
    """
    if columns.shape[1] > 2 * MAX_COLUMNS:
        scale = np.where(columns.std(axis=0) > 0, columns.std(axis=0), 1)
        found = columns @ (
            generator.standard_normal((columns.shape[1], MAX_COLUMNS)) / scale[:, None]
        )
        return np.asarray(found / found.std(axis=0))
    mapped = []
    for column in columns.T:
        values, place, times = np.unique(column, return_inverse=True, return_counts=True)
        if len(values) == 1:
            continue
        gaps = np.diff(values)
        below = np.append(gaps[0], gaps)[place] / 2
        above = np.append(gaps, gaps[-1])[place] / 2
        spread = generator.random(len(column)) * (below + above) - below
        regular = np.isclose(gaps, np.median(gaps), rtol=1e-6).mean() > REGULAR
        column = column + np.where(regular | (times[place] > 1), spread, 0)
        low, middle, high = np.quantile(column, (0.25, 0.5, 0.75))
        mapped.append(np.arcsinh((column - middle) / ((high - low) or column.std())))
    return np.stack(mapped, axis=1) if mapped else columns[:, :0]


def _nearest(columns: Array, chosen: NDArray[np.int64], number: int) -> Array:
    """Returns the distances of Q chosen rows to their nearest other rows, with shape (Q, K)."""
    from scipy.spatial import cKDTree
    from scipy.spatial.distance import cdist

    if columns.shape[1] <= MAX_EXACT:
        return np.asarray(cKDTree(columns).query(columns[chosen], number + 1)[0][:, 1:])
    parts = []
    for some in np.array_split(chosen, -(-len(chosen) * len(columns) // 2**22)):
        apart = cdist(columns[some], columns)
        parts.append(np.sort(np.partition(apart, number, axis=1)[:, : number + 1], axis=1)[:, 1:])
    return np.concatenate(parts)
