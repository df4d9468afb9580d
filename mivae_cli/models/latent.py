r"""The latent space: what a posterior and its prior can tell, and the Gaussian pair of them.

| :math:`q(z \mid x) = \mathcal{N}(\mu(x), \mathrm{diag}\, \sigma^2(x))`  posterior
| :math:`p(z) = \mathcal{N}(0, I)`                                        prior

The other pair is in `sphere`; what predicts a posterior from a sentence's features, in `heads`.

Shapes: B sentences, Z latent units, G groups of units whose rates are known apart (all Z of a
Gaussian's, one on the sphere), S draws a sentence, K factors of a pair's log-density.
"""

__all__ = ["LOG_2_PI", "DiagonalGaussian", "Posterior", "Prior", "StandardNormal"]

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor

LOG_2_PI = math.log(2 * math.pi)


class Prior(Protocol):
    """The distribution of z before anything is read."""

    def log_prob(self, z: Tensor) -> Tensor:
        r"""Returns :math:`\log p(z)` in nats, from (..., Z) to (...)."""

    def sample(
        self,
        count: int,
        generator: torch.Generator | None = None,
        device: torch.device | None = None,
    ) -> Tensor:
        """Draws latents, with shape (count, Z)."""

    def projected(self, z: Tensor) -> Tensor:
        """Returns the nearest latents that the prior allows, from (..., Z) to (..., Z)."""


class Posterior(Protocol):
    """A batch of posteriors: the encoder's output."""

    @property
    def mean(self) -> Tensor:
        """The point that stands for each posterior, with shape (B, Z)."""

    @property
    def prior(self) -> Prior:
        """The prior that its rates are taken from."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Tensor | slice) -> Self: ...

    def rsample(
        self, generator: torch.Generator | None = None, count: int | None = None
    ) -> Tensor:
        """Draws z, differentiable: (B, Z), or (count, B, Z) where a count is given."""

    def log_prob(self, z: Tensor) -> Tensor:
        r"""Returns :math:`\log q(z \mid x)` in nats, for z of shape (..., B, Z): (..., B)."""

    def rates(self) -> Tensor:
        r"""Returns what :math:`\mathrm{KL}(q(z \mid x) \,\|\, p(z))` is the sum of, (B, G)."""

    def scaled_means(self) -> Tensor:
        """Returns the means of z in units that make their variance comparable, (B, Z).

        A latent unit is active if its variance over sentences reaches a threshold
        (`metrics.active_units`).
        """

    def unit_rates(self) -> Tensor:
        """Returns the mean rate of each latent unit over the B sentences, in nats, (Z,)."""

    def pair_vectors(self, z: Tensor) -> tuple[Tensor, Tensor]:
        r"""Returns vectors whose inner products are :math:`\log q(z_j \mid x_i)`.

        Returns:
            Those of x, with shape (B, K), and of z of shape (..., M, Z), flattened: (M', K).
        """

    def parameters(self) -> Tensor:
        """Returns all that z knows of x, side by side, with shape (B, P)."""

    def with_parameters(self, parameters: Tensor) -> Self:
        """Returns posteriors that differ from these in their parameters, with shape (B, P)."""

    def arrays(self) -> dict[str, Tensor]:
        """Returns what describes the posteriors, by name."""

    def double(self) -> Self:
        """Returns the same posteriors in double precision."""

    def cpu(self) -> Self:
        """Returns the same posteriors in the processor's memory."""

    @classmethod
    def cat(cls, parts: Sequence[Self]) -> Self:
        """Joins batches end to end."""


@dataclass(frozen=True)
class StandardNormal:
    r""":math:`\mathcal{N}(0, I)` of so many units."""

    size: int

    def log_prob(self, z: Tensor) -> Tensor:
        r"""Returns :math:`\log p(z)` in nats, from (..., Z) to (...)."""
        return -0.5 * (z.square() + LOG_2_PI).sum(dim=-1)

    def sample(
        self,
        count: int,
        generator: torch.Generator | None = None,
        device: torch.device | None = None,
    ) -> Tensor:
        """Draws latents, with shape (count, Z)."""
        return torch.randn(count, self.size, generator=generator, device=device)

    def projected(self, z: Tensor) -> Tensor:
        """Returns z: every latent is allowed."""
        return z


@dataclass(frozen=True)
class DiagonalGaussian:
    """A batch of Gaussians with diagonal covariance."""

    mean: Tensor  # (B, Z)
    log_scale: Tensor  # (B, Z), the logarithm of the standard deviation

    def __len__(self) -> int:
        return len(self.mean)

    def __getitem__(self, index: Tensor | slice) -> "DiagonalGaussian":
        return DiagonalGaussian(self.mean[index], self.log_scale[index])

    @property
    def prior(self) -> StandardNormal:
        """The standard normal distribution."""
        return StandardNormal(self.mean.shape[-1])

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

    def scaled_means(self) -> Tensor:
        """Returns the means as they are: the prior has variance 1 in every unit, (B, Z)."""
        return self.mean

    def unit_rates(self) -> Tensor:
        """Returns the mean rate of each latent unit over the B sentences, in nats, (Z,)."""
        return self.rates().mean(dim=0)

    def pair_vectors(self, z: Tensor) -> tuple[Tensor, Tensor]:
        r"""Returns vectors whose inner products are :math:`\ell = \log q(z_j \mid x_i)`.

        .. math:: -2 \ell = z^2 \cdot \sigma^{-2} - 2 z \cdot \mu \sigma^{-2}
            + 1 \cdot (\mu^2 \sigma^{-2} + 2 \log \sigma + \log 2 \pi)

        summed over latent units. The squares nearly cancel: take double precision; the origin
        is put in the middle of the means.

        Returns:
            Those of x, with shape (B, 2 Z + 1), and of z, with shape (S B, 2 Z + 1).
        """
        centre = self.mean.mean(dim=0)
        mean, z = self.mean - centre, (z - centre).flatten(0, -2)
        precision = (-2 * self.log_scale).exp()
        constant = mean.square() * precision + 2 * self.log_scale + LOG_2_PI
        constant = constant.sum(-1, keepdim=True)
        of_x = torch.cat([precision, -2 * mean * precision, constant], dim=-1)
        return -0.5 * of_x, torch.cat([z.square(), z, torch.ones_like(z[:, :1])], dim=-1)

    def parameters(self) -> Tensor:
        """Returns means and log scales side by side: all that z knows of x, (B, 2 Z)."""
        return torch.cat([self.mean, self.log_scale], dim=-1)

    def with_parameters(self, parameters: Tensor) -> "DiagonalGaussian":
        """Returns the Gaussians of other parameters, with shape (B, 2 Z)."""
        return DiagonalGaussian(*parameters.chunk(2, dim=-1))

    def arrays(self) -> dict[str, Tensor]:
        """Returns means and standard deviations, with shape (B, Z) each."""
        return {"mean": self.mean, "scale": self.scale}

    def double(self) -> "DiagonalGaussian":
        """Returns the same Gaussians in double precision."""
        return DiagonalGaussian(self.mean.double(), self.log_scale.double())

    def cpu(self) -> "DiagonalGaussian":
        """Returns the same Gaussians in the processor's memory."""
        return DiagonalGaussian(self.mean.cpu(), self.log_scale.cpu())

    @classmethod
    def cat(cls, parts: Sequence["DiagonalGaussian"]) -> "DiagonalGaussian":
        """Joins batches end to end."""
        return cls(
            torch.cat([part.mean for part in parts]), torch.cat([part.log_scale for part in parts])
        )
