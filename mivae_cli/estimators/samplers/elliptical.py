r"""Normal and Student t distributions of x and z, with mutual information in closed form.

Shapes: B pairs, X and Z dimensions of x and z, D = X + Z.
"""

__all__ = ["CorrelatedGaussian", "DenseGaussian", "Independent", "SparseGaussian", "StudentT"]

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from ...errors import ConfigError
from .sampler import seeded_generator, standard_normal


@dataclass(frozen=True)
class _Gaussian(ABC):
    r"""Jointly normal x and z with mean 0.

    .. math:: I = \tfrac{1}{2} (\log \det \Sigma_x + \log \det \Sigma_z - \log \det \Sigma)
    """

    x_dim: int
    z_dim: int

    def __post_init__(self) -> None:
        if torch.linalg.cholesky_ex(self.covariance).info:
            raise ConfigError(
                f"{self}: the covariance is not positive definite; lower the correlation"
            )

    @property
    @abstractmethod
    def covariance(self) -> Tensor:
        """The covariance of the concatenation of x and z, with shape (D, D)."""

    @property
    def mutual_information(self) -> float:
        """I(x; z) in nats."""
        x, z = slice(self.x_dim), slice(self.x_dim, None)
        covariance = self.covariance
        parts = covariance[x, x].logdet() + covariance[z, z].logdet()
        return 0.5 * float(parts - covariance.logdet())

    def draw(self, size: int, seed: int) -> tuple[Tensor, Tensor]:
        """Returns `size` independent pairs: x (size, X) and z (size, Z)."""
        generator = seeded_generator(size, seed)
        noise = standard_normal(size, self.x_dim + self.z_dim, generator)
        both = noise @ torch.linalg.cholesky(self.covariance).T
        return both[:, : self.x_dim], both[:, self.x_dim :]

    def log_ratio(self, x: Tensor, z: Tensor) -> Tensor:
        """Returns log q(x, z) / (q(x) q(z)) of paired rows, with shape (B,)."""

        def log_prob(values: Tensor, part: slice) -> Tensor:
            mean = torch.zeros(values.shape[1], dtype=torch.float64)
            logs: Tensor = MultivariateNormal(mean, self.covariance[part, part]).log_prob(values)
            return logs

        joint = log_prob(torch.cat([x, z], dim=1), slice(None))
        return joint - log_prob(x, slice(self.x_dim)) - log_prob(z, slice(self.x_dim, None))


class Independent(_Gaussian):
    """Independent standard normal x and z: I = 0."""

    @property
    def covariance(self) -> Tensor:
        """The identity, with shape (D, D)."""
        return torch.eye(self.x_dim + self.z_dim, dtype=torch.float64)


@dataclass(frozen=True)
class DenseGaussian(_Gaussian):
    """Normals with variance 1 and the same correlation between all coordinates of x and z."""

    correlation: float = 0.5

    @property
    def covariance(self) -> Tensor:
        """1 on the diagonal and the correlation elsewhere, with shape (D, D)."""
        size = self.x_dim + self.z_dim
        return torch.full((size, size), self.correlation, dtype=torch.float64).fill_diagonal_(1)


@dataclass(frozen=True)
class SparseGaussian(_Gaussian):
    r"""Normals with variance 1, of which only the first P pairs (x_k, z_k) are correlated.

    .. math:: I = -\tfrac{P}{2} \log (1 - \rho^2)
    """

    pairs: int = 2
    correlation: float = 0.8

    def __post_init__(self) -> None:
        if not 0 <= self.pairs <= min(self.x_dim, self.z_dim):
            raise ConfigError(f"{self}: pairs must be between 0 and the dimensions of x and z")
        super().__post_init__()

    @property
    def covariance(self) -> Tensor:
        """The identity, with the correlation at the entries of the pairs, with shape (D, D)."""
        covariance = torch.eye(self.x_dim + self.z_dim, dtype=torch.float64)
        rows = torch.arange(self.pairs)
        covariance[rows, self.x_dim + rows] = self.correlation
        covariance[self.x_dim + rows, rows] = self.correlation
        return covariance


class CorrelatedGaussian(SparseGaussian):
    """Normals with variance 1, in which each pair (x_k, z_k) has correlation rho."""

    def __init__(self, dim: int, rho: float) -> None:
        super().__init__(dim, dim, pairs=dim, correlation=rho)

    @classmethod
    def of_information(cls, dim: int, nats: float) -> "CorrelatedGaussian":
        r"""Returns the sampler with I = `nats`: :math:`\rho^2 = 1 - e^{-2 I / X}`."""
        return cls(dim, math.sqrt(-math.expm1(-2 * nats / dim)))


@dataclass(frozen=True)
class StudentT:
    r"""Multivariate Student t with identity dispersion: x and z uncorrelated but dependent.

    Standard normals divided by the square root of a shared chi-square over its nu degrees of
    freedom. With :math:`a_k = (\nu + k) / 2` and :math:`g(k) = \log \Gamma(a_k) - a_k \psi(a_k)`,

    .. math:: I = g(0) + g(X + Z) - g(X) - g(Z)

    (Arellano-Valle, Contreras-Reyes & Genton, 2013).
    """

    x_dim: int
    z_dim: int
    dof: int

    def __post_init__(self) -> None:
        if self.dof < 1:
            raise ConfigError(f"{self}: dof must be at least 1")

    @property
    def mutual_information(self) -> float:
        """I(x; z) in nats."""
        dims = torch.tensor([0, self.x_dim + self.z_dim, self.x_dim, self.z_dim])
        half = (self.dof + dims.double()) / 2
        none, both, x, z = (half.lgamma() - half * half.digamma()).tolist()
        return float(none + both - x - z)

    def draw(self, size: int, seed: int) -> tuple[Tensor, Tensor]:
        """Returns `size` independent pairs: x (size, X) and z (size, Z)."""
        generator = seeded_generator(size, seed)
        noise = standard_normal(size, self.x_dim + self.z_dim, generator)
        chi_square = standard_normal(size, self.dof, generator).square().sum(1, keepdim=True)
        both = noise / (chi_square / self.dof).sqrt()
        return both[:, : self.x_dim], both[:, self.x_dim :]

    def log_ratio(self, x: Tensor, z: Tensor) -> Tensor:
        """Returns log q(x, z) / (q(x) q(z)) of paired rows, with shape (B,)."""

        def log_prob(squares: Tensor, dim: int) -> Tensor:  # but for factors that cancel
            half = (self.dof + dim) / 2
            constant = math.lgamma(half) - math.lgamma(self.dof / 2)
            return constant - half * (squares / self.dof).log1p()

        of_x, of_z = x.square().sum(1), z.square().sum(1)
        joint = log_prob(of_x + of_z, self.x_dim + self.z_dim)
        return joint - log_prob(of_x, self.x_dim) - log_prob(of_z, self.z_dim)
