r"""Posterior heads: from the features of a sentence to its posterior.

Each is a linear layer followed by a parameterisation, which bounds the rate R of the posterior:

| gaussian           R >= 0
| batch-norm         the mean of R over a batch is at least :math:`\gamma^2 / 2` in each unit
| committed-rate     R is at least :math:`\delta` in each unit for each sentence
| von-mises-fisher   R is constant

Shapes: B sentences, F features, Z latent units. Rates are in nats.
"""

__all__ = [
    "BatchNormHead",
    "CommittedRateHead",
    "GaussianHead",
    "Head",
    "VonMisesFisherHead",
    "build_head",
    "build_prior",
    "committed_log_scales",
]

import math
from typing import assert_never

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from ..config.model import (
    BatchNormPosteriorConfig,
    CommittedRatePosteriorConfig,
    GaussianPosteriorConfig,
    Posterior,
    VonMisesFisherPosteriorConfig,
)
from .latent import DiagonalGaussian, Prior, StandardNormal
from .von_mises_fisher import UniformSphere, VonMisesFisher

MOMENTUM = 0.1  # of the moving averages, which cover about ten batches
VARIANCE_EPSILON = 1e-8  # added to a variance; small, because it reduces the minimum rate
SQUARE_EPSILON = 1e-6  # added to a squared mean: the square root has no gradient at 0


class GaussianHead(nn.Module):
    r"""Predicts :math:`\mu` and :math:`\log \sigma` as linear functions of features."""

    def __init__(self, features: int, latent_size: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 2 * latent_size)

    def forward(self, features: Tensor) -> DiagonalGaussian:
        """Returns the posteriors for features with shape (B, F)."""
        mean, log_scale = self.linear(features).chunk(2, dim=-1)
        return DiagonalGaussian(mean, log_scale)


class BatchNormHead(nn.Module):
    r"""Normalises :math:`\mu` over the batch to a fixed scale :math:`\gamma` and a learned shift c.

    With the output a of the linear layer, and its mean m and variance v over the batch, per unit,

    .. math:: \mu = \gamma \, \frac{a - m}{\sqrt{v}} + c, \qquad
        \mathbb{E} R = \tfrac{1}{2} \mathbb{E} \mu^2
        + \mathbb{E}[\tfrac{1}{2} (\sigma^2 - 1) - \log \sigma] \ge \tfrac{1}{2} (\gamma^2 + c^2)

    In evaluation, and for batches of one sentence, m and v are moving averages over the training
    batches.

    References:
        | A Batch Normalized Inference Network Keeps the KL Vanishing Away (Zhu et al., 2020)
    """

    running_mean: Tensor
    running_variance: Tensor
    batches: Tensor

    def __init__(self, config: BatchNormPosteriorConfig, features: int, latent_size: int) -> None:
        super().__init__()
        self.scale = config.scale
        self.linear = nn.Linear(features, 2 * latent_size)
        self.shift = nn.Parameter(torch.zeros(latent_size))
        self.register_buffer("running_mean", torch.zeros(latent_size))
        self.register_buffer("running_variance", torch.ones(latent_size))
        self.register_buffer("batches", torch.tensor(0))  # number of batches in the averages

    def forward(self, features: Tensor) -> DiagonalGaussian:
        """Returns the posteriors for features with shape (B, F); in training, updates averages."""
        output, log_scale = self.linear(features).chunk(2, dim=-1)
        mean, variance = self.running_mean, self.running_variance
        if self.training and len(output) > 1:
            mean, variance = output.mean(dim=0), output.var(dim=0, correction=0)
            unbiased = variance.detach() * len(output) / (len(output) - 1)
            self._update_averages(mean.detach(), unbiased)
        normal = (output - mean) / (variance + VARIANCE_EPSILON).sqrt()
        return DiagonalGaussian(self.scale * normal + self.shift, log_scale)

    def _update_averages(self, mean: Tensor, variance: Tensor) -> None:
        """Updates the moving averages; the first batches form a plain mean, without a start value."""
        self.batches += 1
        share = (1 / self.batches).clamp_min(MOMENTUM).to(mean.dtype)
        self.running_mean.lerp_(mean, share)
        self.running_variance.lerp_(variance, share)


class CommittedRateHead(nn.Module):
    r"""Constrains the rate of every unit to at least :math:`\delta`.

    :math:`\sigma` lies between the two roots of :math:`\frac{1}{2} (\sigma^2 - 1) - \log \sigma
    = \delta`, where a mean of 0 would give a lower rate. With the output a of the linear layer,

    .. math:: \mu = \sqrt{2 \delta + 1 + \log \sigma^2 - \sigma^2 + \max(0, a)}, \qquad
        R = \delta + \tfrac{1}{2} \max(0, a)

    This guarantees rate, not information: a posterior that is the same for all sentences satisfies
    it as well.

    References:
        | Preventing Posterior Collapse with delta-VAEs (Razavi et al., 2019)
    """

    def __init__(
        self, config: CommittedRatePosteriorConfig, features: int, latent_size: int
    ) -> None:
        super().__init__()
        self.rate = config.rate
        self.lowest, self.highest = committed_log_scales(config.rate)
        self.linear = nn.Linear(features, 2 * latent_size)

    def forward(self, features: Tensor) -> DiagonalGaussian:
        """Returns the posteriors for features with shape (B, F)."""
        excess, position = self.linear(features).chunk(2, dim=-1)
        log_scale = self.lowest + (self.highest - self.lowest) * position.sigmoid()
        # 2 delta + 1 + log sigma^2 - sigma^2; rounding may make it negative at the roots
        minimum = (2 * (self.rate + log_scale) - (2 * log_scale).expm1()).clamp_min(0)
        return DiagonalGaussian((minimum + excess.relu() + SQUARE_EPSILON).sqrt(), log_scale)


class VonMisesFisherHead(nn.Module):
    """Predicts the mean direction; the concentration is fixed (`von_mises_fisher`)."""

    def __init__(
        self, config: VonMisesFisherPosteriorConfig, features: int, latent_size: int
    ) -> None:
        super().__init__()
        self.concentration = config.concentration
        self.linear = nn.Linear(features, latent_size)

    def forward(self, features: Tensor) -> VonMisesFisher:
        """Returns the posteriors for features with shape (B, F)."""
        return VonMisesFisher(normalize(self.linear(features), dim=-1), self.concentration)


def committed_log_scales(rate: float) -> tuple[float, float]:
    r"""Returns the two roots l of :math:`\frac{1}{2} (e^{2 l} - 1) - l = \delta`.

    The left side is convex, so Newton's method converges monotonically from outside the roots.
    """
    lowest, highest = -rate - 0.5, math.sqrt(rate)  # outside the roots
    for _ in range(50):  # far from a root, steps are 1/2; near it, convergence is quadratic
        lowest -= (math.expm1(2 * lowest) / 2 - lowest - rate) / math.expm1(2 * lowest)
        highest -= (math.expm1(2 * highest) / 2 - highest - rate) / math.expm1(2 * highest)
    return lowest, highest


Head = GaussianHead | BatchNormHead | CommittedRateHead | VonMisesFisherHead


def build_head(config: Posterior, features: int, latent_size: int) -> Head:
    """Builds the head of a posterior configuration."""
    match config:
        case GaussianPosteriorConfig():
            return GaussianHead(features, latent_size)
        case BatchNormPosteriorConfig():
            return BatchNormHead(config, features, latent_size)
        case CommittedRatePosteriorConfig():
            return CommittedRateHead(config, features, latent_size)
        case VonMisesFisherPosteriorConfig():
            return VonMisesFisherHead(config, features, latent_size)
        case _:
            assert_never(config)


def build_prior(config: Posterior, latent_size: int) -> Prior:
    """Returns the prior of a posterior configuration."""
    if isinstance(config, VonMisesFisherPosteriorConfig):
        return UniformSphere(latent_size)
    return StandardNormal(latent_size)
