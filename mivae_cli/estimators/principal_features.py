r"""Features of many columns in principal coordinates, fitted without the other variable.

To linear features of normal scores, nonlinear ones may be added. Additive features are cosines of
the ranks of single columns, :math:`\cos(k \pi \Phi(x_j)) / \sqrt k`; their linear functions
approximate sums of smooth functions of single columns. Random cosines are
:math:`\sqrt 2 \cos(w^\top x + b)`. If the frequencies w are normal, their products average to a
Gaussian kernel of two rows, so that their linear functions approximate all smooth functions of the
columns. Linear and nonlinear features get the same total variance.

The features of x depend on no row of z, and so create no dependence, even on the rows to which
they were fitted.

Shapes: N rows, X columns, F random features, P principal coordinates.

References:
    | Estimating Optimal Transformations for Multiple Regression and Correlation (Breiman & Friedman,
      1985), for sums of functions of single columns
    | Random Features for Large-Scale Kernel Machines (Rahimi & Recht, 2007)
    | Randomized nonlinear component analysis (Lopez-Paz et al., 2014), for their canonical variates
"""

__all__ = ["FeatureKind", "PrincipalFeatures"]

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

SCALES = (1.0, 2.0, 4.0)  # of the kernels, times the median distance of two rows
COSINES = 100  # of each scale
WAVES = 6  # cosines of each column
MAX_COORDINATES = {"linear": 256, "additive": 128, "cosine": 128}  # P
DISTANCE_ROWS = 400  # for the median distance
MAX_COVARIANCE_ROWS = 5_000  # for the principal axes
NEGLIGIBLE = 1e-9  # share of the variance below which an axis is dropped

FeatureKind = Literal["linear", "additive", "cosine"]


@dataclass(frozen=True)
class PrincipalFeatures:
    """Map of rows (N, X) to uncorrelated coordinates (N, P), largest variance first."""

    nonlinear: Callable[[Tensor], Tensor] | None  # features (B, F) of rows (B, X)
    weights: tuple[float, float]  # of linear and nonlinear features
    centre: Tensor  # of the weighted features
    axes: Tensor  # (features, P)
    variances: Tensor  # share of the total variance of each coordinate, (P,)

    @classmethod
    def fit(cls, values: Tensor, kind: FeatureKind, seed: int) -> "PrincipalFeatures":
        """Fits the features to normal scores (N, X) in random order; at most 5,000 rows are used."""
        values = values[:MAX_COVARIANCE_ROWS]
        nonlinear: Callable[[Tensor], Tensor] | None = None
        if kind == "additive":
            nonlinear = _waves
        elif kind == "cosine":
            nonlinear = _RandomCosines.fit(values, seed)
        blocks = [values] if nonlinear is None else [values, nonlinear(values)]
        spreads = [math.sqrt(max(float(block.var(dim=0).sum()), 1e-300)) for block in blocks]
        weights = 1 / spreads[0], 1 / spreads[-1]
        features = torch.cat(
            [block / by for block, by in zip(blocks, spreads, strict=True)], dim=1
        )
        centre = features.mean(dim=0)
        centred = features - centre
        variances, axes = torch.linalg.eigh(centred.T @ centred / len(centred))
        variances, axes = variances.flip(0), axes.flip(1)
        kept = variances[: MAX_COORDINATES[kind]] > NEGLIGIBLE * variances.sum()
        size = max(1, int(kept.sum()))
        variances, axes = variances[:size] / variances.sum(), axes[:, :size].contiguous()
        return cls(nonlinear, weights, centre, axes, variances)

    def __call__(self, values: Tensor) -> Tensor:
        """Returns the principal coordinates of normal scores (B, X), with shape (B, P)."""
        features = values * self.weights[0]
        if self.nonlinear is not None:
            features = torch.cat([features, self.nonlinear(values) * self.weights[1]], dim=1)
        return (features - self.centre) @ self.axes


def _waves(values: Tensor) -> Tensor:
    r"""Returns :math:`\cos(k \pi \Phi(x)) / \sqrt k` of every column x, from (B, X) to (B, F)."""
    angles = math.pi * torch.special.ndtr(values)
    waves = [torch.cos(k * angles) / math.sqrt(k) for k in range(1, WAVES + 1)]
    return torch.cat(waves, dim=1)


@dataclass(frozen=True)
class _RandomCosines:
    frequencies: Tensor  # (X, F)
    phases: Tensor  # (F,)

    @classmethod
    def fit(cls, values: Tensor, seed: int) -> "_RandomCosines":
        generator = torch.Generator().manual_seed(seed)
        distances = torch.pdist(values[:DISTANCE_ROWS])
        median = max(float(distances.median()), 1e-12)
        drawn = [
            torch.randn(values.shape[1], COSINES, generator=generator, dtype=values.dtype)
            / (scale * median)
            for scale in SCALES
        ]
        count = COSINES * len(SCALES)
        phases = 2 * math.pi * torch.rand(count, generator=generator).double()
        return cls(torch.cat(drawn, dim=1), phases)

    def __call__(self, values: Tensor) -> Tensor:
        return math.sqrt(2) * torch.cos(values @ self.frequencies + self.phases)
