"""The Gaussian as a density model of pairs."""

__all__ = ["GaussianModel", "covariance_without_noise"]

from dataclasses import dataclass

import torch
from torch import Tensor

from ...choices import Transform
from ..gaussian_ratio import GaussianRatio, unbiased_gaussian_information

JITTER = 1e-9  # of the variances, for the draws of linearly dependent columns


@dataclass(frozen=True)
class GaussianModel:
    """A Gaussian with canonical correlations that are corrected for sampling noise."""

    ratio: GaussianRatio
    factor: Tensor  # Cholesky factor of the covariance, (D, D)
    unbiased: float  # information without the bias of the sample covariance, in nats
    transform: Transform

    @classmethod
    def fit(cls, x: Tensor, z: Tensor, transform: Transform) -> "GaussianModel":
        r"""Fits the Gaussian to pairs x (N, X) and z (N, Z).

        The covariance of x and z follows from the canonical directions A and B,
        :math:`\Sigma_{xz} = \Sigma_x A \, \mathrm{diag}(\rho) B^\top \Sigma_z`.

        Raises:
            DataError: There are not more pairs than coordinates.
        """
        ratio = GaussianRatio.fit(x, z, held_out=True)
        covariance = covariance_without_noise(x, z, ratio)
        scale = covariance.diagonal().clamp_min(torch.finfo(x.dtype).tiny)
        factor, failed = torch.linalg.cholesky_ex(covariance)
        jitter = JITTER
        while failed:  # linearly dependent columns
            factor, failed = torch.linalg.cholesky_ex(covariance + torch.diag(jitter * scale))
            jitter *= 10
        # pure noise has exactly 0 nats
        unbiased = unbiased_gaussian_information(x, z) if ratio.information else 0.0
        return cls(ratio, factor, unbiased, transform)

    def log_ratio(self, x: Tensor, z: Tensor) -> Tensor:
        """Returns the log-ratios of N pairs, with shape (N,)."""
        return self.ratio.terms(x, z)

    def scores(self, x: Tensor, z: Tensor) -> Tensor:
        """Returns the log-ratios of x (M, X) against z (B, Z), with shape (M, B)."""
        return self.ratio.scores(x, z)

    def information(self, seed: int) -> float:
        """Returns the mutual information of the model, a closed form without draws, in nats."""
        return self.ratio.information

    def unbiased_information(self, seed: int) -> float:
        """Returns the information without the bias of the sample covariance, in nats."""
        return self.unbiased

    def draw(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Returns new pairs: x (count, X) and z (count, Z)."""
        generator = torch.Generator().manual_seed(seed)
        size = len(self.ratio.x_mean)
        noise = torch.randn(count, len(self.factor), generator=generator, dtype=self.factor.dtype)
        both = noise @ self.factor.T
        return both[:, :size] + self.ratio.x_mean, both[:, size:] + self.ratio.z_mean


def covariance_without_noise(x: Tensor, z: Tensor, ratio: GaussianRatio) -> Tensor:
    """Returns the covariance of x and z with the canonical correlations of `ratio`, (D, D)."""
    both = torch.cat([x, z], dim=1)
    covariance = torch.cov(both.T).reshape(both.shape[1], both.shape[1])
    size = x.shape[1]
    of_x, of_z = covariance[:size, :size], covariance[size:, size:]
    cross = of_x @ (ratio.of_x * ratio.correlations) @ ratio.of_z.T @ of_z
    covariance[:size, size:], covariance[size:, :size] = cross, cross.T
    return covariance
