r"""A fast estimate of the mutual information of one feature with a target, in nats.

Two continuous variables: the closed form of the Gaussian copula, plus what nearest neighbours see
beyond it,

.. math:: \hat I = I_\text{copula} + \hat I_\text{KSG}(\text{data})
    - \text{mean} \, \hat I_\text{KSG}(\text{draws from the copula}),

all of normal scores. The last two terms have nearly the same bias, which cancels. For two single
columns their difference is not negative in expectation: of all pairs with normal marginals and a
given correlation, the Gaussian has the least mutual information. It is therefore added only if it
exceeds twice its standard error, so that the noise of neighbours does not hide weak dependence;
the upper end of the interval always includes it.

A label and numbers: nearest neighbours (Ross). Two discrete variables: the table of their counts.

For dependent rows, neighbours come from other units, and what permutations by units give is
subtracted.

Shapes: N rows.
"""

__all__ = ["pair_estimate"]

import math

import torch
from torch import Tensor

from ..errors import DataError
from .discrete.plug_in import plug_in
from .discrete.ross import ross
from .discrete.unit_labels import unit_ross
from .discrete.unit_tables import unit_plug_in
from .gaussian_ratio import GaussianRatio, NormalScores, small_sample_bias
from .intervals import mean_interval
from .nearest_neighbours import INFLATION, ksg_estimate, ksg_terms
from .report import Estimate, stopwatch
from .rows import Rows
from .variables import Variable

MAX_ROWS = 5_000  # in which neighbours are found
DRAWS = 2  # from the copula


def pair_estimate(
    feature: Variable,
    target: Variable,
    rows: Rows | None = None,
    *,
    neighbours: int = 3,
    seed: int = 0,
) -> Estimate:
    """Returns an estimate of I(feature; target) in nats with its 95 % interval.

    The interval covers the sampling error. Continuous columns must not be constant.

    Raises:
        DataError: A variable has both continuous and discrete columns.
    """
    for variable in (feature, target):
        if variable.kind == "mixed":
            raise DataError(
                f"{variable.name} has both numeric and discrete columns; choose columns of one "
                "type, or use --discrete (in Python, discrete=)"
            )
    rows = Rows.independent(len(feature)) if rows is None else rows
    if feature.kind == target.kind == "continuous":
        x, z = _scores(feature), _scores(target)
        if rows.dependent:
            return ksg_estimate(x, z, neighbours, seed, rows=rows).at_least_zero()
        return _continuous(x, z, neighbours, seed)
    if feature.kind == target.kind:
        left, right = feature.joint_code(), target.joint_code()
        if rows.dependent:
            return unit_plug_in(left, right, rows, seed=seed)
        return plug_in(left, right, seed=seed)
    numbers, label = (feature, target) if feature.kind == "continuous" else (target, feature)
    codes = label.joint_code()
    if rows.dependent:
        return unit_ross(numbers.continuous, codes, rows, neighbours, seed=seed).at_least_zero()
    return ross(numbers.continuous, codes, neighbours, seed=seed).at_least_zero()


def _scores(variable: Variable) -> Tensor:
    return NormalScores.of(variable.continuous)(variable.continuous)


def _continuous(x: Tensor, z: Tensor, neighbours: int, seed: int) -> Estimate:
    """Returns the estimate of the module of normal scores x (N, X) and z (N, Z)."""
    with stopwatch() as seconds:
        ratio = GaussianRatio.fit(x, z)
        model = ratio.information - small_sample_bias(len(x), *ratio.ranks)
        generator = torch.Generator().manual_seed(seed)
        chosen = torch.randperm(len(x), generator=generator)[:MAX_ROWS]
        near, far = x[chosen], z[chosen]
        beyond = ksg_terms(near, far, neighbours) - ratio.terms(near, far)
        biases = []
        for _ in range(DRAWS):
            drawn = _draw(ratio, len(chosen), generator)
            biases.append(
                float((ksg_terms(*drawn, neighbours) - _canonical(ratio).terms(*drawn)).mean())
            )
        bias = sum(biases) / len(biases)
        extra = float(beyond.mean()) - bias
        sampling = _half(ratio.terms(x, z))
        noise = INFLATION * _half(beyond) * math.sqrt(1 + 1 / DRAWS)
        margin = math.hypot(sampling, noise)
        low, high = model + extra - margin, model + max(extra, 0) + margin
        single = x.shape[1] == z.shape[1] == 1
        if single and extra < noise:
            extra, low = 0.0, model - sampling
    low, value, high = (max(0.0, number) for number in (low, model + extra, high))
    return Estimate("copula+knn", value, low, high, "neither", None, False, seconds())


def _canonical(ratio: GaussianRatio) -> GaussianRatio:
    """Returns the log-ratio of canonical variates."""
    number = len(ratio.correlations)
    zero, same = torch.zeros(number).double(), torch.eye(number).double()
    return GaussianRatio(ratio.correlations, zero, zero, same, same, (number, number))


def _draw(ratio: GaussianRatio, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws N pairs of canonical variates."""
    shape = count, len(ratio.correlations)
    a, noise = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    return a, ratio.correlations * a + (1 - ratio.correlations.square()).sqrt() * noise


def _half(terms: Tensor) -> float:
    interval = mean_interval(terms)
    return (interval.high - interval.low) / 2
