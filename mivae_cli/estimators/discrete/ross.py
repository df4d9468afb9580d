r"""Mutual information of a label and numbers from nearest neighbours, in nats.

The estimator of Ross. With :math:`N_i` rows of the label of row i, among them k nearest neighbours
(fewer if :math:`N_i \le k`) up to the Euclidean distance :math:`r_i`, and :math:`m_i` rows of any
label closer than :math:`r_i`, row i included,

.. math:: \hat I = \psi(N) + \frac{1}{N} \sum_i [\psi(k_i) - \psi(N_i) - \psi(m_i)]

with the digamma function :math:`\psi`. Every coordinate is standardised first. Like `ksg`, it is
too low in many dimensions and for classes that overlap little.

Shapes: N rows, X coordinates.
"""

__all__ = ["ross", "ross_terms"]

import math

import numpy as np
import torch
from torch import Tensor

from ...errors import DataError
from ...limits import check_seed
from ..nearest_neighbours import INFLATION, check_neighbours, standardised, untied
from ..report import Estimate, stopwatch
from .plug_in import QUANTILE, checked_codes, entropy

BLOCK = 2**20  # distances in memory at a time
TREE_DIMENSIONS = 7  # above this, all distances are computed
MAX_ROWS = 50_000
MAX_DISTANCE_ROWS = 10_000  # in more dimensions: the time is quadratic in the number of rows
SHRINK = 1 - 1e-10  # excludes the k-th neighbour itself, in spite of rounding


def ross(x: Tensor, label: Tensor, neighbours: int = 3, *, seed: int = 0) -> Estimate:
    """Returns the estimate of Ross with a 95 % interval of its sampling error, in nats.

    Of more than 50,000 rows, or 10,000 in more than 7 dimensions, a random subset is used. Rows
    whose label occurs once are left out.

    Arguments:
        x: Finite numbers, with shape (N, X).
        label: Levels as integers, with shape (N,) or (N, 1).
        neighbours: The number k of neighbours.
        seed: Seed of the subset; the global random state does not change.

    Raises:
        DataError: The rows do not match, or no label occurs twice.
        ConfigError: `neighbours` or `seed` is out of range.

    References:
        | Mutual Information between Discrete and Continuous Data Sets (Ross, 2014)

    >>> label = torch.arange(1000) % 2
    >>> round(ross(4.0 * label[:, None] + torch.rand(1000, 1), label).value, 2)  # ln 2
    0.69
    """
    codes, neighbours = checked_codes(label), check_neighbours(neighbours)
    if x.ndim != 2 or len(x) != len(codes):
        raise DataError(f"{len(codes):,} labels, but numbers of shape {tuple(x.shape)}")
    limit = min(MAX_ROWS, MAX_ROWS if x.shape[1] <= TREE_DIMENSIONS else MAX_DISTANCE_ROWS)
    generator = torch.Generator().manual_seed(check_seed(seed))
    chosen = torch.randperm(len(x), generator=generator)[:limit]
    with stopwatch() as seconds:
        terms = ross_terms(untied(standardised(x[chosen].double())), codes[chosen], neighbours)
    value = float(terms.mean())
    margin = INFLATION * QUANTILE * float(terms.std()) / math.sqrt(len(terms))
    warnings = []
    if len(chosen) < len(x):
        warnings.append(f"uses {len(chosen):,} of {len(x):,} rows, to limit its time")
    if len(terms) < len(chosen):
        alone = len(chosen) - len(terms)
        warnings.append(f"leaves out {alone:,} rows whose label occurs only once")
    ceiling = entropy(codes)
    return Estimate(
        "ross",
        value,
        value - margin,
        value + margin,
        "neither",
        ceiling,
        False,
        seconds(),
        warnings,
    )


def ross_terms(x: Tensor, codes: Tensor, neighbours: int = 3) -> Tensor:
    """Returns the terms whose mean is the estimate, of the rows whose label occurs twice or more.

    Does not standardise the coordinates or break ties.

    Arguments:
        x: Numbers in double precision, with shape (N, X).
        codes: Levels as integers, with shape (N,).
        neighbours: The number k of neighbours.
    """
    sizes = codes.bincount()
    order = codes.argsort(stable=True)
    kept = order[sizes[codes[order]] > 1]
    if not len(kept):
        raise DataError("no label occurs twice")
    x, codes = x[kept], codes[kept]
    size = sizes[codes]
    nearest = (size - 1).clamp(max=neighbours)
    groups = sizes[sizes > 1].tolist()
    by_tree = x.shape[1] <= TREE_DIMENSIONS
    find = _closer_by_trees if by_tree else _closer_by_distances
    closer = find(x, groups, neighbours)
    terms = nearest.double().digamma() - size.double().digamma() - closer.digamma()
    terms += torch.tensor(len(x), dtype=torch.float64).digamma()
    return terms[kept.argsort()]


def _closer_by_trees(x: Tensor, groups: list[int], neighbours: int) -> Tensor:
    """Returns the numbers m of all rows, which are sorted by label, with shape (N,)."""
    from scipy.spatial import cKDTree  # slow to import

    points = x.numpy()
    radius = np.concatenate(
        [
            cKDTree(part).query(part, min(neighbours, len(part) - 1) + 1)[0][:, -1]
            for part in np.split(points, np.cumsum(groups)[:-1])
        ]
    )
    closer = cKDTree(points).query_ball_point(points, radius * SHRINK, return_length=True)
    return torch.from_numpy(closer).double()


def _closer_by_distances(x: Tensor, groups: list[int], neighbours: int) -> Tensor:
    """Returns what `_closer_by_trees` returns."""
    squares, closer, start = x.square().sum(dim=1), [], 0
    for size in groups:
        for rows in torch.arange(start, start + size).split(max(1, BLOCK // len(x))):
            distances = squares[rows, None] + squares - 2 * x[rows] @ x.T
            distances[torch.arange(len(rows)), rows] = -1.0  # the row itself comes first
            own = distances[:, start : start + size]
            count = min(neighbours, size - 1) + 1
            radius = own.topk(count, dim=1, largest=False).values[:, -1:]
            closer.append((distances < radius).sum(dim=1))
        start += size
    return torch.cat(closer).double().clamp(min=1)
