"""Gaussian channels, whose mutual information is known."""

import math

import torch
from torch import Tensor
from torch.distributions import Independent, Normal

from mivae_cli.models.latent import DiagonalGaussian


class GaussianChannel:
    """z = gain x + noise, with x ~ N(0, I) and noise ~ N(0, scale^2 I), in `dim` dimensions."""

    def __init__(self, dim: int, scale: float, gain: float = 1.0) -> None:
        self.dim, self.scale, self.gain = dim, scale, gain

    @property
    def mutual_information(self) -> float:
        return 0.5 * self.dim * math.log(1 + (self.gain / self.scale) ** 2)

    def draw(self, size: int) -> tuple[Tensor, Tensor]:
        """Returns x and z, each with shape (size, dim)."""
        x = torch.randn(size, self.dim, dtype=torch.float64)
        return x, self.gain * x + self.scale * torch.randn_like(x)

    def log_ratios(self, x: Tensor, z: Tensor) -> Tensor:
        """Returns log q(z_j | x_i) / q(z_j), the optimal critic: (M, dim), (B, dim) -> (M, B)."""
        conditional = Independent(Normal(self.gain * x[:, None], self.scale), 1)
        spread = math.hypot(self.gain, self.scale)
        marginal = Independent(Normal(torch.zeros(self.dim, dtype=x.dtype), spread), 1)
        ratios: Tensor = conditional.log_prob(z) - marginal.log_prob(z)
        return ratios

    def posteriors(self, size: int) -> DiagonalGaussian:
        """Returns q(z | x) for `size` draws of x."""
        means = self.gain * torch.randn(size, self.dim, dtype=torch.float64)
        return DiagonalGaussian(means, torch.full_like(means, math.log(self.scale)))


def assert_near(terms: Tensor, truth: float, errors: float = 4.0) -> None:
    """Fails unless the mean of independent terms is within `errors` standard errors of the truth."""
    error = float(terms.std()) / math.sqrt(len(terms))
    assert abs(float(terms.mean()) - truth) < errors * error + 1e-9, (terms.mean(), truth, error)
