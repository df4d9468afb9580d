r"""95 % confidence intervals of estimates, in nats: of means of terms, and by the jackknife.

The score matrix of N samples has N² pairs, and every x and every z is part of N of them. The
delete-a-group jackknife over G groups accounts for this dependence,

.. math:: \mathrm{SE}^2 = \frac{G - 1}{G} \sum_g (\hat I_{(g)} - \bar I_{(\cdot)})^2,

with the quantiles of Student's t with G - 1 degrees of freedom.

References:
    | The Jackknife, the Bootstrap and Other Resampling Plans (Efron, 1982)
    | Delete-m Jackknife for Unequal m (Busing, Meijer & van der Leeden, 1999)
"""

__all__ = [
    "Interval",
    "jackknife",
    "jackknife_interval",
    "mean_interval",
    "unbiased_jackknife",
]

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .rows import Rows
from .score_matrix import Bound, ScoreSummary

UPPER = 0.975  # probability of the upper end of a 95 % interval


class Interval(NamedTuple):
    """An estimate with its 95 % confidence interval."""

    value: float
    low: float
    high: float


def mean_interval(terms: Tensor, rows: Rows | None = None) -> Interval:
    r"""Returns the mean of terms (N,) and its 95 % interval, of width 0 if N = 1.

    The interval of independent terms is normal. That of `rows` in units u = 1..U allows any
    dependence inside a unit, with Student's t of U - 1 degrees of freedom:

    .. math:: \mathrm{SE}^2 = \frac{U}{U - 1} \frac{1}{N^2} \sum_u \Big[\sum_{i \in u}
        (t_i - \bar t)\Big]^2
    """
    from scipy.special import ndtri, stdtrit  # slow to import

    value = float(terms.mean())
    if rows is not None and rows.dependent:
        of_unit = rows.unit.unique(return_inverse=True)[1]
        sums = (terms.double() - value).new_zeros(int(of_unit.max()) + 1, dtype=torch.float64)
        sums.index_add_(0, of_unit, terms.double() - value)
        units = len(sums)
        error = float(sums.square().sum().sqrt()) / len(terms)
        margin = float(stdtrit(units - 1, UPPER)) * error * math.sqrt(units / (units - 1))
        return Interval(value, value - margin, value + margin)
    quantile = float(ndtri(UPPER))
    error = float(terms.std()) / math.sqrt(len(terms)) if len(terms) > 1 else 0.0
    return Interval(value, value - quantile * error, value + quantile * error)


def jackknife_interval(
    summary: ScoreSummary, bound: Bound, noise: Tensor | None = None
) -> Interval:
    """Returns a bound on all pairs of a split with its jackknife 95 % interval.

    Arguments:
        summary: The reduced scores of N >= 3 samples.
        bound: The bound; its dual variable and other parameters must come from other data.
        noise: A control variate with expectation 0, with shape (S N,); its mean is subtracted.
    """
    noise = torch.zeros_like(summary.joint) if noise is None else noise
    values = [
        float(bound(summary.without(group)) - noise[summary.groups != group].mean())
        for group in range(len(summary.partial))
    ]
    value = float(bound(summary.scores) - noise.mean())
    return jackknife(value, values, summary.groups.bincount().tolist())


def jackknife(
    value: float, without: Sequence[float], sizes: Sequence[int] | None = None
) -> Interval:
    r"""Returns the jackknife 95 % interval of a value from those without each of the G groups.

    For groups of unequal sizes :math:`m_g`, with pseudo-values and :math:`h_g = N / m_g`,

    .. math:: \mathrm{SE}^2 = \frac{1}{G} \sum_g \frac{(\tilde I_g - \bar I)^2}{h_g - 1},
        \qquad \tilde I_g = h_g \hat I - (h_g - 1) \hat I_{(g)},
        \qquad \bar I = \sum_g \tilde I_g / h_g,

    which equals the formula above if all sizes are equal. The sizes matter if the value depends
    on N itself, as near a ceiling of log N; they are equal by default. For G = 1, the interval has
    width 0.
    """
    interval = unbiased_jackknife(value, without, sizes)
    margin = interval.high - interval.value
    return Interval(value, value - margin, value + margin)


def unbiased_jackknife(
    value: float, without: Sequence[float], sizes: Sequence[int] | None = None
) -> Interval:
    r"""Returns :math:`\bar I`, the value without its bias of order 1 / N, and its interval.

    The arguments and symbols are those of `jackknife`.
    """
    from scipy.special import stdtrit  # slow to import

    if len(without) < 2:
        return Interval(value, value, value)
    values = torch.tensor(without, dtype=torch.float64)
    shares = torch.tensor(sizes or [1] * len(without), dtype=torch.float64)
    shares /= shares.sum()  # 1 / h
    pseudo = (value - (1 - shares) * values) / shares
    mean = float((shares * pseudo).sum())
    deviations = pseudo - mean
    error = math.sqrt(float((deviations.square() * shares / (1 - shares)).mean()))
    margin = float(stdtrit(len(without) - 1, UPPER)) * error
    return Interval(mean, mean - margin, mean + margin)
