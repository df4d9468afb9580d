"""Strictly monotone maps of single coordinates, which do not change mutual information.

Shapes: N samples, B rows, X and Z coordinates.
"""

__all__ = ["CoordinateTransform"]

from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

import torch
from torch import Tensor

from ..choices import Transform
from .gaussian_ratio import NormalScores

Map = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class CoordinateTransform:
    """Maps of each coordinate of x and of z, fitted to the training pairs."""

    of_x: Map
    of_z: Map

    @classmethod
    def fit(cls, x: Tensor, z: Tensor, transform: Transform) -> "CoordinateTransform":
        """Fits the maps to training pairs x (N, X) and z (N, Z).

        The transform "rank" (normal scores) is exact for every Gaussian copula and robust to heavy
        tails, "standard" has mean 0 and variance 1, and "asinh" compresses heavy tails.
        """
        return cls(_map(x, transform), _map(z, transform))

    def __call__(self, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the critic's inputs for x and z."""
        return self.of_x(x), self.of_z(z)


def _map(samples: Tensor, transform: Transform) -> Map:
    match transform:
        case "rank":
            return NormalScores.of(samples)
        case "standard":
            return _standardising(samples)
        case "asinh":
            middle = samples.median(dim=0).values
            spread = (samples - middle).abs().median(dim=0).values
            spread = torch.where(spread > 0, spread, _spread(samples))

            def compressed(t: Tensor) -> Tensor:
                return torch.asinh((t - middle) / spread)

            standardise = _standardising(compressed(samples))
            return lambda t: standardise(compressed(t))
        case _:
            assert_never(transform)


def _standardising(samples: Tensor) -> Map:
    centre, spread = samples.mean(dim=0), _spread(samples)
    return lambda t: (t - centre) / spread


def _spread(samples: Tensor) -> Tensor:
    """Returns standard deviations; 1 for columns that are constant here but may vary elsewhere."""
    varies = samples.amax(dim=0) > samples.amin(dim=0)  # rounding gives constants a variance
    spread = samples.std(dim=0)
    return torch.where(varies & (spread > 0), spread, torch.ones_like(spread))
