r"""Nearest neighbours from other units only, for rows that depend on each other.

Rows of one unit (`Rows`) lie close to each other in x and in z even if x and z are independent:
successive values of a time series, or several measurements of one person. The estimate of Kraskov,
Stögbauer & Grassberger takes this for mutual information. Here the neighbours of row i, in both
spaces, come from its :math:`m_i` admissible rows: those of other groups, or those more than L / 10
rows away in a series in blocks of L rows (Theiler's window; a wider one leaves too few).

.. math:: \psi(k) + \psi(m_i + 1) - \psi(n_x(i) + 1) - \psi(n_z(i) + 1)

with the symbols of `nearest_neighbours`; counts are of admissible rows. Rows of *other* units are
close to each other, too, which the formula does not know. What it gives for permuted z, with the
dependence inside x and inside z kept (`Rows.permutation`), is therefore subtracted.

References:
    | Spurious dimension from correlation algorithms applied to limited time-series data
      (Theiler, 1986)
    | Estimating mutual information (Kraskov, Stögbauer & Grassberger, 2004)
"""

__all__ = [
    "admissible_range",
    "counts_outside",
    "ksg_interval_across_units",
    "ksg_terms_across_units",
    "radius_outside",
]

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .intervals import Interval, mean_interval
from .rows import Rows

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

BATCH = 2**22  # candidate neighbours in memory at a time
SPARE = 8  # neighbours asked for beyond k, at first
PERMUTATIONS = 4
WINDOW = 10  # part of a block whose rows are too close in time to be neighbours
INFLATION = 1.4  # of the standard error over rows, because the terms are dependent


def ksg_interval_across_units(
    x: Tensor, z: Tensor, neighbours: int, rows: Rows, position: Tensor, seed: int
) -> Interval:
    """Returns the estimate of the module in nats, with the 95 % interval of its sampling error.

    The arguments are those of `ksg_terms_across_units`, with a seed of the permutations.
    """
    generator = torch.Generator().manual_seed(seed)
    order = position.argsort(stable=True) if rows.kind == "blocks" else torch.arange(len(x))
    x, z, rows, position = x[order], z[order], rows.take(order), position[order]
    terms = ksg_terms_across_units(x, z, neighbours, rows, position)
    chance = torch.stack(
        [
            ksg_terms_across_units(
                x, z[rows.permutation(generator)], neighbours, rows, position
            ).mean()
            for _ in range(PERMUTATIONS)
        ]
    )
    by_row, by_unit = mean_interval(terms), mean_interval(terms, rows)
    value = by_row.value - float(chance.mean())
    margin = math.hypot(
        max(INFLATION * (by_row.high - by_row.value), by_unit.high - by_unit.value),
        2 * float(chance.std()) / math.sqrt(PERMUTATIONS),
    )
    return Interval(value, value - margin, value + margin)


def ksg_terms_across_units(
    x: Tensor, z: Tensor, neighbours: int, rows: Rows, position: Tensor
) -> Tensor:
    """Returns the terms of the nearest-neighbour estimate in nats, with shape (N,).

    Arguments:
        x: Samples in comparable units without ties, with shape (N, X).
        z: The samples drawn with them, with shape (N, Z).
        neighbours: The number k of neighbours.
        rows: The unit of each row; at least k rows must be admissible for each.
        position: The place of each row in the whole series, with shape (N,).
    """
    from scipy.special import digamma

    order, first, last = admissible_range(rows, position, rows.length // WINDOW)
    left, right = x[order].double().numpy(), z[order].double().numpy()
    admissible = len(order) - (last - first)
    joint = np.concatenate([left, right], axis=1)
    # the next smaller number, so that a radius of the k-th neighbour excludes it
    radius = np.nextafter(radius_outside(joint, neighbours, first, last), 0)
    terms = digamma(neighbours) + digamma(admissible + 1)
    for side in (left, right):
        terms -= digamma(counts_outside(side, radius, first, last) + 1)
    found = torch.empty(len(order), dtype=torch.float64)
    found[order] = torch.from_numpy(terms)
    return found


def admissible_range(
    rows: Rows, position: Tensor, reach: int
) -> tuple[Tensor, Integers, Integers]:
    """Returns an order of the rows, and the range [first, last) in it that each row excludes.

    The excluded rows are those of the same group, or those at most `reach` rows away in blocks.
    All shapes are (N,).
    """
    places = position if rows.kind == "blocks" else rows.unit
    order = places.argsort(stable=True)
    place, reach = places[order].numpy(), reach if rows.kind == "blocks" else 0
    first = np.searchsorted(place, place - reach)
    last = np.searchsorted(place, place + reach, side="right")
    return order, first, last


def radius_outside(
    points: Array,
    neighbours: int,
    first: Integers,
    last: Integers,
    wanted: NDArray[np.bool_] | None = None,
) -> Array:
    """Returns the distance of rows to their k-th nearest row outside [first, last).

    Arguments:
        points: Rows in the order of the ranges, with shape (N, D).
        neighbours: The number k; each wanted row has at least k rows outside of its range.
        first: The first excluded row of each row, with shape (N,).
        last: The end of the excluded rows, with shape (N,).
        wanted: The rows whose distance is returned; default: all.
    """
    from scipy.spatial import cKDTree

    tree, count = cKDTree(points), len(points)
    every = np.arange(count) if wanted is None else np.flatnonzero(wanted)
    radius, pending = np.empty(count), every
    number = min(count, neighbours + SPARE)
    while len(pending):
        for chosen in np.array_split(pending, -(-len(pending) * number // BATCH)):
            apart, found = tree.query(points[chosen], number, p=np.inf)
            outside = (found < first[chosen, None]) | (found >= last[chosen, None])
            reached = outside.cumsum(axis=1)
            at = (reached < neighbours).sum(axis=1)
            enough = at < number
            radius[chosen[enough]] = apart[enough, at[enough]]
            radius[chosen[~enough]] = -1
        pending = pending[radius[pending] < 0]
        number = min(count, 4 * number)
    return radius[every]


def counts_outside(side: Array, radius: Array, first: Integers, last: Integers) -> Integers:
    """Returns the number of rows outside [first, last) within the radius of each row, (N,)."""
    from scipy.spatial import cKDTree

    near = cKDTree(side).query_ball_point(side, radius, p=np.inf, return_length=True)
    width = int((last - first).max())
    offsets = np.arange(width)
    inside = np.zeros(len(side), dtype=np.int64)
    for chosen in np.array_split(np.arange(len(side)), -(-len(side) * width // BATCH)):
        other = first[chosen, None] + offsets
        valid = other < last[chosen, None]
        other = np.minimum(other, len(side) - 1)
        apart = np.zeros(other.shape)
        for column in side.T:
            np.maximum(apart, np.abs(column[other] - column[chosen, None]), out=apart)
        inside[chosen] = ((apart <= radius[chosen, None]) & valid).sum(axis=1)
    return np.asarray(near, dtype=np.int64) - inside
