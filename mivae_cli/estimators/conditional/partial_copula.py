r"""Conditional mutual information of Gaussians in closed form, from partial correlations, in nats.

With the canonical correlations :math:`\rho_k` between what a linear regression on w leaves of x
and of z,

.. math:: \hat I = -\frac{1}{2} \sum_k \ln(1 - \hat\rho_k^2) - \text{bias}(N - W, X, Z),

where the bias is that of `small_sample_bias`. It is exact for Gaussian rows, because the residuals
of N rows given W columns are distributed like N - W rows.

Shapes: N rows, X, Z and W columns.
"""

__all__ = ["partial_interval"]

import math

import torch
from torch import Tensor

from ...errors import DataError
from ..gaussian_ratio import GaussianRatio, small_sample_bias
from ..intervals import Interval, mean_interval
from ..rows import Rows
from .samples import Samples

MIN_ROWS = 50  # of a level of w with its own correlations
PERMUTATIONS = 20
SMALL = 1e-6  # relative size below which a direction of w is dropped


def partial_interval(samples: Samples, rows: Rows | None = None, seed: int = 0) -> Interval:
    """Returns the estimate of continuous x and z, with a 95 % interval, in nats.

    If every level of w has enough rows, it is the mean of the levels, weighted by their rows.
    Otherwise all levels share their correlations. The interval ignores that rows may not be
    Gaussian. For dependent `rows`, what permutations by units give is subtracted, and the interval
    allows any dependence inside of a unit.

    Raises:
        DataError: There are too few rows for the covariance.
    """
    value, terms = _value(samples)
    around = mean_interval(terms, rows)
    margin = (around.high - around.low) / 2
    if rows is not None and rows.dependent:
        generator = torch.Generator().manual_seed(seed)
        permuted = [samples.permuted(rows.permutation(generator)) for _ in range(PERMUTATIONS)]
        chance = torch.tensor([_value(each)[0] for each in permuted])
        value -= float(chance.mean())
        margin = math.hypot(margin, 1.96 * float(chance.std()))
    return Interval(value, value - margin, value + margin)


def _value(samples: Samples) -> tuple[float, Tensor]:
    """Returns the estimate, and the fitted log-ratios (N,)."""
    levels, sizes = torch.unique(samples.w.code, return_counts=True)
    width = samples.dimensions
    if len(levels) == 1 or int(sizes.min()) < max(MIN_ROWS, 3 * width):
        value, terms = _pooled(samples)
    else:
        found = [_pooled(samples.rows(samples.w.code == level)) for level in levels]
        shares = (sizes / sizes.sum()).tolist()
        value = sum(share * each for share, (each, _) in zip(shares, found, strict=True))
        terms = torch.empty(len(samples), dtype=torch.float64)
        for level, (_, of_level) in zip(levels, found, strict=True):
            terms[samples.w.code == level] = of_level
    return value, terms


def _pooled(samples: Samples) -> tuple[float, Tensor]:
    """Returns the estimate with common correlations, and the fitted log-ratios (N,)."""
    code = torch.unique(samples.w.code, return_inverse=True)[1]
    x, z, w = (_within(part.continuous, code) for part in (samples.x, samples.z, samples.w))
    basis, values, _ = torch.linalg.svd(w, full_matrices=False)
    if len(values):
        basis = basis[:, values > SMALL * values.max()]
    free = len(x) - basis.shape[1] - int(code.max())  # as if that many rows had no w
    if free <= x.shape[1] + z.shape[1] + 1:
        raise DataError(
            f"{len(x):,} rows are too few for the covariance of {samples.dimensions:,} columns "
            f"and {int(code.max()) + 1:,} levels"
        )
    x, z = (side - basis @ (basis.T @ side) for side in (x, z))
    ratio = GaussianRatio.fit(x, z)
    return ratio.information - small_sample_bias(free, *ratio.ranks), ratio.terms(x, z)


def _within(columns: Tensor, code: Tensor) -> Tensor:
    """Returns columns (N, C) minus their means in each level."""
    sizes = code.bincount()
    sums = torch.zeros(len(sizes), columns.shape[1], dtype=columns.dtype)
    return columns - (sums.index_add_(0, code, columns) / sizes[:, None])[code]
