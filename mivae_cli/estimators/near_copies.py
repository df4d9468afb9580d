r"""Find rows that are far closer to some rows than to all others: copies with a little noise.

Where the density is smooth, the distances :math:`d_1 \le d_2 \le \dots` from a row to its
neighbours satisfy, with the local dimension q,

.. math:: k \, q \log \frac{d_{k + 1}}{d_k} \sim \mathrm{Exp}(1), \quad \text{independently for
    every } k.

A row with c - 1 copies has a jump at k = c - 1. The check needs neither q nor the density: it looks
for a k at which the ratios of most rows jump, and for rows whose largest ratio is far above all
others of the same row.

Shapes: N rows, Q rows that are checked, K neighbours, C columns.

References:
    | Estimating the intrinsic dimension of datasets by a minimal neighborhood information
      (Facco, d'Errico, Rodriguez & Laio, 2017), for the law of the ratios
"""

__all__ = ["NearCopies", "near_copies"]

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]

CHECKED = 1000
NEIGHBOURS = 40
MAX_EXACT = 8  # columns for which a tree is faster than all distances
JUMPS = ((14.0, 0.04), (10.0, 0.08))  # sizes of jumps, and shares of rows that may have them
PEAK, PEAK_ERRORS = 1.4, 6.0
REACH = 3  # neighbouring k that a peak is compared with
REGULAR = 0.1  # share of equal gaps between the values of a column
FLOOR = 1e-9  # smallest distance
MAX_COLUMNS = 64  # above which random combinations are used
COMBINATIONS = 32


@dataclass(frozen=True)
class NearCopies:
    """Rows that are far closer to some rows than to all others."""

    copies: int  # most frequent number of rows that are close to each other
    share: float  # share of rows with close ones


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


def _local(columns: Array, generator: np.random.Generator) -> Array:
    """Returns columns in comparable units without ties or heavy tails, with shape (N, C).

    The map of each column is smooth, so that it keeps ratios of small distances. Values that
    occur several times, or are evenly spaced, are spread over the gaps to the next values, because
    rounded and counted numbers have equal distances. Of more than 64 columns, 32 random combinations are returned.
    """
    if columns.shape[1] > MAX_COLUMNS:
        scale = np.where(columns.std(axis=0) > 0, columns.std(axis=0), 1)
        found = columns @ (
            generator.standard_normal((columns.shape[1], COMBINATIONS)) / scale[:, None]
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
