r"""A mixture of Gaussians as a density model of pairs, fitted by the EM algorithm.

Shapes: N pairs, M rows x, B columns z, X and Z coordinates, D = X + Z, K components.

References:
    | Maximum likelihood from incomplete data via the EM algorithm (Dempster, Laird & Rubin, 1977)
    | Bayesian regularization for normal mixture estimation (Fraley & Raftery, 2007), for the prior
      that keeps covariances regular
"""

__all__ = ["MixtureModel"]

import math
import warnings
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ...choices import Transform

ITERATIONS, TOLERANCE = 100, 1e-4  # of the EM algorithm; nats of mean log-likelihood
RIDGE = 1e-7  # times the variances of linearly dependent columns, which are about 1
PRIOR_SHARE = 0.1  # weight of the prior covariance, in pairs per coordinate and component
LLOYD_STEPS = 8  # of k-means, which starts the EM algorithm
LOG_2_PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class MixtureModel:
    """A Gaussian mixture over the concatenation of x and z."""

    log_weights: Tensor  # (K,)
    means: Tensor  # (K, D)
    covariances: Tensor  # (K, D, D)
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
        pairs, with the weight of D / 10 pairs. Starts from k-means, or from another mixture.
        """
        values = torch.cat([x, z], dim=1)
        size = values.shape[1]
        prior = torch.cov(values.T).reshape(size, size) / components ** (2 / size)
        ridge = RIDGE * torch.diag(prior.diagonal().clamp_min(1))
        prior_weight = PRIOR_SHARE * (size + 2)
        if start is None:
            shares = _clusters(values, components, seed)
        else:
            shares = start._component_log_densities(values, start._joint).softmax(dim=0)
        previous = -math.inf
        for _ in range(ITERATIONS):
            counts = shares.sum(dim=1)
            means = shares @ values / counts.clamp_min(1e-9)[:, None]
            covariances = torch.stack(
                [
                    (share[:, None] * (values - mean)).T @ (values - mean)
                    for share, mean in zip(shares, means, strict=True)
                ]
            )
            covariances = covariances + prior_weight * prior
            covariances = covariances / (counts + prior_weight)[:, None, None] + ridge
            weights = (counts + 1) / (counts + 1).sum()
            model = cls(weights.log(), means, covariances, x.shape[1], transform)
            logs = model._component_log_densities(values, model._joint)
            total = logs.logsumexp(dim=0)
            shares, likelihood = (logs - total).exp(), float(total.mean())
            if likelihood - previous < TOLERANCE:
                break
            previous = likelihood
        return model

    def log_ratio(self, x: Tensor, z: Tensor) -> Tensor:
        """Returns the log-ratios of N pairs, with shape (N,)."""
        joint = self._component_log_densities(torch.cat([x, z], dim=1), self._joint)
        return joint.logsumexp(dim=0) - self._of_x(x) - self._of_z(z)

    def scores(self, x: Tensor, z: Tensor) -> Tensor:
        """Returns the log-ratios of x (M, X) against z (B, Z), with shape (M, B)."""
        precisions = torch.cholesky_inverse(self._joint[1])
        size = self.x_size
        log_dets = self._joint[1].diagonal(dim1=1, dim2=2).log().sum(dim=1)
        constants = self.log_weights - log_dets - 0.5 * self.means.shape[1] * LOG_2_PI
        total = x.new_full((len(x), len(z)), -math.inf)
        for mean, precision, constant in zip(self.means, precisions, constants, strict=True):
            left, right = x - mean[:size], z - mean[size:]
            own_x = ((left @ precision[:size, :size]) * left).sum(dim=1)
            own_z = ((right @ precision[size:, size:]) * right).sum(dim=1)
            both = left @ precision[:size, size:] @ right.T
            both.mul_(-1).add_((constant - 0.5 * own_x)[:, None]).sub_(0.5 * own_z)
            torch.logaddexp(total, both, out=total)
        return total - self._of_x(x)[:, None] - self._of_z(z)

    def draw(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Returns new pairs: x (count, X) and z (count, Z)."""
        generator = torch.Generator().manual_seed(seed)
        weights = self.log_weights.exp()
        chosen = torch.multinomial(weights, count, replacement=True, generator=generator)
        size = self.means.shape[1]
        noise = torch.randn(count, size, 1, generator=generator, dtype=self.means.dtype)
        values = self.means[chosen]
        for component, factor in enumerate(self._joint[1]):
            rows = (chosen == component).nonzero()[:, 0]
            values[rows] += noise[rows, :, 0] @ factor.T
        return values[:, : self.x_size], values[:, self.x_size :]

    @cached_property
    def _joint(self) -> tuple[Tensor, Tensor]:
        return self.means, torch.linalg.cholesky(self.covariances)

    @cached_property
    def _margins(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """The means and Cholesky factors of the components of x, and of z."""
        of_x, of_z = slice(self.x_size), slice(self.x_size, None)
        return (
            (self.means[:, of_x], torch.linalg.cholesky(self.covariances[:, of_x, of_x])),
            (self.means[:, of_z], torch.linalg.cholesky(self.covariances[:, of_z, of_z])),
        )

    def _of_x(self, x: Tensor) -> Tensor:
        return self._component_log_densities(x, self._margins[0]).logsumexp(dim=0)

    def _of_z(self, z: Tensor) -> Tensor:
        return self._component_log_densities(z, self._margins[1]).logsumexp(dim=0)

    def _component_log_densities(self, values: Tensor, part: tuple[Tensor, Tensor]) -> Tensor:
        """Returns log weight plus log density of each component, with shape (K, N)."""
        means, factors = part
        rows = (values - means[:, None]).mT  # (K, d, N)
        squares = torch.linalg.solve_triangular(factors, rows, upper=False).square().sum(dim=1)
        log_dets = factors.diagonal(dim1=1, dim2=2).log().sum(dim=1)
        constants = self.log_weights - log_dets - 0.5 * values.shape[1] * LOG_2_PI
        logs: Tensor = constants[:, None] - 0.5 * squares
        return logs


def _clusters(values: Tensor, components: int, seed: int) -> Tensor:
    """Returns the shares of k-means clusters, with shape (K, N)."""
    from scipy.cluster.vq import kmeans2  # slow to import

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # empty clusters
        _, labels = kmeans2(values.numpy(), components, LLOYD_STEPS, minit="++", seed=seed)
    members = torch.nn.functional.one_hot(torch.from_numpy(labels).long(), components)
    return members.T.to(values.dtype)
