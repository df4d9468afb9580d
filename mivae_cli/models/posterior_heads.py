r"""Heads: from a sentence's features to its posterior.

Each is a linear layer, and a way to read what it says that leaves the rate R of the posterior
more or less of a choice:

| gaussian           R is free, down to 0
| batch-norm         the mean of R over a batch is :math:`\gamma^2 / 2` at least, each unit
| committed-rate     R is :math:`\delta` at least, each unit and each sentence
| von-mises-fisher   R is a constant

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

MOMENTUM = 0.1  # of the moving averages: about the last ten batches
SMALLEST_VARIANCE = 1e-8  # added to a batch's, hence little: it is taken from the least rate
SMALLEST_SQUARE = 1e-6  # added to a mean's, for the root has no slope at 0


class GaussianHead(nn.Module):
    r"""Predicts :math:`\mu` and :math:`\log \sigma` as linear functions of features."""

    def __init__(self, features: int, latent_size: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 2 * latent_size)

    def forward(self, features: Tensor) -> DiagonalGaussian:
        """Returns the posterior of features with shape (B, F)."""
        mean, log_scale = self.linear(features).chunk(2, dim=-1)
        return DiagonalGaussian(mean, log_scale)


class BatchNormHead(nn.Module):
    r"""Normalises :math:`\mu` over the batch to a fixed spread about a shift that is learned.

    With the batch's mean m and variance v of what the linear layer says, each unit,

    .. math:: \mu = \gamma \, \frac{a - m}{\sqrt{v}} + c, \qquad
        \mathbb{E} R = \tfrac{1}{2} \mathbb{E} \mu^2
        + \mathbb{E}[\tfrac{1}{2} (\sigma^2 - 1) - \log \sigma] \ge \tfrac{1}{2} (\gamma^2 + c^2)

    In evaluation, moving averages over the batches of training stand in for m and v; so they do
    for a sentence alone, which has no spread.

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
        self.register_buffer("batches", torch.tensor(0))  # that the averages have seen

    def forward(self, features: Tensor) -> DiagonalGaussian:
        """Returns the posterior of features with shape (B, F); in training, averages move."""
        said, log_scale = self.linear(features).chunk(2, dim=-1)
        mean, variance = self.running_mean, self.running_variance
        if self.training and len(said) > 1:
            mean, variance = said.mean(dim=0), said.var(dim=0, correction=0)
            self._follow(mean.detach(), variance.detach() * len(said) / (len(said) - 1))
        normal = (said - mean) / (variance + SMALLEST_VARIANCE).sqrt()
        return DiagonalGaussian(self.scale * normal + self.shift, log_scale)

    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        """Moves the averages, which at first are plain means: nothing of their start remains."""
        self.batches += 1
        share = (1 / self.batches).clamp_min(MOMENTUM).to(mean.dtype)
        self.running_mean.lerp_(mean, share)
        self.running_variance.lerp_(variance, share)


class CommittedRateHead(nn.Module):
    r"""Leaves a posterior no choice but a rate of :math:`\delta` at least, in every unit.

    :math:`\sigma` stays between the roots of :math:`\frac{1}{2} (\sigma^2 - 1) - \log \sigma
    = \delta`, so that a mean of 0 would not do, and with a of the linear layer

    .. math:: \mu = \sqrt{2 \delta + 1 + \log \sigma^2 - \sigma^2 + \max(0, a)}, \qquad
        R = \delta + \tfrac{1}{2} \max(0, a)

    What is committed is rate, not information: a posterior that is the same for all sentences
    keeps it as well.

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
        """Returns the posterior of features with shape (B, F)."""
        beyond, place = self.linear(features).chunk(2, dim=-1)
        log_scale = self.lowest + (self.highest - self.lowest) * place.sigmoid()
        # 2 delta + 1 + log sigma^2 - sigma^2, which rounding may put below 0 at the roots
        least = (2 * (self.rate + log_scale) - (2 * log_scale).expm1()).clamp_min(0)
        return DiagonalGaussian((least + beyond.relu() + SMALLEST_SQUARE).sqrt(), log_scale)


class VonMisesFisherHead(nn.Module):
    """Predicts a direction; how far z strays from it is fixed (`sphere`)."""

    def __init__(
        self, config: VonMisesFisherPosteriorConfig, features: int, latent_size: int
    ) -> None:
        super().__init__()
        self.concentration = config.concentration
        self.linear = nn.Linear(features, latent_size)

    def forward(self, features: Tensor) -> VonMisesFisher:
        """Returns the posterior of features with shape (B, F)."""
        return VonMisesFisher(normalize(self.linear(features), dim=-1), self.concentration)


def committed_log_scales(rate: float) -> tuple[float, float]:
    r"""Returns the two roots l of :math:`\frac{1}{2} (e^{2 l} - 1) - l = \delta`.

    The left side is convex, so that Newton's steps from outside the roots only come closer.

    Arguments:
        rate: The rate :math:`\delta > 0`.
    """
    lowest, highest = -rate - 0.5, math.sqrt(rate)  # there the left side is the larger
    for _ in range(50):  # far above its root, a step is of 1/2; near it, digits double
        lowest -= (math.expm1(2 * lowest) / 2 - lowest - rate) / math.expm1(2 * lowest)
        highest -= (math.expm1(2 * highest) / 2 - highest - rate) / math.expm1(2 * highest)
    return lowest, highest


Head = GaussianHead | BatchNormHead | CommittedRateHead | VonMisesFisherHead


def build_head(config: Posterior, features: int, latent_size: int) -> Head:
    """Builds the head that a configuration describes."""
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
    """Returns the prior that goes with a configuration's posterior."""
    if isinstance(config, VonMisesFisherPosteriorConfig):
        return UniformSphere(latent_size)
    return StandardNormal(latent_size)
