r"""Mixtures of normals, with mutual information integrated on grids.

Shapes: B pairs, X and Z dimensions of x and z, D = X + Z, K components.
"""

__all__ = ["GaussianMixture"]

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from ...errors import ConfigError
from .sampler import check_probabilities, seeded_generator, standard_normal

TOLERANCE = 1e-7  # nats; of the last two grids; the error of the finer one is far smaller
REACH = 8.0  # standard deviations covered by a grid; the mass outside is 1e-15
MIN_NODES = 24  # of a grid, per dimension
MAX_NODES = 2**22  # of a grid, in total
BLOCK = 2**14  # nodes of a grid evaluated at a time


@dataclass(frozen=True)
class GaussianMixture:
    """A mixture of normals in 2 or 3 dimensions D, with mutual information integrated on grids.

    Arguments:
        weights: The probabilities of the K components.
        means: K means of the concatenation of x and z, with D numbers each.
        covariances: K covariances, with D rows and columns each.
        x_dim: The number of dimensions of x, which come first.
    """

    weights: tuple[float, ...]
    means: tuple[tuple[float, ...], ...]
    covariances: tuple[tuple[tuple[float, ...], ...], ...]
    x_dim: int = 1

    def __post_init__(self) -> None:
        _, covariances, weights = self._tensors()
        check_probabilities(weights, "the weights")
        broken = torch.linalg.cholesky_ex(covariances).info.any()
        if broken or not torch.equal(covariances, covariances.mT):
            raise ConfigError("covariances must be symmetric, positive definite matrices")

    @property
    def z_dim(self) -> int:
        """Z, the dimensions of z."""
        return len(self.means[0]) - self.x_dim

    @cached_property
    def mutual_information(self) -> float:
        """I(x; z) in nats, with an error below 1e-7.

        Raises:
            ConfigError: The largest grid is too coarse, because there are too many dimensions or
                the components differ too much in width.
        """
        # two coarse grids in a row could miss a much narrower component
        factors = torch.linalg.cholesky(self._tensors()[1])
        steps = torch.linalg.solve_triangular(factors[:, None], factors, upper=False)
        widest = float(torch.linalg.matrix_norm(steps, ord=2).max())  # in deviations of the others
        previous, nodes = math.inf, math.ceil(MIN_NODES * widest)
        while nodes ** (self.x_dim + self.z_dim) <= MAX_NODES:
            value = self._integral(nodes)
            if abs(value - previous) < TOLERANCE:
                return value
            previous, nodes = value, math.ceil(1.5 * nodes)
        raise ConfigError(
            f"cannot integrate this mixture in {self.x_dim + self.z_dim} dimensions on a grid; use "
            "fewer dimensions, or components of similar width"
        )

    def draw(self, size: int, seed: int) -> tuple[Tensor, Tensor]:
        """Returns `size` independent pairs: x (size, X) and z (size, Z)."""
        generator = seeded_generator(size, seed)
        means, covariances, weights = self._tensors()
        chosen = torch.multinomial(weights, size, replacement=True, generator=generator)
        noise = standard_normal(size, self.x_dim + self.z_dim, generator=generator)[..., None]
        both = means[chosen] + (torch.linalg.cholesky(covariances)[chosen] @ noise).squeeze(2)
        return both[:, : self.x_dim], both[:, self.x_dim :]

    def log_ratio(self, x: Tensor, z: Tensor) -> Tensor:
        """Returns log q(x, z) / (q(x) q(z)) of paired rows, with shape (B,)."""
        means, covariances, weights = self._tensors()

        def log_prob(values: Tensor, part: slice) -> Tensor:
            components = MultivariateNormal(means[:, part], covariances[:, part, part])
            logs: Tensor = components.log_prob(values[:, None]) + weights.log()  # (B, K)
            return logs.logsumexp(1)

        joint = log_prob(torch.cat([x, z], dim=1), slice(None))
        return joint - log_prob(x, slice(self.x_dim)) - log_prob(z, slice(self.x_dim, None))

    def _tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        return (
            torch.tensor(self.means, dtype=torch.float64),
            torch.tensor(self.covariances, dtype=torch.float64),
            torch.tensor(self.weights, dtype=torch.float64),
        )

    def _integral(self, nodes: int) -> float:
        """Returns the mean log-ratio, by the trapezoid rule on one grid per component."""
        means, covariances, weights = self._tensors()
        axis = torch.linspace(-REACH, REACH, nodes, dtype=torch.float64)
        grid = torch.cartesian_prod(*[axis] * means.shape[1])  # (nodes^D, D)
        mass = (-0.5 * grid.square().sum(1)).softmax(0)
        total = 0.0
        factors = torch.linalg.cholesky(covariances)
        for weight, mean, factor in zip(weights, means, factors, strict=True):
            for points, shares in zip(grid.split(BLOCK), mass.split(BLOCK), strict=True):
                both = mean + points @ factor.T
                terms = self.log_ratio(both[:, : self.x_dim], both[:, self.x_dim :])
                total += float(weight * (shares @ terms))
        return total
