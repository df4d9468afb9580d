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

The interval of dependent rows is wider: by the ratio of the standard error over units to that over
rows, of the terms whose mean is the estimate.

Shapes: N rows.
"""

__all__ = ["pair_estimate"]

import math
from dataclasses import replace

import torch
from torch import Tensor

from ..errors import DataError
from .discrete.plug_in import plug_in
from .discrete.ross import ross, ross_terms
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
                "type, or use --discrete"
            )
    rows = Rows.independent(len(feature)) if rows is None else rows
    if feature.kind == target.kind == "continuous":
        x, z = _scores(feature), _scores(target)
        if rows.dependent:
            return ksg_estimate(x, z, neighbours, seed, rows=rows).at_least_zero()
        return _continuous(x, z, neighbours, seed)
    if feature.kind == target.kind:
        left, right = feature.joint_code(), target.joint_code()
        return _widened(plug_in(left, right, seed=seed), _plug_in_terms(left, right), rows)
    numbers, label = (feature, target) if feature.kind == "continuous" else (target, feature)
    codes = label.joint_code()
    found = ross(numbers.continuous, codes, neighbours, seed=seed)
    if rows.dependent:
        chosen = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[
            :MAX_ROWS
        ]
        terms = ross_terms(numbers.continuous[chosen], codes[chosen], neighbours)
        if len(terms) == len(chosen):
            found = _widened(found, terms, rows.take(chosen))
    return found.at_least_zero()


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


def _plug_in_terms(x: Tensor, z: Tensor) -> Tensor:
    """Returns the log-ratio of the table of counts at each row, with shape (N,)."""
    cells = (x * (int(z.max()) + 1) + z).unique(return_inverse=True)[1]
    joint, left, right = (codes.bincount()[codes].double() for codes in (cells, x, z))
    return (len(x) * joint / (left * right)).log()


def _widened(found: Estimate, terms: Tensor, rows: Rows) -> Estimate:
    """Returns the estimate with an interval for dependent rows."""
    if not rows.dependent or found.ci_low is None or found.ci_high is None:
        return found
    by_row, by_unit = mean_interval(terms), mean_interval(terms, rows)
    width = by_row.high - by_row.low
    factor = max(1.0, (by_unit.high - by_unit.low) / width) if width > 0 else 1.0
    return replace(
        found,
        ci_low=found.value - factor * (found.value - found.ci_low),
        ci_high=found.value + factor * (found.ci_high - found.value),
    )
