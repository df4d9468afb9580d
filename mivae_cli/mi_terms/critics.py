r"""Critics (energy functions): from features of x and samples of z to scores.

A critic's forward pass gives the whole score matrix :math:`s_{ij} = f(x_i, z_j)`. The optimal
critic is the pointwise mutual information up to a constant,
:math:`\log q(z \mid x) / q(z) + c` (Q 3).

Shapes: M rows of features, F features, B samples, Z latent units, H hidden units, m score
vectors' width.
"""

__all__ = ["ConcatenatedCritic", "SeparableCritic", "build_critic"]

import math
from typing import assert_never

from torch import Tensor, nn

from ..config.model import ConcatenatedCriticConfig, Critic, SeparableCriticConfig


class SeparableCritic(nn.Module):
    r"""Scores by inner products, :math:`f(x, z) = g(h)^\top k(z) / \sqrt{m}`.

    All M B pairs cost one matrix product. Both vectors are layer-normalised, so that
    :math:`|f| \le \sqrt{m}`: without a limit the encoder can raise the bound for ever by
    moving z to where the critic grows fastest, and training breaks down.
    """

    def __init__(self, config: SeparableCriticConfig, features: int, latent_size: int) -> None:
        super().__init__()
        self.of_features = _Network(features, config.hidden_size, config.score_size, norm=True)
        self.of_latents = _Network(latent_size, config.hidden_size, config.score_size)

    def forward(self, features: Tensor, z: Tensor) -> Tensor:
        """Returns the scores of features (M, F) against latents (B, Z), with shape (M, B)."""
        left = _normalised(self.of_features(features))  # (M, m)
        right = _normalised(self.of_latents(z))  # (B, m)
        return left @ right.T / math.sqrt(left.shape[-1])


class ConcatenatedCritic(nn.Module):
    r"""Scores every pair with one network, :math:`f(x, z) = \mathrm{MLP}([h; z])`.

    Costs M B forward passes and as much memory; the first layer alone is shared.
    """

    def __init__(self, config: ConcatenatedCriticConfig, features: int, latent_size: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(features)
        self.of_features = nn.Linear(features, config.hidden_size)
        self.of_latents = nn.Linear(latent_size, config.hidden_size, bias=False)
        self.top = nn.Sequential(
            nn.ReLU(),
            nn.Linear(config.hidden_size, config.hidden_size),
            nn.ReLU(),
            nn.Linear(config.hidden_size, 1),
        )

    def forward(self, features: Tensor, z: Tensor) -> Tensor:
        """Returns the scores of features (M, F) against latents (B, Z), with shape (M, B)."""
        left = self.of_features(self.norm(features))  # (M, H)
        right = self.of_latents(z)  # (B, H)
        scores: Tensor = self.top(left[:, None] + right)  # (M, B, 1)
        return scores[..., 0]


class _Network(nn.Module):
    """Two hidden layers and a linear way around them."""

    def __init__(self, inputs: int, hidden: int, outputs: int, norm: bool = False) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(inputs) if norm else nn.Identity()
        self.around = nn.Linear(inputs, outputs)
        self.through = nn.Sequential(
            nn.Linear(inputs, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, outputs),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        inputs = self.norm(inputs)
        outputs: Tensor = self.around(inputs) + self.through(inputs)
        return outputs


def _normalised(vectors: Tensor) -> Tensor:
    """Gives each row mean 0 and length sqrt(m)."""
    return nn.functional.layer_norm(vectors, vectors.shape[-1:])


def build_critic(
    config: Critic, features: int, latent_size: int
) -> SeparableCritic | ConcatenatedCritic:
    """Builds a critic with freshly drawn weights."""
    match config:
        case SeparableCriticConfig():
            return SeparableCritic(config, features, latent_size)
        case ConcatenatedCriticConfig():
            return ConcatenatedCritic(config, features, latent_size)
        case _:
            assert_never(config)
