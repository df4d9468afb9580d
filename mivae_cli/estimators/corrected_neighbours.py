r"""A density model of the pairs, plus the dependence that it misses, measured by neighbours.

A model M is chosen on held-out pairs and fitted to all pairs (`pair_models`). It knows its own
mutual information I(M), but may miss part of the dependence. Nearest neighbours (`ksg`) need no
model, but their estimate is too low in many dimensions and at high information. Each corrects the
other: the bias of `ksg` is measured on draws from the model, of the same number of pairs,

.. math:: \hat I = I(M) + \Big[\hat I_\mathrm{ksg} - L\Big]_\mathrm{data}
    - \frac{1}{R} \sum_r \Big[\hat I_\mathrm{ksg} - L\Big]_{\mathrm{draw}\ r},

where L is the mean log-ratio of the model on the pairs to which it is fitted, so that the chance
errors of both terms cancel. If M is right, the two brackets have the same expectation. If M is
wrong, but similar enough for the bias of `ksg` to be similar, the difference is the missing part.

The bias of I(M) is known for the Gaussian and the Student-t copula. For mixtures, it is measured by
fitting the model again to its draws.

Shapes: N pairs, X and Z coordinates, R draws.

References:
    | Estimating mutual information (Kraskov, Stögbauer & Grassberger, 2004)
    | An Introduction to the Bootstrap (Efron & Tibshirani, 1993), for the bias of refitted draws
"""

__all__ = ["CorrectedNeighbours", "correct_neighbours"]

import math
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor

from .coordinates import CoordinateTransform
from .gaussian_ratio import NormalScores
from .intervals import Interval, mean_interval
from .nearest_neighbours import INFLATION, KSG_DIMENSIONS, ksg_terms
from .pair_models.selection import Candidate, ModelChoice

DRAWS = 4  # R
MAX_FIT = 20_000  # pairs to which the model is fitted
MAX_DISTANCES = 2.5e8  # of single coordinates; limits the pairs for `ksg`
MIN_NEIGHBOUR_PAIRS, MAX_NEIGHBOUR_PAIRS = 2_000, 20_000
THRESHOLD = 1.0  # standard errors below which the residual counts as noise; has the least error
NORMAL = 1.96  # standard errors on each side of a 95 % interval
# Standard deviations of the errors that are left, as shares; measured by simulation
BIAS_SHARE, RESIDUAL_SHARE, OVERFIT_SHARE = 0.05, 1.0, 0.5
# Half-widths above the estimate, as shares; likewise: of the growth by the last doubling, and of an
# estimate of more columns than neighbours can confirm
GROWTH_SHARE, UNSEEN_SHARE = 2.0, 0.25
# Residual of a model that misses much: nats, and share of its information
MISSED, MISSED_SHARE = 0.04, 0.1
# A function of x makes ksg grow by a constant with every doubling of the pairs, at most ln 2
MIN_GROWTH, STEADY_GROWTH, MIN_EXCESS = 0.25, 0.8, 0.1


@dataclass(frozen=True)
class CorrectedNeighbours:
    """The model's information and the residual that neighbours see, in nats."""

    model_name: str
    information: float  # of the model, corrected for overfitting
    overfit: float  # the correction that was subtracted
    sampling_error: float  # standard error of the information
    neighbours: float  # ksg of the data
    neighbours_bias: float  # mean of ksg minus information on draws of the model
    residual: float
    residual_error: float  # standard error
    growth: tuple[float, float] = (0.0, 0.0)  # of ksg, by the last two doublings of the pairs
    model_growth: float = 0.0  # of the matching score, by the last doubling of the training pairs
    columns: int = 2  # of x and z together

    @property
    def unbounded(self) -> bool:
        """Whether neighbours see ever more as pairs are added, as if z were a function of x.

        Strong dependence lets `ksg` grow, too, but no more than on draws of the model.
        """
        earlier, last = self.growth
        growing = last > MIN_GROWTH and last > STEADY_GROWTH * earlier
        return growing and self.residual > max(MIN_EXCESS, 2 * self.residual_error)

    @property
    def incomplete(self) -> bool:
        """Whether the model misses so much that neighbours may not see all of it."""
        return self.kept_residual > max(MISSED, MISSED_SHARE * self.information)

    @property
    def kept_residual(self) -> float:
        """The residual, shrunk towards 0 if it may be noise."""
        ratio = THRESHOLD * self.residual_error / max(abs(self.residual), 1e-12)
        return self.residual * max(0.0, 1 - ratio**2)

    @property
    def model_interval(self) -> Interval:
        """The information of the model with the 95 % interval of its sampling error."""
        margin = NORMAL * self.sampling_error
        return Interval(self.information, self.information - margin, self.information + margin)

    @property
    def sampling_interval(self) -> Interval:
        """The information plus the residual, with the 95 % interval of the sampling error."""
        value, margin = self.information + self.kept_residual, NORMAL * self.sampling_error
        return Interval(value, value - margin, value + margin)

    @property
    def interval(self) -> Interval:
        """The information plus the residual, with a 95 % interval.

        Besides the sampling error, the interval covers a share of the biases that were corrected
        and of the residual that was added, and a residual that is too small to be seen. It reaches
        further up if the model still learns from more pairs, and in many columns, whose curved
        dependence may escape models, neighbours and critics alike.
        """
        value = self.information + self.kept_residual
        many = max(1.0, self.columns / KSG_DIMENSIONS)
        margin = NORMAL * math.hypot(
            self.sampling_error,
            # in many columns, neighbours see so little that their bias is nearly all of it
            BIAS_SHARE / many**2 * self.neighbours_bias,
            RESIDUAL_SHARE * self.kept_residual,
            OVERFIT_SHARE * self.overfit,
            self.residual_error,
        )
        unseen = UNSEEN_SHARE * max(value, 0.0) if many > 1 else 0.0
        above = math.hypot(margin, GROWTH_SHARE * self.model_growth, unseen)
        return Interval(value, value - margin, value + above)


def correct_neighbours(
    x: Tensor, z: Tensor, choice: ModelChoice, neighbours: int, seed: int
) -> CorrectedNeighbours:
    """Fits the chosen model to all pairs, and measures the residual.

    Arguments:
        x: Samples in double precision, with shape (N, X).
        z: The samples drawn with them, with shape (N, Z).
        choice: The kind of model.
        neighbours: The number k of neighbours.
        seed: Seed of subsets and draws.
    """
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    x, z = x[order[:MAX_FIT]], z[order[:MAX_FIT]]
    mapped = _mapped(x, z, choice.candidate)
    model = choice.candidate.fit(*mapped, seed, start=choice.model)
    unbiased = model.unbiased_information(seed)
    information = model.information(seed) if unbiased is None else unbiased
    terms = model.log_ratio(*mapped)
    near = slice(_neighbour_pairs(x.shape[1] + z.shape[1], len(x)))
    found = _rank_terms(x[near], z[near], neighbours)
    gap = found - terms[near]
    gaps, biases, overfits = [], [], []
    for number in range(DRAWS):
        drawn = model.draw(len(x), seed + number + 1)
        true = model.log_ratio(*drawn)
        remapped = _mapped(*drawn, choice.candidate)
        again = choice.candidate.fit(*remapped, seed, start=model)
        if unbiased is None:  # the chance error of the true log-ratios is nearly that of the fit
            overfits.append(again.information(seed) - float(true.mean()))
        seen = _rank_terms(drawn[0][near], drawn[1][near], neighbours)
        gaps.append(float((seen - again.log_ratio(*remapped)[near]).mean()))
        biases.append(float((seen - true[near]).mean()))
    overfit = fmean(overfits) if overfits else 0.0
    around = mean_interval(terms)
    gap_error = INFLATION * float(gap.std()) / math.sqrt(len(gap))
    return CorrectedNeighbours(
        model_name=str(choice.candidate),
        information=information - overfit,
        overfit=overfit,
        sampling_error=(around.high - around.low) / 2 / NORMAL,
        neighbours=float(found.mean()),
        neighbours_bias=fmean(biases),
        residual=float(gap.mean()) - fmean(gaps),
        residual_error=gap_error * math.sqrt(1 + 1 / DRAWS),
        growth=_growth(x[near], z[near], choice.candidate, neighbours),
        model_growth=choice.growth,
        columns=x.shape[1] + z.shape[1],
    )


def _mapped(x: Tensor, z: Tensor, candidate: Candidate) -> tuple[Tensor, Tensor]:
    return CoordinateTransform.fit(x, z, candidate.transform)(x, z)


def _growth(x: Tensor, z: Tensor, candidate: Candidate, neighbours: int) -> tuple[float, float]:
    """Returns the growth of `ksg` by the last two doublings; 0 if a smooth model fits well."""
    if candidate.family != "mixture" or x.shape[1] + z.shape[1] > KSG_DIMENSIONS:
        return 0.0, 0.0
    sizes = [len(x) // 4, len(x) // 2, len(x)]
    quarter, half, whole = (
        float(_rank_terms(x[:size], z[:size], neighbours).mean()) for size in sizes
    )
    return half - quarter, whole - half


def _rank_terms(x: Tensor, z: Tensor, neighbours: int) -> Tensor:
    """Returns the terms of `ksg` of normal scores, so that margins do not matter."""
    return ksg_terms(NormalScores.of(x)(x), NormalScores.of(z)(z), neighbours)


def _neighbour_pairs(dimensions: int, count: int) -> int:
    most = int(math.sqrt(MAX_DISTANCES / dimensions))
    return min(count, max(MIN_NEIGHBOUR_PAIRS, min(MAX_NEIGHBOUR_PAIRS, most)))
