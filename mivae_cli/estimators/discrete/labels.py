r"""Mutual information of a label and numbers, in nats.

Classifiers chosen on held-out rows, or a mixture of the best, give probabilities
:math:`p(c \mid x_i)` for every row, from fits to other rows. Two estimates follow from them. The
first is a lower bound,

.. math:: I \ge H(C) + \mathrm{E} \ln p(c \mid x).

The second adds what is missing, in two parts. The loss of a classifier falls with the number of
rows n that it is fitted to, by :math:`\Delta` from n / 2 to n. If the excess is proportional to
1 / n, as for models of a fixed form, :math:`\Delta` remains (a = 1); for flexible ones, more does
(a = 1.5). The second part is what nearest neighbours see beyond. Let
:math:`G(c) = \hat I_\text{Ross}(x, c) - \frac{1}{N} \sum_i \ln \frac{p(c_i \mid x_i)}{p(c_i)}`
be the gap between the estimate of Ross and the classifier. Labels :math:`\tilde c` drawn from the
probabilities at the same x show its value if the classifier is right, which is the bias of the
neighbours. A gain above 0 is added as far as it exceeds twice its standard error :math:`\tau` from
the draws, in the form of the estimator of James and Stein,

.. math:: \hat I = H(C) + \mathrm{E} \ln p(c \mid x) + a \Delta + w\, g, \qquad
    g = \max(0, G(c) - \text{mean}\, G(\tilde c) - a \Delta), \qquad
    w = \max(0, 1 - 4 \tau^2 / g^2).

The interval reaches further up than down: what no classifier has learnt can only add.

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
from .classifiers import MIXTURE_DIMENSIONS
from .cross_fits import CHANCE_ROWS, CrossFits, log_ratios
from .plug_in import QUANTILE, checked_codes, entropy
from .ross import ross, ross_terms

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DRAWS = 6  # of new labels
MAX_NEIGHBOUR_ROWS = 10_000
MAX_FAR_ROWS = 5_000  # in more than FAR_DIMENSIONS dimensions
FAR_DIMENSIONS = 7
SLOW_GROWTH = 0.5  # added to a for flexible classifiers
GROWTH_ERRORS = 0.5, 0.6  # standard errors of a growth, as shares of it, down and up; measured
STANDARD_ERRORS = 2.0  # that what neighbours add must exceed
GAIN_ERROR = 0.3  # likewise, of what neighbours add
UNSEEN = 0.02, 0.07  # likewise, of what fixed and flexible classifiers miss, as shares of
MOST_UNSEEN = 0.5  # nats, or what is learnt, or what is left of the entropy, if less
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
        value, low, high = _corrected(fits, bound, neighbours, seed)
    spent = seconds() + more()
    corrected = label_estimate("corrected-ross", value, low, high, "neither", limit, spent)
    reason = (
        f"the bound of {described(fits)}, with what more rows and nearest neighbours would add"
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
    return label_estimate("classifier", value, error, error, "lower", limit, seconds)


def _corrected(
    fits: CrossFits, bound: Estimate, neighbours: int, seed: int
) -> tuple[float, float, float]:
    """Returns the corrected bound, and its standard errors downwards and upwards."""
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
    growth = growth_of(fits)
    gain = max(beyond - float(expected.mean()) - growth, 0.0)
    noise = float(expected.std(ddof=1)) * math.sqrt(1 + 1 / DRAWS)
    share = share_of(gain, noise)
    assert bound.ci_high is not None
    sampling = (bound.ci_high - bound.value) / QUANTILE
    low, high = correction_errors(fits, bound.value, gain, share, noise)
    value = bound.value + growth + share * gain
    return value, math.hypot(sampling, low), math.hypot(sampling, high)


def share_of(gain: float, noise: float) -> float:
    """Returns how much of a gain is added, 0 if it is within two standard errors."""
    return max(0.0, 1 - (STANDARD_ERRORS * noise / gain) ** 2) if gain > 0 else 0.0


def growth_of(fits: CrossFits) -> float:
    """Returns what many more rows would add, in nats."""
    return fits.growth * (1 + SLOW_GROWTH * fits.flexible)


def correction_errors(
    fits: CrossFits, learnt: float, gain: float, share: float, noise: float
) -> tuple[float, float]:
    """Returns standard errors of what is added to the bound, downwards and upwards, in nats.

    Arguments:
        fits: The classifiers.
        learnt: The bound.
        gain: What neighbours see beyond it.
        share: How much of this is added.
        noise: Its standard error.
    """
    growth, chance = growth_of(fits), CHANCE_ROWS / len(fits.codes)
    known = max(min(learnt, entropy(torch.from_numpy(fits.codes)) - learnt, MOST_UNSEEN), 0.0)
    unseen = (UNSEEN[0] + (UNSEEN[1] - UNSEEN[0]) * fits.flexible) * known
    low = GROWTH_ERRORS[0] * growth, chance, share * noise, GAIN_ERROR * share * gain
    high = GROWTH_ERRORS[1] * growth, unseen, noise, GAIN_ERROR * gain, (1 - share) * gain
    return math.hypot(*low), math.hypot(*high)


def label_estimate(
    name: str,
    value: float,
    error_low: float,
    error_high: float,
    direction: Direction,
    limit: float,
    seconds: float,
) -> Estimate:
    """Returns an estimate between 0 and the entropy of the label, with its 95 % interval."""
    value = min(max(value, 0.0), limit)
    low, high = max(value - QUANTILE * error_low, 0.0), value + QUANTILE * error_high
    return Estimate(name, value, low, high, direction, limit, direction == "lower", seconds)


def described(fits: CrossFits) -> str:
    """Returns a description of the classifiers."""
    names = list(dict.fromkeys(each.name for each in fits.candidates))
    if len(names) == 1:
        return f"a classifier ({names[0]})"
    return f"a mixture of classifiers ({', '.join(names)})"


def remarks(codes: Tensor, fits: CrossFits) -> tuple[list[str], list[str]]:
    """Returns warnings about the rows, and notes about the estimates."""
    warnings, notes = [], []
    sizes = codes.bincount()
    if small := int((sizes < SMALL_CLASS).sum()):
        warnings.append(
            f"{small:,} of {len(sizes):,} levels have fewer than {SMALL_CLASS} rows; what they "
            "tell is uncertain"
        )
    best = fits.candidates[0]
    if len(fits.candidates) == 1 and best.reduction != "none":
        how = "discriminant directions"
        if number := best.number:
            which = "beside another one" if best.reduction == "pairs" else "one at a time"
            how = f"the {number} columns that tell most about the label {which}"
        notes.append(
            f"the {fits.columns} columns are reduced to {how}, chosen on other rows: in "
            "expectation, the estimates are lower bounds"
        )
    if fits.columns > MIXTURE_DIMENSIONS:
        notes.append(
            f"with {fits.columns} columns, dependence that only an intricate function of many "
            "columns shows is missed"
        )
        if len(codes) < ROWS_PER_COLUMN * fits.columns:
            warnings.append(
                f"{len(codes):,} rows are few for {fits.columns} columns: the estimates are "
                "probably too low"
            )
    return warnings, notes
