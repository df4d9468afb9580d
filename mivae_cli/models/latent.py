r"""The latent space: posteriors, the prior, and the head that predicts a posterior.

| :math:`q(z \mid x) = \mathcal{N}(\mu(x), \mathrm{diag}\, \sigma^2(x))`  posterior
| :math:`p(z) = \mathcal{N}(0, I)`                                        prior

Shapes: B sentences, F features, Z latent units.
"""

__all__ = ["DiagonalGaussian", "GaussianHead", "standard_normal_log_prob"]

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

LOG_2_PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class DiagonalGaussian:
    """A batch of Gaussians with diagonal covariance: the encoder's output."""

    mean: Tensor  # (B, Z)
    log_scale: Tensor  # (B, Z), the logarithm of the standard deviation

    def __len__(self) -> int:
        return len(self.mean)

    def __getitem__(self, index: Tensor | slice) -> "DiagonalGaussian":
        return DiagonalGaussian(self.mean[index], self.log_scale[index])

    @property
    def scale(self) -> Tensor:
        """The standard deviations, with shape (B, Z)."""
        return self.log_scale.exp()

    def rsample(
        self, generator: torch.Generator | None = None, count: int | None = None
    ) -> Tensor:
        r"""Draws :math:`z = \mu + \sigma \odot \varepsilon`, differentiable in both.

        Returns:
            One draw a sentence with shape (B, Z), or (count, B, Z) where a count is given.
        """
        shape = self.mean.shape if count is None else (count, *self.mean.shape)
        noise = torch.randn(
            shape, generator=generator, device=self.mean.device, dtype=self.mean.dtype
        )
        return self.mean + self.scale * noise

    def log_prob(self, z: Tensor) -> Tensor:
        r"""Returns :math:`\log q(z \mid x)` in nats, for z of shape (..., B, Z): (..., B)."""
        squares = ((z - self.mean) / self.scale).square()
        return -0.5 * (squares + 2 * self.log_scale + LOG_2_PI).sum(dim=-1)

    def rates(self) -> Tensor:
        r"""Returns :math:`\mathrm{KL}(q(z_k \mid x) \,\|\, p(z_k))` of each unit, (B, Z).

        .. math:: \tfrac{1}{2} (\mu^2 + \sigma^2 - 1) - \log \sigma
        """
        return 0.5 * (self.mean.square() + self.scale.square() - 1) - self.log_scale

    def parameters(self) -> Tensor:
        """Returns means and log scales side by side: all that z knows of x, (B, 2 Z)."""
        return torch.cat([self.mean, self.log_scale], dim=-1)

    @classmethod
    def of(cls, parameters: Tensor) -> "DiagonalGaussian":
        """Returns the Gaussians of such parameters, with shape (B, 2 Z)."""
        return cls(*parameters.chunk(2, dim=-1))

    def double(self) -> "DiagonalGaussian":
        """Returns the same Gaussians in double precision."""
        return DiagonalGaussian(self.mean.double(), self.log_scale.double())

    @classmethod
    def cat(cls, parts: Sequence["DiagonalGaussian"]) -> "DiagonalGaussian":
        """Joins batches end to end."""
        return cls(
            torch.cat([part.mean for part in parts]), torch.cat([part.log_scale for part in parts])
        )


def standard_normal_log_prob(z: Tensor) -> Tensor:
    r"""Returns :math:`\log p(z)` under the prior, in nats: from (..., Z) to (...)."""
    return -0.5 * (z.square() + LOG_2_PI).sum(dim=-1)


class GaussianHead(nn.Module):
    r"""Predicts :math:`\mu` and :math:`\log \sigma` as linear functions of features."""

    def __init__(self, features: int, latent_size: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 2 * latent_size)

    def forward(self, features: Tensor) -> DiagonalGaussian:
        """Returns the posterior of features with shape (B, F)."""
        mean, log_scale = self.linear(features).chunk(2, dim=-1)
        return DiagonalGaussian(mean, log_scale)
