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

__all__ = ["DiscreteEstimates", "label_estimates"]

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
from .classifiers import FULL_DIMENSIONS, MAX_FIT, choose, features_of
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
TEMPERATURES = np.exp(np.linspace(-1.5, 0.5, 41))
MARGINS = np.array([0, 1e-4, 1e-3, 0.01, 0.03, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 1])


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
        fits = _CrossFits(untied(x.double()[order]), codes[order].numpy(), seed)
    bound = _bound(fits, limit, seconds())
    with stopwatch() as more:
        value, error = _corrected(fits, bound, neighbours, seed)
    spent = seconds() + more()
    corrected = _estimate("corrected-ross", value, error, "neither", limit, spent)
    reason = (
        f"the bound of a classifier ({fits.candidate.name}), with what more rows and nearest "
        "neighbours would add"
    )
    warnings, notes = _remarks(codes, fits)
    share = corrected.value / limit if limit > 0 else None
    return DiscreteEstimates(
        Recommendation.of(corrected, reason),
        [corrected, bound, plain],
        limit,
        share,
        warnings,
        notes,
    )


class _CrossFits:
    """The probabilities of the classes at all rows, from classifiers fitted to other rows.

    Attributes:
        codes: The classes, with shape (N,).
        candidate: The kind of classifier.
        probabilities: Calibrated probabilities of the classes, with shape (N, C).
        growth: How much the loss fell when the classifiers got twice as many rows, in nats.
        spaces: Sets of rows, with the space in which to find their neighbours.
    """

    def __init__(self, x: Tensor, codes: Ints, seed: int) -> None:
        self.codes, self.columns = codes, x.shape[1]
        classes, count = int(codes.max()) + 1, len(codes)
        features = features_of(x)
        self.candidate, _ = choose(features, codes, classes)
        values = features[self.candidate.features]
        reduced = self.candidate.reduction != 0
        folds = 2 if count > MAX_FIT else 5
        self.spaces: list[tuple[Ints, Floats]] = []
        logs, of_half = np.empty((count, classes)), np.empty((count, classes))
        for fold in range(folds):
            inside = np.arange(count) % folds == fold
            classifier = self.candidate.fit(values[~inside], codes[~inside], classes)
            logs[inside] = classifier.log_posterior(values[inside])
            half = np.flatnonzero(~inside)
            half = half[: min(len(half), MAX_FIT) // 2]
            other = self.candidate.fit(values[half], codes[half], classes)
            of_half[inside] = other.log_posterior(values[inside])
            if reduced:
                self.spaces.append((np.flatnonzero(inside), classifier.reduce(values[inside])))
        if not reduced:
            self.spaces.append((np.arange(count), values))
        self.probabilities = _calibrated(logs, codes)
        self.loss = _loss(self.probabilities, codes)
        growth = _loss(_calibrated(of_half, codes), codes) - self.loss
        # at most what the classifier has learnt, so that chance adds little at independence
        learnt = float(_ratios(self.probabilities, codes).mean())
        self.growth = max(min(growth, learnt), 0.0)


def _loss(probabilities: Floats, codes: Ints) -> float:
    """Returns the mean log-loss of all rows, in nats."""
    chosen = probabilities[np.arange(len(codes)), codes]
    return -float(np.log(np.maximum(chosen, 1e-300)).mean())


def _calibrated(logs: Floats, codes: Ints) -> Floats:
    """Returns probabilities sharpened or flattened, and mixed with those of the label alone.

    Chooses the exponent and the share of the mixture with the smallest loss. The share 1 is the
    classifier that ignores x, so that the bound is not negative.
    """
    from scipy.special import log_softmax  # slow to import

    count, rows = len(codes), np.arange(len(codes))
    margin = np.bincount(codes, minlength=logs.shape[1]) / count

    def loss(chosen: Floats, share: float) -> float:
        mixed = (1 - share) * np.exp(chosen) + share * margin[codes]
        return -float(np.log(np.maximum(mixed, 1e-300)).mean())

    trials = [
        (loss(chosen, share), temperature, share)
        for temperature in TEMPERATURES
        for chosen in [log_softmax(logs * temperature, axis=1)[rows, codes]]
        for share in MARGINS
    ]
    _, temperature, share = min(trials)
    calibrated: Floats = np.exp(log_softmax(logs * temperature, axis=1))
    mixed: Floats = (1 - share) * calibrated + share * margin
    return mixed


def _bound(fits: _CrossFits, limit: float, seconds: float) -> Estimate:
    """Returns the held-out lower bound of the classifier."""
    terms = _ratios(fits.probabilities, fits.codes)
    error = max(float(terms.std()), FLOOR) / math.sqrt(len(terms))
    value = limit - fits.loss
    return _estimate("classifier", value, error, "lower", limit, seconds)


def _corrected(
    fits: _CrossFits, bound: Estimate, neighbours: int, seed: int
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
            return float(found.mean()) - float(_ratios(chances, labels).mean())

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


def _ratios(probabilities: Floats, codes: Ints) -> Floats:
    """Returns ln p(c|x) - ln p(c) of rows, with the shares of their classes, (N,)."""
    chosen = np.maximum(probabilities[np.arange(len(codes)), codes], 1e-300)
    counts = np.bincount(codes)
    ratios: Floats = np.log(chosen) - np.log(counts[codes] / len(codes))
    return ratios


def _estimate(
    name: str, value: float, error: float, direction: Direction, limit: float, seconds: float
) -> Estimate:
    """Returns an estimate between 0 and the entropy of the label."""
    value = min(max(value, 0.0), limit)
    low, high = max(value - QUANTILE * error, 0.0), value + QUANTILE * error
    return Estimate(name, value, low, high, direction, limit, direction == "lower", seconds)


def _remarks(codes: Tensor, fits: _CrossFits) -> tuple[list[str], list[str]]:
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
