r"""Features of many columns in principal coordinates, fitted without the other variable.

To linear features, random cosines may be added, :math:`\sqrt 2 \cos(w^\top x + b)`. If the
frequencies w are normal, their products average to a Gaussian kernel of two rows, so that linear
functions of the cosines approximate all smooth functions of the columns. Linear and cosine features
get the same total variance.

The features of x depend on no row of z, and so create no dependence, even on the rows to which
they were fitted.

Shapes: N rows, X columns, F random features, P principal coordinates.

References:
    | Random Features for Large-Scale Kernel Machines (Rahimi & Recht, 2007)
    | Randomized nonlinear component analysis (Lopez-Paz et al., 2014), for their canonical variates
"""

__all__ = ["FeatureKind", "PrincipalFeatures"]

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

SCALES = (1.0, 2.0, 4.0)  # of the kernels, times the median distance of two rows
COSINES = 100  # of each scale
MAX_COORDINATES = {"linear": 256, "cosine": 128}  # P
DISTANCE_ROWS = 400  # for the median distance
MAX_COVARIANCE_ROWS = 5_000  # for the principal axes
NEGLIGIBLE = 1e-9  # share of the variance below which an axis is dropped

FeatureKind = Literal["linear", "cosine"]


@dataclass(frozen=True)
class PrincipalFeatures:
    """Map of rows (N, X) to uncorrelated coordinates (N, P), largest variance first."""

    frequencies: Tensor | None  # (X, F); None for linear features
    phases: Tensor  # (F,)
    weights: tuple[float, float]  # of linear and cosine features
    centre: Tensor  # of the weighted features
    axes: Tensor  # (features, P)
    variances: Tensor  # share of the total variance of each coordinate, (P,)

    @classmethod
    def fit(cls, values: Tensor, kind: FeatureKind, seed: int) -> "PrincipalFeatures":
        """Fits the features to normal scores (N, X) in random order; at most 5,000 rows are used."""
        values = values[:MAX_COVARIANCE_ROWS]
        frequencies, phases = None, values.new_zeros(0)
        blocks = [values]
        if kind == "cosine":
            frequencies, phases = _frequencies(values, seed)
            blocks.append(_cosines(values, frequencies, phases))
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
        return cls(frequencies, phases, weights, centre, axes, variances)

    def __call__(self, values: Tensor) -> Tensor:
        """Returns the principal coordinates of normal scores (B, X), with shape (B, P)."""
        features = values * self.weights[0]
        if self.frequencies is not None:
            cosines = _cosines(values, self.frequencies, self.phases) * self.weights[1]
            features = torch.cat([features, cosines], dim=1)
        return (features - self.centre) @ self.axes


def _frequencies(values: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    distances = torch.pdist(values[:DISTANCE_ROWS])
    median = max(float(distances.median()), 1e-12)
    drawn = [
        torch.randn(values.shape[1], COSINES, generator=generator, dtype=values.dtype)
        / (scale * median)
        for scale in SCALES
    ]
    count = COSINES * len(SCALES)
    return torch.cat(drawn, dim=1), 2 * math.pi * torch.rand(count, generator=generator).double()


def _cosines(values: Tensor, frequencies: Tensor, phases: Tensor) -> Tensor:
    return math.sqrt(2) * torch.cos(values @ frequencies + phases)
