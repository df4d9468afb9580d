r"""Conditional mutual information from distances to nearest neighbours, in nats.

Rows with equal codes of x, z and w form a *cell*. Distances are maximum norms over continuous
columns, between rows of the same cell:

| :math:`k_i`            the smaller of k and the number of other rows in the cell of row i
| :math:`\varepsilon_i`  the distance in (x, z, w) from row i to its :math:`k_i`-th nearest other
  row of its cell
| :math:`n_{xw}(i)`      the number of rows, i included, that have the codes of row i in (x, w) and
  a distance in (x, w) below :math:`\varepsilon_i`; :math:`n_{zw}(i)` and :math:`n_w(i)` likewise

.. math:: \hat I = \frac{1}{N} \sum_i \big[ \psi(k_i) - \psi(n_{xw}(i)) - \psi(n_{zw}(i))
    + \psi(n_w(i)) \big].

This is the estimator of Frenzel & Pompe (2007) for continuous columns, that of Kraskov et al. (2004)
if w is empty, and that of Ross (2014) if, besides, x is discrete. Tied rows follow Mesner & Shalizi
(2020): if :math:`\varepsilon_i = 0`, the numbers count the rows at distance 0, in (x, z, w) too. If
all columns are discrete, the estimate is a difference of the entropies of Grassberger (1988).

The density is treated as constant over each neighbourhood. Estimates are therefore too near 0 in
many dimensions, or if the information is large.

References:
    | Partial mutual information for coupling analysis of multivariate time series (Frenzel &
      Pompe, 2007)
    | Conditional mutual information estimation for mixed, discrete and continuous data (Mesner &
      Shalizi, 2020)
    | Mutual information between discrete and continuous data sets (Ross, 2014)
"""

__all__ = ["APART", "neighbour_terms", "points_of"]

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .samples import Part, Samples

ROUNDING = 1e-14  # of distances between numbers below about 10
APART = 1e6  # distance of two codes; continuous columns have variance about 1


def neighbour_terms(samples: Samples, neighbours: int = 3) -> Tensor:
    """Returns the terms (N,) whose mean is the estimate, in nats.

    Continuous columns must have comparable scales, such as those of normal scores.
    """
    from scipy.special import digamma  # slow to import

    x, z, w = samples.x, samples.z, samples.w
    radius, within = _radii(points_of([x, z, w]), neighbours)
    counts = [_count(points_of(parts), radius) for parts in ([x, w], [z, w], [w])]
    of_xw, of_zw, of_w = (digamma(count) for count in counts)
    return torch.from_numpy(digamma(within) - of_xw - of_zw + of_w)


def points_of(parts: Sequence[Part]) -> NDArray[np.float64]:
    """Returns the columns of parts, and one column that keeps rows with other codes apart."""
    code = torch.zeros_like(parts[0].code)
    for part in parts:
        joint = code * (int(part.code.max()) + 1) + part.code
        code = torch.unique(joint, return_inverse=True)[1]
    columns = [part.continuous for part in parts]
    if bool(code.any()):
        columns.append(APART * code[:, None].double())
    found: NDArray[np.float64] = torch.cat(columns, dim=1).numpy()
    return found


def _radii(
    points: NDArray[np.float64], neighbours: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns the radius of every row, and the number in the first digamma function."""
    from scipy.spatial import cKDTree

    count = len(points)
    if not points.shape[1]:
        return np.zeros(count), np.full(count, float(count))
    tree = cKDTree(points)
    wanted = min(neighbours + 1, count)  # the nearest is the row itself, or a copy of it
    near = tree.query(points, wanted, p=np.inf)[0].reshape(count, wanted)
    inside = near < APART / 2
    radius = np.where(inside, near, 0.0).max(axis=1)
    within = inside.sum(axis=1) - 1.0
    tied = radius == 0
    if tied.any():
        within[tied] = tree.query_ball_point(points[tied], 0.0, p=np.inf, return_length=True)
    return radius, within


def _count(points: NDArray[np.float64], radius: NDArray[np.float64]) -> NDArray[np.float64]:
    """Counts the rows closer than the radius, or at distance 0, the row itself included."""
    from scipy.spatial import cKDTree

    if not points.shape[1]:
        return np.full(len(points), float(len(points)))
    below = np.maximum(radius - ROUNDING, 0.0)
    if points.shape[1] == 1:
        values = points[:, 0]
        line = np.sort(values)
        ends = np.searchsorted(line, values + below, "right")
        counts = ends - np.searchsorted(line, values - below, "left")
    else:
        counts = cKDTree(points).query_ball_point(points, below, p=np.inf, return_length=True)
    return counts.astype(np.float64)
