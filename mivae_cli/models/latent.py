r"""Interfaces of posteriors and priors, and the Gaussian pair.

| :math:`q(z \mid x) = \mathcal{N}(\mu(x), \mathrm{diag}\, \sigma^2(x))`  posterior
| :math:`p(z) = \mathcal{N}(0, I)`                                        prior

`von_mises_fisher` has the spherical pair; `posterior_heads` predicts posteriors from features.

Shapes: B sentences, Z latent units, G groups of units with separate rates (G = Z for a Gaussian,
1 on the sphere), N samples, K components of the pair vectors, P parameters.
"""

__all__ = ["LOG_2_PI", "DiagonalGaussian", "Posterior", "Prior", "StandardNormal"]

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

LOG_2_PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class Prior(ABC):
    """The prior p(z)."""

    size: int  # Z

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        r"""Returns :math:`\log p(z)` in nats, from (..., Z) to (...)."""

    @abstractmethod
    def projected(self, z: Tensor) -> Tensor:
        """Returns the nearest points in the support of the prior, from (..., Z) to (..., Z)."""

    def sample(
        self,
        count: int,
        generator: torch.Generator | None = None,
        device: torch.device | None = None,
    ) -> Tensor:
        """Returns samples of z, with shape (count, Z)."""
        return self.projected(torch.randn(count, self.size, generator=generator, device=device))


@dataclass(frozen=True)
class Posterior(ABC):
    """A batch of B posteriors q(z|x): the output of the encoder."""

    mean: Tensor  # (B, Z), the mean, or mean direction, of each posterior

    def __len__(self) -> int:
        return len(self.mean)

    def __getitem__(self, index: Tensor | slice) -> Self:
        return self.mapped(lambda parameters: parameters[index])

    @property
    @abstractmethod
    def prior(self) -> Prior:
        """The prior to which the rates refer."""

    @abstractmethod
    def rsample(
        self, generator: torch.Generator | None = None, count: int | None = None
    ) -> Tensor:
        """Returns reparameterised samples of z: (B, Z), or (count, B, Z) if count is given."""

    @abstractmethod
    def widened(self, spread: float) -> Self:
        """Returns posteriors with the same means and their scale multiplied by spread > 0."""

    @abstractmethod
    def deviations(self, z: Tensor) -> Tensor:
        r"""Returns the distances of z from the means, relative to those of samples of q(z|x).

        The mean square of this distance is 1 for :math:`z \sim q(z \mid x)`, and :math:`s^2` for
        samples of Gaussians widened by s. In double precision, from (..., B, Z) to (..., B).
        """

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        r"""Returns :math:`\log q(z \mid x)` in nats, for z of shape (..., B, Z): (..., B)."""

    @abstractmethod
    def rates(self) -> Tensor:
        r"""Returns the terms of :math:`\mathrm{KL}(q(z \mid x) \,\|\, p(z))` in nats, (B, G)."""

    def scaled_means(self) -> Tensor:
        """Returns the means, scaled so that their variances are comparable, (B, Z).

        A latent unit is active if this variance over sentences exceeds a threshold
        (`metrics.active_units`). A prior of variance 1 in every unit needs no scaling.
        """
        return self.mean

    def unit_rates(self) -> Tensor:
        """Returns the mean rate of each latent unit over the B sentences, in nats, (Z,)."""
        return self.rates().mean(dim=0)

    @abstractmethod
    def pair_vectors(self, z: Tensor) -> tuple[Tensor, Tensor]:
        r"""Returns vectors whose inner products are :math:`\log q(z_j \mid x_i)`.

        Arguments:
            z: Samples, with shape (..., Z), N in total.

        Returns:
            The vectors of x, with shape (B, K), and of z, with shape (N, K).
        """

    @abstractmethod
    def parameters(self) -> Tensor:
        """Returns the parameters that depend on x, with shape (B, P)."""

    @abstractmethod
    def with_parameters(self, parameters: Tensor) -> Self:
        """Returns the same kind of posteriors with other parameters, of shape (B, P)."""

    @abstractmethod
    def arrays(self) -> dict[str, Tensor]:
        """Returns the parameters by name, for export."""

    @abstractmethod
    def mapped(self, function: Callable[[Tensor], Tensor]) -> Self:
        """Returns posteriors with a function applied to the tensors that depend on x."""

    def double(self) -> Self:
        """Returns the same posteriors in double precision."""
        return self.mapped(Tensor.double)

    def cpu(self) -> Self:
        """Returns the same posteriors on the CPU."""
        return self.mapped(Tensor.cpu)

    @classmethod
    @abstractmethod
    def cat(cls, parts: Sequence[Self]) -> Self:
        """Concatenates batches."""


class StandardNormal(Prior):
    r""":math:`\mathcal{N}(0, I)`."""

    def log_prob(self, z: Tensor) -> Tensor:
        r"""Returns :math:`\log p(z)` in nats, from (..., Z) to (...)."""
        return -0.5 * (z.square() + LOG_2_PI).sum(dim=-1)

    def projected(self, z: Tensor) -> Tensor:
        """Returns z unchanged: the support is the whole space."""
        return z


@dataclass(frozen=True)
class DiagonalGaussian(Posterior):
    """A batch of B Gaussians with diagonal covariance."""

    log_scale: Tensor  # (B, Z), the logarithm of the standard deviation

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
        r"""Returns samples :math:`z = \mu + \sigma \odot \varepsilon`, differentiable in both."""
        shape = self.mean.shape if count is None else (count, *self.mean.shape)
        noise = torch.randn(
            shape, generator=generator, device=self.mean.device, dtype=self.mean.dtype
        )
        return self.mean + self.scale * noise

    def widened(self, spread: float) -> "DiagonalGaussian":
        r"""Returns Gaussians with standard deviations :math:`s \, \sigma`."""
        return DiagonalGaussian(self.mean, self.log_scale + math.log(spread))

    def deviations(self, z: Tensor) -> Tensor:
        r"""Returns :math:`\sqrt{\tfrac{1}{Z} \sum_k (z_k - \mu_k)^2 / \sigma_k^2}`, (..., B).

        It is the root mean square over units of the distance in standard deviations.
        """
        apart = z.double() - self.mean.double()
        scale = self.log_scale.double().exp()
        return torch.where(apart == 0, 0.0, apart / scale).square().mean(dim=-1).sqrt()

    def log_prob(self, z: Tensor) -> Tensor:
        r"""Returns :math:`\log q(z \mid x)` in nats, for z of shape (..., B, Z): (..., B)."""
        squares = ((z - self.mean) / self.scale).square()
        return -0.5 * (squares + 2 * self.log_scale + LOG_2_PI).sum(dim=-1)

    def rates(self) -> Tensor:
        r"""Returns :math:`\mathrm{KL}(q(z_k \mid x) \,\|\, p(z_k))` of each unit in nats, (B, Z).

        .. math:: \tfrac{1}{2} (\mu^2 + \sigma^2 - 1) - \log \sigma
        """
        return 0.5 * (self.mean.square() + self.scale.square() - 1) - self.log_scale

    def pair_vectors(self, z: Tensor) -> tuple[Tensor, Tensor]:
        r"""Returns vectors whose inner products are :math:`\ell = \log q(z_j \mid x_i)`.

        .. math:: -2 \ell = z^2 \cdot \sigma^{-2} - 2 z \cdot \mu \sigma^{-2}
            + 1 \cdot (\mu^2 \sigma^{-2} + 2 \log \sigma + \log 2 \pi)

        summed over latent units, with K = 2 Z + 1 components. The squares nearly cancel, so use
        double precision; centring the means reduces the cancellation.
        """
        centre = self.mean.mean(dim=0)
        mean, z = self.mean - centre, (z - centre).flatten(0, -2)
        precision = (-2 * self.log_scale).exp()
        constant = mean.square() * precision + 2 * self.log_scale + LOG_2_PI
        constant = constant.sum(-1, keepdim=True)
        of_x = torch.cat([precision, -2 * mean * precision, constant], dim=-1)
        return -0.5 * of_x, torch.cat([z.square(), z, torch.ones_like(z[:, :1])], dim=-1)

    def parameters(self) -> Tensor:
        """Returns means and log scales, concatenated: (B, 2 Z)."""
        return torch.cat([self.mean, self.log_scale], dim=-1)

    def with_parameters(self, parameters: Tensor) -> "DiagonalGaussian":
        """Returns Gaussians with other means and log scales, of shape (B, 2 Z)."""
        return DiagonalGaussian(*parameters.chunk(2, dim=-1))

    def arrays(self) -> dict[str, Tensor]:
        """Returns means and standard deviations by name, with shape (B, Z) each."""
        return {"mean": self.mean, "scale": self.scale}

    def mapped(self, function: Callable[[Tensor], Tensor]) -> "DiagonalGaussian":
        """Returns Gaussians with a function applied to means and log scales."""
        return DiagonalGaussian(function(self.mean), function(self.log_scale))

    @classmethod
    def cat(cls, parts: Sequence["DiagonalGaussian"]) -> "DiagonalGaussian":
        """Concatenates batches."""
        return cls(
            torch.cat([part.mean for part in parts]), torch.cat([part.log_scale for part in parts])
        )
