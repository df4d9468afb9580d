r"""A mixture of Gaussians as a density model of pairs, fitted by the EM algorithm.

Shapes: N pairs, M rows x, B columns z, X and Z coordinates, D = X + Z, K components.
"""

__all__ = ["MixtureModel"]

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ...choices import Transform
from ..gaussian_components import PRIOR_SHARE, NormalComponents, QuadraticFeatures, clusters
from .model import DRAWS

ITERATIONS, TOLERANCE = 100, 1e-4  # of the EM algorithm; nats of mean log-likelihood
MANY = 10  # coordinates, above which the tolerance grows with their number
MAX_LOG_RATIO = 80.0  # of one component; its exponential is finite in single precision


@dataclass(frozen=True)
class MixtureModel:
    """A Gaussian mixture over the concatenation of x and z."""

    joint: NormalComponents
    x_size: int
    transform: Transform

    @classmethod
    def fit(
        cls,
        x: Tensor,
        z: Tensor,
        components: int,
        transform: Transform,
        seed: int,
        start: "MixtureModel | None" = None,
    ) -> "MixtureModel":
        r"""Fits the mixture to pairs x (N, X) and z (N, Z).

        Component covariances are shrunk towards :math:`K^{-2 / D}` times the covariance of all
        pairs, with the weight of (D + 2) / 10 pairs. Starts from k-means, or from another mixture.
        """
        values = torch.cat([x, z], dim=1)
        features, size = QuadraticFeatures(values), values.shape[1]
        prior = torch.cov(values.T).reshape(size, size) / components ** (2 / size)
        if start is None:
            shares = clusters(values, components, seed)
        else:
            shares = start.joint.log_densities(features).softmax(dim=1)
        previous = -math.inf
        for _ in range(ITERATIONS):
            joint = features.components(shares, prior, PRIOR_SHARE * (size + 2))
            logs = joint.log_densities(features)
            total = logs.logsumexp(dim=1)
            shares, likelihood = (logs - total[:, None]).exp_(), float(total.mean())
            if likelihood - previous < TOLERANCE * max(1, size / MANY):
                break
            previous = likelihood
        return cls(joint, x.shape[1], transform)

    def log_ratio(self, x: Tensor, z: Tensor) -> Tensor:
        """Returns the log-ratios of N pairs, with shape (N,)."""
        joint = self.joint.log_densities(torch.cat([x, z], dim=1)).logsumexp(dim=1)
        return joint - self._of_x(x) - self._of_z(z)

    def scores(self, x: Tensor, z: Tensor) -> Tensor:
        """Returns the log-ratios of x (M, X) against z (B, Z), with shape (M, B)."""
        size, joint = self.x_size, self.joint
        of_x, of_z = self._of_x(x), self._of_z(z)
        total = torch.zeros(len(x), len(z))
        ones = x.new_ones(max(len(x), len(z)), 1)
        parts = zip(joint.means, joint.precisions, joint.log_peaks, strict=True)
        for mean, precision, log_peak in parts:
            left, right = x - mean[:size], z - mean[size:]
            own_x = log_peak - of_x - 0.5 * ((left @ precision[:size, :size]) * left).sum(dim=1)
            own_z = -of_z - 0.5 * ((right @ precision[size:, size:]) * right).sum(dim=1)
            rows = torch.cat(
                [-left @ precision[:size, size:], own_x[:, None], ones[: len(x)]], dim=1
            )
            columns = torch.cat([right, ones[: len(z)], own_z[:, None]], dim=1)
            # large terms cancel in the product, so only its result is in single precision
            total += (rows @ columns.T).float().clamp_(max=MAX_LOG_RATIO).exp_()
        return total.log_().clamp_(min=-MAX_LOG_RATIO).to(x)

    def information(self, seed: int) -> float:
        """Returns the mutual information of the model in nats, by Monte Carlo."""
        return float(self.log_ratio(*self.draw(DRAWS, seed)).mean())

    def unbiased_information(self, seed: int) -> None:
        """Returns None: the bias of the fit has no closed form."""

    def draw(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Returns new pairs: x (count, X) and z (count, Z)."""
        _, values = self.joint.draw(count, torch.Generator().manual_seed(seed))
        return values[:, : self.x_size], values[:, self.x_size :]

    @cached_property
    def _margins(self) -> tuple[NormalComponents, NormalComponents]:
        """The components of x and of z."""
        size = self.x_size
        return self.joint.of_columns(slice(size)), self.joint.of_columns(slice(size, None))

    def _of_x(self, x: Tensor) -> Tensor:
        return self._margins[0].log_densities(x).logsumexp(dim=1)

    def _of_z(self, z: Tensor) -> Tensor:
        return self._margins[1].log_densities(z).logsumexp(dim=1)
