r"""A spherical latent space: von Mises-Fisher posteriors and the uniform prior.

On the unit sphere :math:`S^{Z-1}`, with the same concentration :math:`\kappa` for all sentences,

| :math:`q(z \mid x) = e^{\kappa \mu(x) \cdot z} / M(\kappa) \cdot p(z)`  posterior
| :math:`p(z) = 1 / |S^{Z-1}|`                                            prior

where :math:`M(\kappa)` is the mean of :math:`e^{\kappa \mu \cdot z}` under the prior: the density
of the prior divided by the usual normaliser :math:`C_Z(\kappa)`,

.. math:: M(\kappa) = \Gamma(v + 1) \, (2 / \kappa)^v \, I_v(\kappa)
    = \sum_{k=0}^\infty \frac{(\kappa^2 / 4)^k}{k! \, (v + 1)_k}, \qquad v = Z / 2 - 1

The rate, :math:`\kappa A(\kappa) - \log M(\kappa)` with the mean resultant length
:math:`A = I_{v+1}(\kappa) / I_v(\kappa)`, is the same for every sentence, so it cannot collapse.

Shapes: B sentences, Z latent units, K components of the pair vectors.

References:
    | Simulation of the von Mises Fisher Distribution (Wood, 1994)
    | Hyperspherical Variational Auto-Encoders (Davidson et al., 2018)
    | Spherical Latent Spaces for Stable Variational Autoencoders (Xu & Durrett, 2018)
"""

__all__ = ["UniformSphere", "VonMisesFisher", "log_mean_exp_cosine", "resultant_length"]

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import normalize

from .latent import Posterior, Prior

ROUNDING = 1e-14  # variances below this are rounding errors, for kappa up to 100,000


@lru_cache
def log_mean_exp_cosine(concentration: float, size: int) -> float:
    r"""Returns :math:`\log M(\kappa)` in nats, from its series of positive terms.

    The largest term is at :math:`k \le \kappa / 2`. Beyond :math:`k = \kappa`, each term is less than
    a quarter of the previous one, so the truncation error is below double precision.
    """
    k = torch.arange(int(concentration) + 64, dtype=torch.float64)
    rising = torch.lgamma(k + size / 2) - math.lgamma(size / 2)
    terms = 2 * k * math.log(concentration / 2) - torch.lgamma(k + 1) - rising
    return float(terms.logsumexp(dim=0))


def resultant_length(concentration: float, size: int) -> float:
    r"""Returns :math:`A(\kappa) = |\mathbb{E} z| = d \log M / d \kappa`, between 0 and 1."""
    wider = log_mean_exp_cosine(concentration, size + 2)
    return concentration / size * math.exp(wider - log_mean_exp_cosine(concentration, size))


class UniformSphere(Prior):
    """The uniform distribution on the unit sphere."""

    def log_prob(self, z: Tensor) -> Tensor:
        r"""Returns :math:`-\log |S^{Z-1}|` in nats, for z of shape (..., Z) on the sphere: (...)."""
        half = self.size / 2
        return z.new_full(z.shape[:-1], math.lgamma(half) - math.log(2) - half * math.log(math.pi))

    def projected(self, z: Tensor) -> Tensor:
        """Returns z scaled to length 1, from (..., Z) to (..., Z)."""
        return normalize(z, dim=-1)


@dataclass(frozen=True)
class VonMisesFisher(Posterior):
    """A batch of B von Mises-Fisher distributions with the same concentration."""

    concentration: float  # kappa > 0

    @property
    def size(self) -> int:
        """The number Z of dimensions."""
        return self.mean.shape[-1]

    @property
    def prior(self) -> UniformSphere:
        """The uniform distribution on the sphere."""
        return UniformSphere(self.size)

    def rsample(
        self, generator: torch.Generator | None = None, count: int | None = None
    ) -> Tensor:
        r"""Returns samples of z, differentiable in :math:`\mu`.

        The noise has the first axis as its mean direction; a reflection maps that axis to
        :math:`\mu`.
        """
        shape = self.mean.shape if count is None else (count, *self.mean.shape)
        noise = self._noise(math.prod(shape[:-1]), generator).view(shape)
        first = torch.zeros_like(self.mean)
        first[:, 0] = 1.0
        normal = first - self.mean  # of the reflection; zero if mu is the first axis
        square = normal.square().sum(-1, keepdim=True).clamp_min(torch.finfo(normal.dtype).tiny)
        return noise - normal * (2 * (normal * noise).sum(-1, keepdim=True) / square)

    def _noise(self, count: int, generator: torch.Generator | None) -> Tensor:
        r"""Returns samples with the first axis as mean direction, with shape (count, Z).

        Wood's rejection sampling: with u uniform on the sphere and t its first coordinate,

        .. math:: z = \frac{(t + b, \sqrt{1 - b^2} \, u_{2:})}{1 + b t}, \qquad
            b = \frac{2 \kappa}{Z - 1 + \sqrt{(Z - 1)^2 + 4 \kappa^2}}

        has a density proportional to :math:`(1 - b z_1)^{1 - Z}`, and is accepted with probability
        :math:`\exp((Z - 1) [s / (1 + s) - \log(1 + s)])`, where s = b t.
        """
        free, like = self.size - 1, self.mean
        b = 2 * self.concentration / (free + math.hypot(free, 2 * self.concentration))
        found, missing = like.new_empty(count, self.size), torch.arange(count, device=like.device)
        while len(missing):
            rows = like.new_empty(len(missing), self.size)
            t, others = normalize(rows.normal_(generator=generator), dim=-1).split([1, free], 1)
            s = b * t
            log_accept = free * (s / (1 + s) - s.log1p())
            accepted = (rows[:, :1].uniform_(generator=generator).log() <= log_accept)[:, 0]
            proposal = torch.cat([t + b, math.sqrt((1 - b) * (1 + b)) * others], dim=1) / (1 + s)
            found[missing[accepted]] = proposal[accepted]
            missing = missing[~accepted]
        return found

    def widened(self, spread: float) -> "VonMisesFisher":
        r"""Returns distributions with concentration :math:`\kappa / s^2`.

        Around its mean, a concentrated distribution has a standard deviation of about
        :math:`1 / \sqrt{\kappa}` in each direction. With growing s, it becomes the prior.
        """
        return VonMisesFisher(self.mean, self.concentration / spread**2)

    def deviations(self, z: Tensor) -> Tensor:
        r"""Returns :math:`\lVert z - \mu \rVert / \sqrt{2 (1 - A)}`, from (..., B, Z) to (..., B).

        The denominator is the root mean square of the numerator under the posterior.
        """
        typical = 2 * (1 - resultant_length(self.concentration, self.size))
        apart = (z.double() - self.mean.double()).square().sum(dim=-1)
        return (apart / max(typical, ROUNDING)).sqrt()

    def log_prob(self, z: Tensor) -> Tensor:
        r"""Returns :math:`\log q(z \mid x)` in nats, for z of shape (..., B, Z): (..., B)."""
        log_ratio = self.concentration * (z * self.mean).sum(dim=-1) - self._log_mean
        return log_ratio + self.prior.log_prob(z)

    def rates(self) -> Tensor:
        r"""Returns :math:`\mathrm{KL}(q(z \mid x) \,\|\, p(z)) = \kappa A - \log M`, (B, 1)."""
        length = resultant_length(self.concentration, self.size)
        return self.mean.new_full((len(self), 1), self.concentration * length - self._log_mean)

    def scaled_means(self) -> Tensor:
        r"""Returns the means of z, divided by its total standard deviation, with shape (B, Z).

        Over sentences and samples, the variance of z in coordinate k is

        .. math:: \mathrm{Var}(z_k) = \mathrm{Var}_x(A \mu_k) + \mathbb{E}_x \mathrm{Var}(z_k \mid x),
            \qquad \mathrm{Var}(z_k \mid x) = \frac{A}{\kappa} (1 - \mu_k^2)
            + \Big( 1 - A^2 - \frac{Z - 1}{\kappa} A \Big) \mu_k^2

        so the variance of a scaled mean is the fraction of the variance that the sentence
        explains, as for a Gaussian whose aggregated posterior equals the prior. It is :math:`A^2`
        in every coordinate if directions are uniform, and 0 if all sentences have the same
        direction, for any :math:`\kappa`.
        """
        between, within = self._variances()
        tiny = torch.finfo(torch.float64).tiny
        scale = (between + within).clamp_min(tiny).sqrt()
        length = resultant_length(self.concentration, self.size)
        return length * self.mean.double() / scale

    def unit_rates(self) -> Tensor:
        r"""Returns the information of a Gaussian channel with each coordinate's variances, (Z,).

        .. math:: \tfrac{1}{2} \log \frac{\mathrm{Var}(z_k)}{\mathbb{E}_x \mathrm{Var}(z_k \mid x)}

        In nats. The rate itself does not divide into coordinates.
        """
        between, within = self._variances()
        return 0.5 * (between / within).log1p()

    def _variances(self) -> tuple[Tensor, Tensor]:
        """Returns each coordinate's variance between sentences, and its mean within them, (Z,)."""
        length = resultant_length(self.concentration, self.size)
        mean = self.mean.double()
        between = length**2 * mean.var(dim=0) if len(mean) > 1 else torch.zeros_like(mean[0])
        across = length / self.concentration
        along = max(0.0, 1 - length**2 - (self.size - 1) * across)
        squares = mean.square().mean(dim=0)
        within = across * (1 - squares) + along * squares
        return between, within.clamp_min(ROUNDING)

    def pair_vectors(self, z: Tensor) -> tuple[Tensor, Tensor]:
        r"""Returns vectors whose inner products are :math:`\log q(z_j \mid x_i)`; K = Z + 1."""
        constant = self.prior.log_prob(self.mean)[:, None] - self._log_mean
        of_x = torch.cat([self.concentration * self.mean, constant], dim=-1)
        z = z.flatten(0, -2)
        return of_x, torch.cat([z, torch.ones_like(z[:, :1])], dim=-1)

    def parameters(self) -> Tensor:
        """Returns the mean directions, (B, Z)."""
        return self.mean

    def with_parameters(self, parameters: Tensor) -> "VonMisesFisher":
        """Returns distributions with other mean directions, of shape (B, Z)."""
        return VonMisesFisher(parameters, self.concentration)

    def arrays(self) -> dict[str, Tensor]:
        """Returns the mean directions (B, Z) and the concentration () by name."""
        return {"mean": self.mean, "concentration": self.mean.new_tensor(self.concentration)}

    def double(self) -> "VonMisesFisher":
        """Returns the same distributions in double precision, with renormalised directions."""
        return self.mapped(lambda mean: normalize(mean.double(), dim=-1))

    def mapped(self, function: Callable[[Tensor], Tensor]) -> "VonMisesFisher":
        """Returns distributions with a function applied to the mean directions."""
        return self.with_parameters(function(self.mean))

    @classmethod
    def cat(cls, parts: Sequence["VonMisesFisher"]) -> "VonMisesFisher":
        """Concatenates batches with the same concentration."""
        return cls(torch.cat([part.mean for part in parts]), parts[0].concentration)

    @property
    def _log_mean(self) -> float:
        return log_mean_exp_cosine(self.concentration, self.size)
