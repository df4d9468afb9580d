"""The Gaussian as a density model of pairs."""

__all__ = ["GaussianModel"]

from dataclasses import dataclass

import torch
from torch import Tensor

from ...choices import Transform
from ..gaussian_ratio import GaussianRatio

JITTER = 1e-9  # of the variances, for the draws of linearly dependent columns


@dataclass(frozen=True)
class GaussianModel:
    """A Gaussian with canonical correlations that are corrected for sampling noise."""

    ratio: GaussianRatio
    factor: Tensor  # Cholesky factor of the covariance, (D, D)
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
        both = torch.cat([x, z], dim=1)
        centred = both - both.mean(dim=0)
        covariance = centred.T @ centred / (len(both) - 1)
        size = x.shape[1]
        of_x, of_z = covariance[:size, :size], covariance[size:, size:]
        cross = of_x @ (ratio.of_x * ratio.correlations) @ ratio.of_z.T @ of_z
        covariance[:size, size:], covariance[size:, :size] = cross, cross.T
        scale = covariance.diagonal().clamp_min(torch.finfo(x.dtype).tiny)
        factor, failed = torch.linalg.cholesky_ex(covariance)
        jitter = JITTER
        while failed:  # linearly dependent columns
            factor, failed = torch.linalg.cholesky_ex(covariance + torch.diag(jitter * scale))
            jitter *= 10
        return cls(ratio, factor, transform)

    def log_ratio(self, x: Tensor, z: Tensor) -> Tensor:
        """Returns the log-ratios of N pairs, with shape (N,)."""
        return self.ratio.terms(x, z)

    def scores(self, x: Tensor, z: Tensor) -> Tensor:
        """Returns the log-ratios of x (M, X) against z (B, Z), with shape (M, B)."""
        return self.ratio.scores(x, z)

    def information(self, seed: int) -> float:  # a closed form needs no draws
        """Returns the mutual information of the model, in nats."""
        return self.ratio.information

    def draw(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Returns new pairs: x (count, X) and z (count, Z)."""
        generator = torch.Generator().manual_seed(seed)
        size = len(self.ratio.x_mean)
        noise = torch.randn(count, len(self.factor), generator=generator, dtype=self.factor.dtype)
        both = noise @ self.factor.T
        return both[:, :size] + self.ratio.x_mean, both[:, size:] + self.ratio.z_mean
