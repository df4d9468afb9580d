r"""Permutation tests of independence of many variables from one target.

Each variable becomes functions of unit variance: a number becomes cosines of its ranks u,
:math:`\sqrt 2 \cos(j \pi u)` for j = 1..6; a level becomes its indicator. The statistic is the
weighted sum of the squared correlations of all functions f of the variable with all g of the target,

.. math:: T = \sum_{f, g} w_f w_g \Big[\frac{1}{N} \sum_i f(x_i) \, g(z_i)\Big]^2,

with weights :math:`w_j = 1 / j` for cosines and 1 for indicators. It detects smooth dependence of
any form. T is compared with its values after P permutations of the target, the same ones for all
variables, which keep the dependence between rows (`Rows.permutation`):

.. math:: p = \frac{1 + \#\{T_\pi \ge T\}}{1 + P}.

If fewer than ten permutations reach T, p is the tail of a gamma distribution with the mean,
variance and skewness of the permuted values. A p-value that many tests can correct has to be
smaller than 1 / P. Blocks have too few independent shifts for this.

A variable of several columns gets the functions of each column, and as many random features,
:math:`\sqrt 2 \cos(w^\top s + b)` of its normal scores s, which see how columns act together. The
frequencies w are normal, half of them with standard deviation :math:`C^{-1/2}` for C columns, half
with three times as much.

Shapes: N rows, F variables, B functions, P permutations, C columns.

References:
    | Kernel statistical tests (Gretton et al., 2008), for sums of squared correlations
    | Random features for large-scale kernel machines (Rahimi & Recht, 2007)
    | Fewer permutations, more accurate P-values (Knijnenburg et al., 2009), for the tail
"""

__all__ = ["independence_p_value", "permutation_p_values"]

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .rows import Rows
from .variables import Variable

COSINES = 6
MAX_LEVELS = 32  # of a column, the most frequent ones
MIN_EXCEEDING = 10  # permutations that reach the statistic, for a plain p-value
MIN_P = 1e-12
BATCH = 2**27  # numbers in memory at a time
RANDOM_FEATURES, FINE = 64, 3.0  # of several columns; ratio of the two scales
FEATURE_SEED = 0  # the features do not depend on the data or on the seed of the permutations
MAX_TEST_ROWS = 10_000  # of a single test
MAX_VALUES = 256  # functions of permuted targets multiplied at a time


def permutation_p_values(
    features: Sequence[Variable], target: Variable, rows: Rows, permutations: int, seed: int
) -> NDArray[np.float64]:
    """Returns the p-value of independence of each of F variables from the target, shape (F,).

    P-values below 1 / P come from the tail of a fitted distribution.

    Arguments:
        features: F variables of N rows.
        target: The variable that is permuted.
        rows: Which rows depend on each other.
        permutations: The number P of permutations, at least 1.
        seed: Seed of the permutations.
    """
    observed, permuted = _permuted(features, target, rows, permutations, seed)
    plain = _plain(observed, permuted)
    if rows.kind == "blocks" or permutations < 10 * MIN_EXCEEDING:
        return plain
    few = plain * (1 + permutations) < 1 + MIN_EXCEEDING
    tail = _gamma_tail(observed.double().numpy(), permuted.double().numpy())
    return np.where(few, np.clip(tail, MIN_P, plain), plain)


def independence_p_value(
    x: Variable, z: Variable, rows: Rows, permutations: int, seed: int
) -> float:
    """Returns the p-value of independence of x and z, exact for any distribution.

    The arguments are those of `permutation_p_values`; of independent rows, at most 10,000 random
    ones are used.
    """
    if len(x) > MAX_TEST_ROWS and not rows.dependent:
        kept = rows.permutation(torch.Generator().manual_seed(seed))[:MAX_TEST_ROWS]
        x, z, rows = x.rows(kept), z.rows(kept), rows.take(kept)
    return float(_plain(*_permuted([x], z, rows, permutations, seed))[0])


def _permuted(
    features: Sequence[Variable], target: Variable, rows: Rows, permutations: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Returns the statistics (F,), and those of permuted targets, (F, P)."""
    generator = torch.Generator().manual_seed(seed)
    functions = [_functions(feature) for feature in features]
    owner = torch.repeat_interleave(
        torch.arange(len(features)), torch.tensor([part.shape[1] for part in functions])
    )
    left, right = torch.cat(functions, dim=1).T.contiguous(), _functions(target)
    count, width = right.shape
    observed = _statistics(left, right, owner, len(features))[:, 0]
    number = max(1, min(MAX_VALUES // max(1, width), BATCH // (count * max(1, width))))
    parts = []
    for start in range(0, permutations, number):
        many = [rows.permutation(generator) for _ in range(min(number, permutations - start))]
        parts.append(_statistics(left, right[torch.stack(many, dim=1)], owner, len(features)))
    return observed, torch.cat(parts, dim=1)


def _plain(observed: Tensor, permuted: Tensor) -> NDArray[np.float64]:
    """Returns the p-values of statistics (F,) by their rank among permuted ones, (F, P)."""
    # equal values may differ by rounding
    above = (permuted >= observed[:, None] * (1 - 1e-5)).sum(dim=1).double().numpy()
    plain: NDArray[np.float64] = (1 + above) / (1 + permuted.shape[1])
    return plain


def _statistics(left: Tensor, right: Tensor, owner: Tensor, features: int) -> Tensor:
    """Returns the statistics of variables (B_x, N) and targets (N, P, B_z), shape (F, P)."""
    count, width = right.shape[0], right.shape[-1]
    products = (left @ right.reshape(count, -1)).reshape(len(left), -1, width) / count
    found = torch.zeros(features, products.shape[1])
    return found.index_add_(0, owner, products.square().sum(dim=2))


def _functions(variable: Variable) -> Tensor:
    """Returns the functions of a variable times the roots of their weights, shape (N, B)."""
    from scipy.stats import rankdata

    parts = []
    for column in variable.continuous.T:
        ranks = torch.from_numpy((rankdata(column.numpy()) - 0.5) / len(column))
        orders = torch.arange(1, COSINES + 1)
        parts.append(torch.cos(math.pi * ranks[:, None] * orders) * (2 / orders).sqrt())
    for codes in variable.codes.T:
        _, place, times = codes.unique(return_inverse=True, return_counts=True)
        frequent = times.argsort(descending=True, stable=True)[:MAX_LEVELS]
        shares = times[frequent].double() / len(codes)
        parts.append((place[:, None] == frequent).double() / shares.sqrt())
    if len(variable.columns) > 1:
        parts.append(_random_features(variable) * math.sqrt(sum(map(_size, parts))))
    found = torch.cat(parts, dim=1)
    centred: Tensor = (found - found.mean(dim=0)).float()
    return centred


def _random_features(variable: Variable) -> Tensor:
    """Returns functions of all columns together, with a total weight of 1, shape (N, B)."""
    from .gaussian_ratio import NormalScores

    numbers = variable.numbers()
    scores = NormalScores.of(numbers)(numbers)
    generator = torch.Generator().manual_seed(FEATURE_SEED)
    width = scores.shape[1]
    frequencies = torch.randn(width, RANDOM_FEATURES, generator=generator, dtype=scores.dtype)
    frequencies[:, ::2] *= FINE
    phases = 2 * math.pi * torch.rand(RANDOM_FEATURES, generator=generator, dtype=scores.dtype)
    angles = scores @ frequencies / math.sqrt(width) + phases
    return torch.cos(angles) * math.sqrt(2 / RANDOM_FEATURES)


def _size(functions: Tensor) -> float:
    """Returns the total variance of functions (N, B)."""
    return float(functions.var(dim=0).sum())


def _gamma_tail(
    observed: NDArray[np.float64], permuted: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Returns the upper tail of a shifted gamma distribution with three moments, (F,)."""
    from scipy.stats import pearson3

    centre, spread = permuted.mean(axis=1), permuted.std(axis=1)
    varies = spread > 0
    scale = np.where(varies, spread, 1)
    skew = np.mean(((permuted - centre[:, None]) / scale[:, None]) ** 3, axis=1)
    tail = pearson3.sf((observed - centre) / scale, np.maximum(skew, 0))
    return np.where(varies, tail, 1.0)
