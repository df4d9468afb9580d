r"""Critics (energy functions) of the training loss: scores from features of x and samples of z.

The forward pass returns the whole score matrix :math:`s_{ij} = f(x_i, z_j)`. The optimal
critic is the pointwise mutual information up to a constant,
:math:`\log q(z \mid x) / q(z) + c` (Q 3).

Shapes: M rows of features, F features, B samples, Z latent units, H hidden units, m score width.
"""

__all__ = ["ConcatenatedCritic", "SeparableCritic", "build_critic"]

import math
from typing import assert_never

from torch import Tensor, nn
from torch.nn.functional import layer_norm

from ..config.model import ConcatenatedCriticConfig, Critic, SeparableCriticConfig
from ..estimators.critics import perceptron


class SeparableCritic(nn.Module):
    r"""Scores by inner products, :math:`f(x, z) = g(h)^\top k(z) / \sqrt{m}`.

    One matrix product scores all M B pairs. Both vectors are layer-normalised, so
    :math:`|f| \le \sqrt{m}`. Without this limit, the encoder could raise the bound forever by moving
    z in the direction in which the critic grows fastest, and training would diverge.
    """

    def __init__(self, config: SeparableCriticConfig, features: int, latent_size: int) -> None:
        super().__init__()
        self.of_features = _Network(features, config.hidden_size, config.score_size, norm=True)
        self.of_latents = _Network(latent_size, config.hidden_size, config.score_size)

    def forward(self, features: Tensor, z: Tensor) -> Tensor:
        """Returns the scores of features (M, F) against latents (B, Z), with shape (M, B)."""
        # rows with mean 0 and length sqrt(m)
        left, right = self.of_features(features), self.of_latents(z)  # (M, m) and (B, m)
        width = left.shape[1:]
        scores: Tensor = layer_norm(left, width) @ layer_norm(right, width).T
        return scores / math.sqrt(left.shape[1])


class ConcatenatedCritic(nn.Module):
    r"""Scores every pair with one network, :math:`f(x, z) = \mathrm{MLP}([h; z])`.

    Needs the time and memory of M B forward passes; only the first layer is shared.
    """

    def __init__(self, config: ConcatenatedCriticConfig, features: int, latent_size: int) -> None:
        super().__init__()
        size = config.hidden_size
        self.norm = nn.LayerNorm(features)
        self.of_features = nn.Linear(features, size)
        self.of_latents = nn.Linear(latent_size, size, bias=False)
        self.top = nn.Sequential(nn.ReLU(), nn.Linear(size, size), nn.ReLU(), nn.Linear(size, 1))

    def forward(self, features: Tensor, z: Tensor) -> Tensor:
        """Returns the scores of features (M, F) against latents (B, Z), with shape (M, B)."""
        left = self.of_features(self.norm(features))  # (M, H)
        right = self.of_latents(z)  # (B, H)
        scores: Tensor = self.top(left[:, None] + right)  # (M, B, 1)
        return scores[..., 0]


class _Network(nn.Module):
    """Two hidden layers with a linear skip connection."""

    def __init__(self, inputs: int, hidden: int, outputs: int, norm: bool = False) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(inputs) if norm else nn.Identity()
        self.around = nn.Linear(inputs, outputs)
        self.through = perceptron(inputs, hidden, outputs, nn.ReLU)

    def forward(self, inputs: Tensor) -> Tensor:
        inputs = self.norm(inputs)
        outputs: Tensor = self.around(inputs) + self.through(inputs)
        return outputs


def build_critic(
    config: Critic, features: int, latent_size: int
) -> SeparableCritic | ConcatenatedCritic:
    """Builds a critic with random weights."""
    match config:
        case SeparableCriticConfig():
            return SeparableCritic(config, features, latent_size)
        case ConcatenatedCriticConfig():
            return ConcatenatedCritic(config, features, latent_size)
        case _:
            assert_never(config)
