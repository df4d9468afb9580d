r"""Canonical variates of features, and their values on pairs to which they were not fitted.

Canonical correlation analysis finds the linear maps of two sets of features that are most
correlated. In principal coordinates with variances v, and with a ridge r, they are the singular
vectors of

.. math:: \mathrm{diag}(v_x + r)^{-1/2} \; \mathbb{E}[x z^\top] \;
    \mathrm{diag}(v_z + r)^{-1/2}.

Cross-fitting divides the pairs into folds; the variates of each fold come from maps fitted to the
other folds. As maps of different folds may be rotated against one another, each is turned towards
the maps of all pairs by one rotation for both x and z, which leaves their dependence as it is.

Shapes: N pairs, P principal coordinates, R variates.

References:
    | Relations between two sets of variates (Hotelling, 1936)
    | Canonical ridge and econometrics of joint production (Vinod, 1976)
    | A generalized solution of the orthogonal Procrustes problem (Schönemann, 1966)
"""

__all__ = ["CanonicalMaps", "Coordinates", "CrossFitted", "cross_fit", "folds"]

from dataclasses import dataclass

import torch
from torch import Tensor

FOLDS = 5
SHARES = 8  # parts of the pairs of a fold
MAX_TURNED = 2_000  # pairs that determine a rotation
TINY = 1e-12
SIGNIFICANT = 2.5  # standard errors of a correlation that is not noise


@dataclass(frozen=True)
class Coordinates:
    """Principal coordinates of pairs in random order."""

    x: Tensor  # (N, P)
    z: Tensor  # (N, P)
    x_variances: Tensor  # shares of the total variance, (P,)
    z_variances: Tensor

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: Tensor) -> "Coordinates":
        """Returns some of the pairs."""
        return Coordinates(self.x[rows], self.z[rows], self.x_variances, self.z_variances)


@dataclass(frozen=True)
class CanonicalMaps:
    """Linear maps of principal coordinates to canonical variates, most correlated first."""

    of_x: Tensor  # (P, R)
    of_z: Tensor  # (P, R)

    @classmethod
    def fit(cls, pairs: Coordinates, ridge: float, rank: int) -> "CanonicalMaps":
        """Fits the maps to pairs; the ridge is a share of the total variance."""
        of_x, of_z = ((each + ridge).rsqrt() for each in (pairs.x_variances, pairs.z_variances))
        cross = of_x[:, None] * (pairs.x.T @ pairs.z / len(pairs)) * of_z
        left, _, right = torch.linalg.svd(cross, full_matrices=False)
        of_x, of_z = of_x[:, None] * left[:, :rank], of_z[:, None] * right.T[:, :rank]
        spreads = [(pairs.x @ of_x).std(dim=0), (pairs.z @ of_z).std(dim=0)]
        return cls(of_x / (spreads[0] + TINY), of_z / (spreads[1] + TINY))

    def __call__(self, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the variates of x and of z, each with shape (N, R)."""
        return x @ self.of_x, z @ self.of_z

    def first(self, rank: int) -> "CanonicalMaps":
        """Returns the maps to the first variates."""
        return CanonicalMaps(self.of_x[:, :rank], self.of_z[:, :rank])

    def kept(self, numbers: list[int]) -> "CanonicalMaps":
        """Returns the maps to some variates."""
        return CanonicalMaps(self.of_x[:, numbers], self.of_z[:, numbers])

    def turned(self, towards: "CanonicalMaps", pairs: Coordinates) -> "CanonicalMaps":
        """Returns the maps, rotated to agree best with others on these pairs.

        If there are fewer others, the best subspace is kept.
        """
        own, others = self(pairs.x, pairs.z), towards(pairs.x, pairs.z)
        products = own[0].T @ others[0] + own[1].T @ others[1]
        left, _, right = torch.linalg.svd(products, full_matrices=False)
        rotation = left @ right
        return CanonicalMaps(self.of_x @ rotation, self.of_z @ rotation)


@dataclass(frozen=True)
class CrossFitted:
    """Variates of all pairs, each from maps that were fitted to other pairs."""

    x: Tensor  # (N, R)
    z: Tensor  # (N, R)
    maps: CanonicalMaps  # fitted to all pairs


def folds(count: int) -> Tensor:
    """Returns the fold of each pair, (N,); pairs must be in random order."""
    return torch.arange(count) % FOLDS


def cross_fit(
    pairs: Coordinates,
    ridge: float,
    rank: int,
    *,
    share: float = 1.0,
    towards: CanonicalMaps | None = None,
) -> CrossFitted:
    """Returns variates by cross-fitting.

    Arguments:
        pairs: Pairs in random order.
        ridge: A share of the total variance.
        rank: The number of variates that are fitted.
        share: Of the pairs of the other folds to which maps are fitted.
        towards: Maps to turn to. By default, they are fitted to all pairs, and only variates
            before the first one that does not correlate on held-out pairs are used: turning
            noise would fit it.
    """
    fold = folds(len(pairs))
    used = torch.arange(len(pairs)) // FOLDS % SHARES < SHARES * share
    rows = [((fold != number) & used).nonzero()[:, 0] for number in range(FOLDS)]
    held_out = [(fold == number).nonzero()[:, 0] for number in range(FOLDS)]
    found = [CanonicalMaps.fit(pairs.take(each), ridge, rank) for each in rows]
    if towards is None:
        rank = _significant(_joined(pairs, found, held_out))
        towards = CanonicalMaps.fit(pairs, ridge, rank)
    found = [
        maps.first(rank).turned(towards, pairs.take(each[:MAX_TURNED]))
        for maps, each in zip(found, rows, strict=True)
    ]
    x, z = _joined(pairs, found, held_out)
    return CrossFitted(x, z, towards)


def _joined(pairs: Coordinates, maps: list[CanonicalMaps], held_out: list[Tensor]) -> Tensor:
    """Returns the variates of each fold by its own maps, (2, N, R)."""
    joined = pairs.x.new_zeros(2, len(pairs), maps[0].of_x.shape[1])
    for fitted, rows in zip(maps, held_out, strict=True):
        joined[:, rows] = torch.stack(fitted(pairs.x[rows], pairs.z[rows]))
    return joined


def _significant(variates: Tensor) -> int:
    """Returns the number of variates before the first one that does not correlate; at least 1."""
    standardised = (variates - variates.mean(dim=1, keepdim=True)) / variates.std(
        dim=1, keepdim=True
    ).clamp_min(TINY)
    correlations = (standardised[0] * standardised[1]).mean(dim=0)
    noise = (correlations * variates.shape[1] ** 0.5 <= SIGNIFICANT).nonzero()
    return max(1, int(noise.min())) if len(noise) else variates.shape[2]
