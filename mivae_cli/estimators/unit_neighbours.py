r"""Nearest neighbours from other units only, for rows that depend on each other.

Rows of one unit (`Rows`) lie close to each other in x and in z even if x and z are independent:
successive values of a time series, or several measurements of one person. The estimate of Kraskov,
Stögbauer & Grassberger takes this for mutual information. Here the neighbours of row i, in both
spaces, come from its :math:`m_i` admissible rows: those of other groups, or those at least L rows
away in a series in blocks of L rows (Theiler's window).

.. math:: \psi(k) + \psi(m_i + 1) - \psi(n_x(i) + 1) - \psi(n_z(i) + 1)

with the symbols of `nearest_neighbours`; counts are of admissible rows.

References:
    | Spurious dimension from correlation algorithms applied to limited time-series data
      (Theiler, 1986)
    | Estimating mutual information (Kraskov, Stögbauer & Grassberger, 2004)
"""

__all__ = ["ksg_terms_across_units"]

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .rows import Rows

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

BATCH = 2**22  # candidate neighbours in memory at a time
SPARE = 8  # neighbours asked for beyond k, at first


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

    order = (position if rows.kind == "blocks" else rows.unit).argsort(stable=True)
    place = (position if rows.kind == "blocks" else rows.unit)[order].numpy()
    reach = rows.length - 1 if rows.kind == "blocks" else 0
    first = np.searchsorted(place, place - reach)
    last = np.searchsorted(place, place + reach, side="right")
    left, right = x[order].double().numpy(), z[order].double().numpy()
    admissible = len(place) - (last - first)
    # the next smaller number, so that a radius of the k-th neighbour excludes it
    radius = np.nextafter(_radius(left, right, neighbours, first, last), 0)
    terms = digamma(neighbours) + digamma(admissible + 1)
    for side in (left, right):
        terms -= digamma(_count(side, radius, first, last) + 1)
    found = torch.empty(len(place), dtype=torch.float64)
    found[order] = torch.from_numpy(terms)
    return found


def _radius(left: Array, right: Array, neighbours: int, first: Integers, last: Integers) -> Array:
    """Returns the distance to the k-th nearest row outside [first, last) of each row, (N,)."""
    from scipy.spatial import cKDTree

    joint = np.concatenate([left, right], axis=1)
    tree, count = cKDTree(joint), len(joint)
    radius, pending = np.empty(count), np.arange(count)
    number = min(count, neighbours + SPARE)
    while len(pending):
        for chosen in np.array_split(pending, -(-len(pending) * number // BATCH)):
            apart, found = tree.query(joint[chosen], number, p=np.inf)
            outside = (found < first[chosen, None]) | (found >= last[chosen, None])
            reached = outside.cumsum(axis=1)
            at = (reached < neighbours).sum(axis=1)
            enough = at < number
            radius[chosen[enough]] = apart[enough, at[enough]]
            radius[chosen[~enough]] = -1
        pending = pending[radius[pending] < 0]
        number = min(count, 4 * number)
    return radius


def _count(side: Array, radius: Array, first: Integers, last: Integers) -> Integers:
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
