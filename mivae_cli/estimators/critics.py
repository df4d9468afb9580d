r"""Critics for any pairs: the log-ratio of a density model plus a learned correction.

.. math:: f(x, z) = f_0(\tilde x, \tilde z) + c \, f_\psi(\tilde x, \tilde z)

The tildes are strictly monotone maps of single coordinates, which do not change the mutual
information. :math:`f_0` is the log-ratio of a density model fitted to the training pairs, such as
a Gaussian copula, and c starts at 0. Before training, the critic is therefore optimal for pairs of
this model; the network learns only the difference.

Shapes: M rows x, B columns z, X and Z coordinates, H hidden units, m width of the vectors of
the separable network.
"""

__all__ = ["PairCritic", "perceptron"]

import math
from typing import assert_never

import torch
from torch import Tensor, nn

from ..choices import PairNetwork
from .score_matrix import ScoreFunction

VECTORS = 64  # width of the separable network's vectors
LOW_DIMENSIONS, COSINES = 2, 8
ROWS_AT_ONCE = 256  # of the score matrix of the concatenated network


class PairCritic(nn.Module):
    """The log-ratio of a density model plus a network, on the outputs of a `coordinates.CoordinateTransform`."""

    def __init__(
        self,
        network: PairNetwork,
        x_size: int,
        z_size: int,
        hidden: int,
        start: ScoreFunction | None = None,
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
        learned: Tensor = self.scale * self.network(_features(x), _features(z))
        return learned if self.start is None else learned + self.start(x, z).float()


class _Separable(nn.Module):
    r"""Network :math:`g(x)^\top k(z) / \sqrt{m} + a(x) + b(z)`; one matrix product scores all pairs."""

    def __init__(self, x_size: int, z_size: int, hidden: int) -> None:
        super().__init__()
        self.of_x = perceptron(x_size, hidden, VECTORS + 1, nn.SiLU)
        self.of_z = perceptron(z_size, hidden, VECTORS + 1, nn.SiLU)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        left, right = self.of_x(x), self.of_z(z)
        inner = left[:, :-1] @ right[:, :-1].T / math.sqrt(VECTORS)
        scores: Tensor = inner + left[:, -1:] + right[:, -1]
        return scores


class _Bilinear(nn.Module):
    r"""Network :math:`[x; 1]^\top W [z; 1]`, without hidden layers; it rarely overfits."""

    def __init__(self, x_size: int, z_size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(x_size + 1, z_size + 1) / math.sqrt(x_size + 1))

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        return _with_one(x) @ self.weight @ _with_one(z).T


class _Concatenated(nn.Module):
    """Network of the concatenated x and z: M B forward passes that share the first layer."""

    def __init__(self, x_size: int, z_size: int, hidden: int) -> None:
        super().__init__()
        self.of_x = nn.Linear(x_size, hidden)
        self.of_z = nn.Linear(z_size, hidden, bias=False)
        self.top = nn.Sequential(
            nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, 1)
        )

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        left, right = self.of_x(x), self.of_z(z)
        rows = [self.top(part[:, None] + right)[..., 0] for part in left.split(ROWS_AT_ONCE)]
        return torch.cat(rows)


def perceptron(
    inputs: int, hidden: int, outputs: int, activation: type[nn.Module], bias: bool = True
) -> nn.Sequential:
    """Returns a network with two hidden layers; `bias` is that of its last layer."""
    first, second = nn.Linear(inputs, hidden), nn.Linear(hidden, hidden)
    last = nn.Linear(hidden, outputs, bias=bias)
    return nn.Sequential(first, activation(), second, activation(), last)


def _features(samples: Tensor) -> Tensor:
    r"""Returns the input features of the networks in single precision, with shape (B, F).

    These are the coordinates and their mean square, which networks learn slowly. For one or two
    coordinates, :math:`\cos(k \pi \Phi(t)), k = 1, \dots, 8`, are added to learn sharp edges; see
    Fourier Features Let Networks Learn High Frequency Functions in Low Dimensional Domains
    (Tancik et al., 2020).
    """
    features = [samples, samples.square().mean(dim=1, keepdim=True)]
    if samples.shape[1] <= LOW_DIMENSIONS:
        angles = math.pi * torch.special.ndtr(samples)
        features += [torch.cos(order * angles) for order in range(1, COSINES + 1)]
    return torch.cat(features, dim=1).float()


def _count(size: int) -> int:
    """Returns the number of features for a number of coordinates."""
    return size + 1 + (COSINES * size if size <= LOW_DIMENSIONS else 0)


def _with_one(samples: Tensor) -> Tensor:
    return torch.cat([samples, torch.ones_like(samples[:, :1])], dim=1)
