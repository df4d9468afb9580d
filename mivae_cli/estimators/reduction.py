r"""Reduce x and z to a few canonical variates, fitted to other pairs than those they are used on.

Canonical correlation analysis finds the linear maps of x and of z that are most correlated. With
many columns, sample covariances are nearly singular, and the correlations of noise are large. Both
covariances are therefore shrunk by a ridge, a multiple of their mean variance. Each choice is
judged by the matching score (symmetric InfoNCE) of a Gaussian copula of the variates, on pairs that
neither the maps nor the copula have seen. The smallest number of variates with nearly the best
score is chosen: further variates are often functions of the same factors, which a copula counts
again.

By the data-processing inequality, :math:`I(f(x); g(z)) \le I(x; z)` for all maps f and g: what the
variates share is a lower bound on what x and z share.

Shapes: N pairs, X and Z coordinates, R variates.

References:
    | Relations between two sets of variates (Hotelling, 1936)
    | Canonical ridge and econometrics of joint production (Vinod, 1976)
"""

__all__ = ["CanonicalMaps", "ReductionChoice", "choose_reduction"]

from dataclasses import dataclass

import torch
from torch import Tensor

from .coordinates import CoordinateTransform
from .pair_models.gaussian import GaussianModel
from .pair_models.model import matching_score

RIDGES = (0.01, 0.1, 0.5, 2.0)  # times the mean variance
RANKS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16)
MIN_DIMENSIONS = 10  # of x and z together, for a reduction to be tried
TOLERANCE = 0.08  # share of the best score that a smaller number of variates may lose
TINY = 1e-12


@dataclass(frozen=True)
class CanonicalMaps:
    """Linear maps of normal scores to canonical variates, most correlated first."""

    scores: CoordinateTransform
    of_x: Tensor  # (X, R)
    of_z: Tensor  # (Z, R)

    @classmethod
    def fit(cls, x: Tensor, z: Tensor, ridge: float, rank: int) -> "CanonicalMaps":
        """Fits the maps to pairs x (N, X) and z (N, Z)."""
        scores = CoordinateTransform.fit(x, z, "rank")
        x, z = scores(x, z)
        of_x, of_z = _shrunk_whitening(x, ridge), _shrunk_whitening(z, ridge)
        cross = of_x.T @ (x.T @ z / len(x)) @ of_z
        left, _, right = torch.linalg.svd(cross, full_matrices=False)
        return cls(scores, of_x @ left[:, :rank], of_z @ right.T[:, :rank])

    def __call__(self, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the variates of x and of z, each with shape (N, R)."""
        x, z = self.scores(x, z)
        return x @ self.of_x, z @ self.of_z

    def first(self, rank: int) -> "CanonicalMaps":
        """Returns the maps to the first variates."""
        return CanonicalMaps(self.scores, self.of_x[:, :rank], self.of_z[:, :rank])


@dataclass(frozen=True)
class ReductionChoice:
    """The chosen ridge and number of variates, with the copula that was scored."""

    ridge: float
    maps: CanonicalMaps
    scores: CoordinateTransform  # of the variates to normal scores
    copula: GaussianModel
    score: float  # matching score on held-out pairs, in nats

    @property
    def rank(self) -> int:
        """The number of variates of x and of z."""
        return self.maps.of_x.shape[1]

    def variates(self, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the normal scores of the variates, the inputs of the copula, each (N, R)."""
        return self.scores(*self.maps(x, z))


def choose_reduction(
    train: tuple[Tensor, Tensor], valid: tuple[Tensor, Tensor]
) -> ReductionChoice | None:
    """Chooses the ridge and the number of variates; None for too few dimensions or pairs.

    Arguments:
        train: Pairs; the maps are fitted to half of them, the copulas of variates to the others.
        valid: Pairs for the score.
    """
    most = min(train[0].shape[1], train[1].shape[1])
    if train[0].shape[1] + train[1].shape[1] <= MIN_DIMENSIONS:
        return None
    middle = len(train[0]) // 2
    found: list[ReductionChoice] = []
    for ridge in RIDGES:
        maps = CanonicalMaps.fit(train[0][:middle], train[1][:middle], ridge, max(RANKS))
        for rank in [rank for rank in RANKS if rank <= most and 4 * rank < middle]:
            reduced = maps.first(rank)
            variates = reduced(train[0][middle:], train[1][middle:])
            scores = CoordinateTransform.fit(*variates, "rank")
            copula = GaussianModel.fit(*scores(*variates), "rank")
            score = matching_score(copula, *scores(*reduced(*valid)))
            found.append(ReductionChoice(ridge, reduced, scores, copula, score))
    if not found:
        return None
    best = max(each.score for each in found)
    enough = [each for each in found if each.score >= best - TOLERANCE * max(best, 0.0)]
    rank = min(each.rank for each in enough)
    return max((each for each in enough if each.rank == rank), key=lambda each: each.score)


def _shrunk_whitening(values: Tensor, ridge: float) -> Tensor:
    """Returns the map to uncorrelated coordinates, (X, X), with a ridge on the variances."""
    covariance = values.T @ values / len(values)
    variances, vectors = torch.linalg.eigh(covariance)
    shrunk: Tensor = variances.clamp_min(0) + ridge * variances.mean() + TINY
    whitening: Tensor = vectors * shrunk.rsqrt()
    return whitening
