r"""`corrected_neighbours` of a reduction of many columns, by cross-fitting.

The variates of each fifth of the pairs come from maps fitted to the others, so that maps cannot fit
the noise of the pairs that are measured. The estimate differs in three ways from that of few
columns.

1. Maps fitted to m pairs lose information, about c / m nats. The loss is estimated by fitting them
   also to halves and quarters of the same pairs. With the information G of a Gaussian copula of the
   variates, :math:`G(m) - G(m/2)` and :math:`\tfrac{1}{2} [G(m/2) - G(m/4)]` are both c / m. The
   mean of the first and of the smaller one is added.
2. In many dimensions, the bias of neighbours on draws of the model may differ much from that on
   variates with another distribution. A positive residual is therefore limited to what neighbours
   see without correction.
3. If held-out pairs are matched clearly worse than draws of the model, the model is wrong, and the
   difference is subtracted.

Shapes: N pairs, X and Z columns, R variates.
"""

__all__ = ["ReducedNeighbours", "correct_reduced_neighbours", "is_better"]

import math
from dataclasses import dataclass, fields
from statistics import fmean

from torch import Tensor

from .canonical_variates import CanonicalMaps, CrossFitted, cross_fit
from .corrected_neighbours import (
    BIAS_SHARE,
    NORMAL,
    OVERFIT_SHARE,
    UNSEEN_SHARE,
    CorrectedNeighbours,
    correct_neighbours,
)
from .gaussian_ratio import GaussianRatio, NormalScores
from .intervals import Interval
from .pair_models.model import matching_score
from .pair_models.selection import MAX_VALID, ModelChoice, choose_model, split_pairs
from .reduction import ReductionChoice, principal_coordinates, shuffled_scores

MAX_FIT = 20_000  # pairs that are used
SHARES = 0.25, 0.5, 1.0  # of the pairs of the other folds to which maps are fitted
DRAWS = 4  # of the model, for the matching score
TOLERATED, TOLERATED_ERRORS = 0.1, 2.0  # difference of matching scores: a share, standard errors
MIN_GAIN = 0.03  # nats of matching score by which a reduction must beat a model of all columns
FEW = 25  # columns, in which a reduction must always beat the model
# Share of the score of the model that a reduction must reach if the model contradicts held-out
# pairs, and if nonlinear variates match them better than linear ones or columns are many
SHARE_OF_WRONG, SHARE_OF_OTHERS = 0.8, 0.9
MANY = 40  # columns, above which linear variates may be worse, too
MIN_RATIO = 4  # of columns to variates
# Standard deviation of the error of the residual, as a share; measured by simulation
KEPT_SHARE = 0.15
# Half-widths above the estimate, as shares; measured by simulation
SHORTFALL_SHARE, EXCESS_SHARE = 1.5, 0.5


@dataclass(frozen=True)
class ReducedNeighbours(CorrectedNeighbours):
    """The estimate from canonical variates, in nats.

    `information` is that of the model, without the excess that held-out pairs contradict.
    """

    shortfall: float = 0.0  # lost by maps that are fitted to few pairs, estimated
    excess: float = 0.0  # already subtracted from the information

    @property
    def kept_residual(self) -> float:
        """The residual; a positive one is limited to what neighbours see without correction.

        If the model is wrong, neighbours alone are used where they see more.
        """
        uncorrected = max(0.0, self.neighbours - self.information)
        return uncorrected if self.excess else min(super().kept_residual, uncorrected)

    @property
    def interval(self) -> Interval:
        """The information, the residual and the shortfall, with a 95 % interval.

        It reaches further up than down, because the reduction may have missed dependence.
        """
        found = self.information + self.kept_residual
        margin = NORMAL * math.hypot(
            self.sampling_error,
            self.residual_error,
            BIAS_SHARE * self.neighbours_bias,
            OVERFIT_SHARE * self.overfit,
            KEPT_SHARE * self.kept_residual,
        )
        above = math.hypot(
            margin,
            SHORTFALL_SHARE * self.shortfall,
            UNSEEN_SHARE * max(found, 0.0),
            max(super().kept_residual - self.kept_residual, 0.0),
            EXCESS_SHARE * self.excess,
        )
        value = found + self.shortfall
        return Interval(value, found - margin, value + above)


def correct_reduced_neighbours(
    x: Tensor, z: Tensor, reduction: ReductionChoice, neighbours: int, seed: int
) -> ReducedNeighbours | None:
    """Applies `correct_neighbours` to cross-fitted canonical variates of x and z.

    Arguments:
        x: Samples in double precision, with shape (N, X).
        z: The samples drawn with them, with shape (N, Z).
        reduction: The kind of variates.
        neighbours: The number k of neighbours.
        seed: Seed of folds, subsets and draws.

    Returns:
        The estimate; None if there are too few pairs.
    """
    _, mapped = shuffled_scores(x, z, MAX_FIT, seed)
    _, pairs = principal_coordinates(*mapped, reduction.kind, seed)
    rank, ridge = reduction.correlated, reduction.ridge
    reference = CanonicalMaps.fit(pairs, ridge, rank).kept(reduction.numbers)
    quarter, half, whole = (
        cross_fit(pairs, ridge, rank, share=share, towards=reference) for share in SHARES
    )
    earlier, last = _copula(half) - _copula(quarter), _copula(whole) - _copula(half)
    train, valid = split_pairs(len(pairs), seed)
    choice = choose_model((whole.x[train], whole.z[train]), (whole.x[valid], whole.z[valid]), seed)
    if choice is None:
        return None
    found = correct_neighbours(whole.x, whole.z, choice, neighbours, seed)
    values = {field.name: getattr(found, field.name) for field in fields(found)}
    excess = _excess(choice, min(len(valid), MAX_VALID), seed)
    values["information"] -= excess
    shortfall = max(0.0, (last + min(last, earlier / 2)) / 2)
    return ReducedNeighbours(**values, shortfall=shortfall, excess=excess)


def is_better(
    reduction: ReductionChoice, model: ModelChoice, columns: int, count: int, seed: int
) -> bool:
    """Whether a reduction describes pairs better than a density model of all columns.

    Both were scored on the same `count` validation pairs.
    """
    better = reduction.model.score > model.score + MIN_GAIN
    if better or columns <= FEW or MIN_RATIO * reduction.rank > columns:
        return better
    share = SHARE_OF_WRONG if _excess(model, min(count, MAX_VALID), seed) else SHARE_OF_OTHERS
    wide = columns > MANY or reduction.kind != "linear"
    return wide and reduction.model.score >= share * model.score


def _copula(variates: CrossFitted) -> float:
    """Returns the information of a Gaussian copula; the sampling bias cancels in differences."""
    x, z = (NormalScores.of(side)(side) for side in (variates.x, variates.z))
    return GaussianRatio.fit(x, z).information


def _excess(choice: ModelChoice, count: int, seed: int) -> float:
    """Returns what the model claims beyond its matching of held-out pairs; 0 if it may be noise.

    The matching score of as many draws of the model has the same ceiling. A log-score in nats has
    a standard deviation of about 1.
    """
    drawn = [
        matching_score(choice.model, *choice.model.draw(count, seed + n)) for n in range(DRAWS)
    ]
    difference = fmean(drawn) - choice.score
    tolerated = TOLERATED * fmean(drawn) + TOLERATED_ERRORS / math.sqrt(count)
    return difference if difference > tolerated else 0.0
