r"""Mutual information of a label and numbers, in nats.

A classifier chosen on held-out rows gives probabilities :math:`p(c \mid x_i)` for every row, from
a fit to other rows. Two estimates follow from it. The first is a lower bound,

.. math:: I \ge H(C) + \mathrm{E} \ln p(c \mid x).

The second adds what nearest neighbours see beyond the classifier. Let
:math:`G(c) = \hat I_\text{Ross}(x, c) - \frac{1}{N} \sum_i \ln \frac{p(c_i \mid x_i)}{p(c_i)}`
be the gap between the estimate of Ross and the classifier. Labels :math:`\tilde c` drawn from the
probabilities at the same x show its value if the classifier is right, which is the bias of the
neighbours. The loss of a classifier also falls with the number of rows n that it is fitted to, by
:math:`\Delta` from n / 2 to n. If the excess is proportional to 1 / n, :math:`\Delta` remains. The
gain of the neighbours beyond it is added as far as it exceeds its standard error :math:`\tau` from
the draws, as in the estimator of James and Stein,

.. math:: \hat I = H(C) + \mathrm{E} \ln p(c \mid x) + \Delta + w\, g, \qquad
    g = G(c) - \text{mean}\, G(\tilde c) - \Delta, \qquad w = \max(0, 1 - \tau^2 / g^2).

So an imperfect classifier does little harm, and neither does the bias of the neighbours.

If the classifier reduces x, neighbours are found in the reduced space of rows that did not fit the
reduction. The information of a function of x is at most that of x.

Shapes: N rows, X columns, C classes.
"""

__all__ = ["DiscreteEstimates", "label_estimate", "label_estimates", "remarks"]

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...choices import Direction
from ...errors import DataError
from ...limits import check_seed
from ..nearest_neighbours import check_neighbours, untied
from ..report import Estimate, Recommendation, stopwatch
from .classifiers import FULL_DIMENSIONS
from .cross_fits import CrossFits, log_ratios
from .plug_in import QUANTILE, checked_codes, entropy
from .ross import ross, ross_terms

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DRAWS = 6  # of new labels
MAX_NEIGHBOUR_ROWS = 10_000
MAX_FAR_ROWS = 5_000  # in more than FAR_DIMENSIONS dimensions
FAR_DIMENSIONS = 7
GROWTH_ERROR = 1.0  # standard error of what more rows would add, as a share of it; measured
GAIN_ERROR = 0.3  # likewise, of what neighbours add
BLIND_ERROR = 0.03  # likewise, of the bias of neighbours
FLOOR = 0.02  # nats; the smallest standard deviation of a term, for an interval of some width
SMALL_CLASS = 30  # rows
ROWS_PER_COLUMN = 20  # fewer rows cause a warning if there are many columns


@dataclass(frozen=True)
class DiscreteEstimates:
    """Estimates of the mutual information of two variables, one of them discrete, in nats.

    Attributes:
        recommended: The estimate to quote.
        estimates: All estimates.
        entropy: The smallest entropy of a discrete side, which no mutual information exceeds;
            None if there is none.
        share: The recommended estimate divided by this entropy, between 0 and 1; None if it is 0.
        warnings: Reasons to doubt the estimates.
        notes: How to read them.
    """

    recommended: Recommendation
    estimates: list[Estimate]
    entropy: float | None
    share: float | None
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def label_estimates(
    x: Tensor, label: Tensor, neighbours: int = 3, *, seed: int = 0
) -> DiscreteEstimates:
    """Returns the estimates of the module, in nats.

    Arguments:
        x: Finite numbers, with shape (N, X); no column is constant.
        label: Levels as integers, with shape (N,) or (N, 1), N >= 50.
        neighbours: The number k of neighbours.
        seed: Seed of the split and of all draws; the global random state does not change.

    Raises:
        DataError: The rows do not match, there are fewer than 50, or no label occurs twice.
        ConfigError: `neighbours` or `seed` is out of range.

    >>> label = torch.arange(600) % 2
    >>> noise = torch.rand(600, 1, generator=torch.Generator().manual_seed(0))
    >>> found = label_estimates(2.0 * label[:, None] + noise, label)
    >>> round(found.recommended.value, 1)  # ln 2
    0.7
    """
    codes, neighbours = checked_codes(label), check_neighbours(neighbours)
    if x.ndim != 2 or len(x) != len(codes):
        raise DataError(f"{len(codes):,} labels, but numbers of shape {tuple(x.shape)}")
    if len(codes) < 50:
        raise DataError(f"{len(codes)} rows are too few; provide at least 50")
    limit = entropy(codes)
    plain = ross(x, codes, neighbours, seed=check_seed(seed))
    with stopwatch() as seconds:
        # random order, so that every part of the rows is a random sample
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
        fits = CrossFits(untied(x.double()[order]), codes[order].numpy())
    bound = _bound(fits, limit, seconds())
    with stopwatch() as more:
        value, error = _corrected(fits, bound, neighbours, seed)
    spent = seconds() + more()
    corrected = label_estimate("corrected-ross", value, error, "neither", limit, spent)
    reason = (
        f"the bound of a classifier ({fits.candidate.name}), with what more rows and nearest "
        "neighbours would add"
    )
    warnings, notes = remarks(codes, fits)
    share = corrected.value / limit if limit > 0 else None
    return DiscreteEstimates(
        Recommendation.of(corrected, reason),
        [corrected, bound, plain],
        limit,
        share,
        warnings,
        notes,
    )


def _bound(fits: CrossFits, limit: float, seconds: float) -> Estimate:
    """Returns the held-out lower bound of the classifier."""
    terms = log_ratios(fits.probabilities, fits.codes)
    error = max(float(terms.std()), FLOOR) / math.sqrt(len(terms))
    value = limit - fits.loss
    return label_estimate("classifier", value, error, "lower", limit, seconds)


def _corrected(
    fits: CrossFits, bound: Estimate, neighbours: int, seed: int
) -> tuple[float, float]:
    """Returns the bound with what neighbours see beyond it, and the standard error of the sum."""
    random = np.random.default_rng(seed)
    beyond, expected = 0.0, np.zeros(DRAWS)
    for rows, space in fits.spaces:
        far = space.shape[1] > FAR_DIMENSIONS
        kept = slice((MAX_FAR_ROWS if far else MAX_NEIGHBOUR_ROWS) // len(fits.spaces))
        points = torch.from_numpy(np.ascontiguousarray(space[kept]))
        chances = fits.probabilities[rows[kept]]

        def gap(labels: Ints, points: Tensor = points, chances: Floats = chances) -> float:
            found = ross_terms(points, torch.from_numpy(labels), neighbours)
            return float(found.mean()) - float(log_ratios(chances, labels).mean())

        weight = 1 / len(fits.spaces)
        beyond += weight * gap(fits.codes[rows[kept]])
        cumulative = chances.cumsum(axis=1)
        for draw in range(DRAWS):
            uniform = random.random((len(chances), 1)) * cumulative[:, -1:]
            expected[draw] += weight * gap((cumulative < uniform).sum(axis=1))
    blind = abs(float(expected.mean()))
    gain = beyond - float(expected.mean()) - fits.growth
    noise = float(expected.std(ddof=1)) * math.sqrt(1 + 1 / DRAWS)
    # a gain within the noise is left out (positive-part James-Stein)
    share = max(0.0, 1 - (noise / gain) ** 2) if gain else 0.0
    assert bound.ci_high is not None
    sampling = (bound.ci_high - bound.value) / QUANTILE
    bias = GROWTH_ERROR * fits.growth, GAIN_ERROR * gain, BLIND_ERROR * blind
    return bound.value + fits.growth + share * gain, math.hypot(sampling, noise, *bias)


def label_estimate(
    name: str, value: float, error: float, direction: Direction, limit: float, seconds: float
) -> Estimate:
    """Returns an estimate between 0 and the entropy of the label."""
    value = min(max(value, 0.0), limit)
    low, high = max(value - QUANTILE * error, 0.0), value + QUANTILE * error
    return Estimate(name, value, low, high, direction, limit, direction == "lower", seconds)


def remarks(codes: Tensor, fits: CrossFits) -> tuple[list[str], list[str]]:
    """Returns warnings about the rows, and notes about the estimates."""
    warnings, notes = [], []
    sizes = codes.bincount()
    if small := int((sizes < SMALL_CLASS).sum()):
        warnings.append(
            f"{small:,} of {len(sizes):,} levels have fewer than {SMALL_CLASS} rows; what they "
            "tell is uncertain"
        )
    if number := fits.candidate.reduction:
        how = "discriminant directions"
        if number > 0:
            how = f"the {number} columns that tell most about the label one at a time"
        notes.append(
            f"the {fits.columns} columns are reduced to {how}, chosen on other rows: in "
            "expectation, the estimates are lower bounds"
        )
    if fits.columns > FULL_DIMENSIONS:
        notes.append(
            f"with more than {FULL_DIMENSIONS} columns, only linear functions of all columns or "
            "any functions of a few are tried; other dependence is missed"
        )
        if len(codes) < ROWS_PER_COLUMN * fits.columns:
            warnings.append(
                f"{len(codes):,} rows are few for {fits.columns} columns: the estimates are "
                "probably too low"
            )
    return warnings, notes
