r"""Critics for any pairs: what a Gaussian copula knows of them, plus what a network learns.

.. math:: f(x, z) = f_0(\tilde x, \tilde z) + c \, f_\psi(\tilde x, \tilde z)

where the tildes stand for a coordinate-wise monotone change of view, which leaves the mutual
information as it is, :math:`f_0` is the log-ratio of the Gaussian fitted to the training pairs,
and c starts at 0: before its first step the critic is exact for a Gaussian copula, and all that
it learns is what that misses.

Shapes: M rows x, B columns z, X and Z coordinates, H hidden units, m width of the vectors of
the separable network.
"""

__all__ = ["CoordinateTransform", "PairCritic"]

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

import torch
from torch import Tensor, nn

from ..choices import PairNetwork, Transform
from .gaussian_copula import GaussianRatio, NormalScores

VECTORS = 64  # width of the separable network's vectors
LOW_DIMENSIONS, COSINES = 2, 8
AT_ONCE = 256  # rows of pairs that the concatenated network takes

Map = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class CoordinateTransform:
    """How x and z are seen: maps of each coordinate, fitted on the training pairs."""

    of_x: Map
    of_z: Map

    @classmethod
    def fit(cls, x: Tensor, z: Tensor, transform: Transform) -> "CoordinateTransform":
        """Fits it.

        Arguments:
            x: Training samples, with shape (N, X).
            z: The same, with shape (N, Z).
            transform: rank (normal scores: exact for every Gaussian copula, safe with heavy
                tails), standard (mean 0 and variance 1) or asinh (heavy tails drawn in).
        """
        return cls(_map(x, transform), _map(z, transform))

    def __call__(self, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Returns x and z as the critic reads them."""
        return self.of_x(x), self.of_z(z)


class PairCritic(nn.Module):
    """The fitted Gaussian's log-ratio plus a network, on samples as a `CoordinateTransform` shows them."""

    def __init__(
        self,
        network: PairNetwork,
        x_size: int,
        z_size: int,
        hidden: int,
        start: GaussianRatio | None = None,
    ) -> None:
        super().__init__()
        self.start = start
        self.scale = nn.Parameter(torch.zeros(()))
        x_size, z_size = _count(x_size), _count(z_size)
        match network:
            case "separable":
                self.network: nn.Module = _Separable(x_size, z_size, hidden)
            case "bilinear":
                self.network = _Bilinear(x_size, z_size)
            case "concatenated":
                self.network = _Concatenated(x_size, z_size, hidden)
            case _:
                assert_never(network)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """Returns the scores of x (M, X) against z (B, Z), with shape (M, B)."""
        learned: Tensor = self.network(_features(x), _features(z))
        learned = self.scale * learned
        return learned if self.start is None else learned + self.start.scores(x, z)


class _Separable(nn.Module):
    r""":math:`g(x)^\top k(z) / \sqrt{m} + a(x) + b(z)`: all pairs for one matrix product."""

    def __init__(self, x_size: int, z_size: int, hidden: int) -> None:
        super().__init__()
        self.of_x = _perceptron(x_size, hidden, VECTORS + 1)
        self.of_z = _perceptron(z_size, hidden, VECTORS + 1)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        left, right = self.of_x(x), self.of_z(z)
        inner = left[:, :-1] @ right[:, :-1].T / math.sqrt(VECTORS)
        scores: Tensor = inner + left[:, -1:] + right[:, -1]
        return scores


class _Bilinear(nn.Module):
    r""":math:`[x; 1]^\top W [z; 1]`: no hidden layer, little to overfit with."""

    def __init__(self, x_size: int, z_size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(x_size + 1, z_size + 1) / math.sqrt(x_size + 1))

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        return _with_one(x) @ self.weight @ _with_one(z).T


class _Concatenated(nn.Module):
    """One network of both: M B forward passes, sharing the first layer."""

    def __init__(self, x_size: int, z_size: int, hidden: int) -> None:
        super().__init__()
        self.of_x = nn.Linear(x_size, hidden)
        self.of_z = nn.Linear(z_size, hidden, bias=False)
        self.top = nn.Sequential(
            nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, 1)
        )

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        left, right = self.of_x(x), self.of_z(z)
        rows = [self.top(part[:, None] + right)[..., 0] for part in left.split(AT_ONCE)]
        return torch.cat(rows)


def _perceptron(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, hidden),
        nn.SiLU(),
        nn.Linear(hidden, hidden),
        nn.SiLU(),
        nn.Linear(hidden, outputs),
    )


def _features(samples: Tensor) -> Tensor:
    r"""Returns what networks read of samples, in single precision, with shape (B, F).

    The coordinates; their mean square, which networks find late; and of one or two coordinates
    also :math:`\cos(k \pi \Phi(t)), k = 1, \dots, 8`, without which sharp edges stay blurred.

    References:
        | Fourier Features Let Networks Learn High Frequency Functions in Low Dimensional Domains
          (Tancik et al., 2020)
    """
    features = [samples, samples.square().mean(dim=1, keepdim=True)]
    if samples.shape[1] <= LOW_DIMENSIONS:
        angles = math.pi * torch.special.ndtr(samples)
        features += [torch.cos(order * angles) for order in range(1, COSINES + 1)]
    return torch.cat(features, dim=1).float()


def _count(size: int) -> int:
    """Returns how many features so many coordinates have."""
    return size + 1 + (COSINES * size if size <= LOW_DIMENSIONS else 0)


def _with_one(samples: Tensor) -> Tensor:
    return torch.cat([samples, torch.ones_like(samples[:, :1])], dim=1)


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

            def drawn_in(t: Tensor) -> Tensor:
                return torch.asinh((t - middle) / spread)

            standardise = _standardising(drawn_in(samples))
            return lambda t: standardise(drawn_in(t))
        case _:
            assert_never(transform)


def _standardising(samples: Tensor) -> Map:
    centre, spread = samples.mean(dim=0), _spread(samples)
    return lambda t: (t - centre) / spread


def _spread(samples: Tensor) -> Tensor:
    """Returns standard deviations; 1 for constants, which other pairs may not share."""
    varies = samples.amax(dim=0) > samples.amin(dim=0)  # rounding gives constants a variance
    spread = samples.std(dim=0)
    return torch.where(varies & (spread > 0), spread, torch.ones_like(spread))
