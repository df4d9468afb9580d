r"""The normal components of mixtures: densities, moments and first clusters.

With the quadratic features :math:`\phi(y) = (y_i y_j)_{i \le j}, (y_i)_i, 1`, the log-densities of
all rows in all components are one matrix product, and so are the weighted moments of the EM
algorithm.

Shapes: N rows, K components, D columns, F = (D + 1) (D + 2) / 2 features.

References:
    | Maximum likelihood from incomplete data via the EM algorithm (Dempster, Laird & Rubin, 1977)
    | Bayesian regularization for normal mixture estimation (Fraley & Raftery, 2007), for the prior
      that keeps covariances regular
"""

__all__ = ["PRIOR_SHARE", "NormalComponents", "QuadraticFeatures", "clusters"]

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

PRIOR_SHARE = 0.1  # rows per column that the prior of a covariance is worth
RIDGE = 1e-7  # times the variances of linearly dependent columns, which are about 1
LLOYD_STEPS = 8  # of k-means, which starts the EM algorithm
BLOCK = 2**23  # features in memory at a time
LOG_2_PI = math.log(2 * math.pi)


@dataclass(frozen=True, eq=False)
class NormalComponents:
    """K weighted normal distributions of D columns."""

    log_weights: Tensor  # (K,)
    means: Tensor  # (K, D)
    covariances: Tensor  # (K, D, D)

    def of_columns(self, columns: slice | Tensor) -> "NormalComponents":
        """Returns the marginal distributions of some columns."""
        covariances = self.covariances[:, columns][:, :, columns]
        return NormalComponents(self.log_weights, self.means[:, columns], covariances)

    def log_densities(self, values: "Tensor | QuadraticFeatures") -> Tensor:
        """Returns log weight plus log density of each component, with shape (N, K)."""
        if isinstance(values, Tensor):
            values = QuadraticFeatures(values)
        return torch.cat([part @ self._coefficients for part in values.blocks()])

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Returns the components of new rows, (count,), and the rows, (count, D)."""
        weights = self.log_weights.exp()
        chosen = torch.multinomial(weights, count, replacement=True, generator=generator)
        size = self.means.shape[1]
        noise = torch.randn(count, size, generator=generator, dtype=self.means.dtype)
        values = self.means[chosen]
        for component, factor in enumerate(self.factors):
            rows = (chosen == component).nonzero()[:, 0]
            values[rows] += noise[rows] @ factor.T
        return chosen, values

    @cached_property
    def factors(self) -> Tensor:
        """The Cholesky factors of the covariances, (K, D, D)."""
        factors: Tensor = torch.linalg.cholesky(self.covariances)
        return factors

    @cached_property
    def precisions(self) -> Tensor:
        """The inverse covariances, (K, D, D)."""
        return torch.cholesky_inverse(self.factors)

    @cached_property
    def log_peaks(self) -> Tensor:
        """The logarithms of weight times largest density, (K,)."""
        log_dets = self.factors.diagonal(dim1=1, dim2=2).log().sum(dim=1)
        return self.log_weights - log_dets - 0.5 * self.means.shape[1] * LOG_2_PI

    @cached_property
    def _coefficients(self) -> Tensor:
        """The coefficients of the features in the log-densities, (F, K)."""
        upper = torch.triu_indices(self.means.shape[1], self.means.shape[1])
        squares = -self.precisions[:, upper[0], upper[1]]
        squares[:, upper[0] == upper[1]] *= 0.5
        linear = (self.precisions @ self.means[:, :, None])[..., 0]
        constants = self.log_peaks - 0.5 * (linear * self.means).sum(dim=1)
        return torch.cat([squares, linear, constants[:, None]], dim=1).T


class QuadraticFeatures:
    """The quadratic features of rows (N, D), kept in memory if they are few."""

    def __init__(self, values: Tensor) -> None:
        self.values = values
        self._upper = torch.triu_indices(values.shape[1], values.shape[1])
        features = self._upper.shape[1] + values.shape[1] + 1
        self._rows = max(1, BLOCK // features)
        self._kept = self._of(values) if len(values) <= self._rows else None

    def blocks(self) -> Iterator[Tensor]:
        """Yields the features of successive rows, (N', F)."""
        if self._kept is not None:
            yield self._kept
        else:
            yield from map(self._of, self.values.split(self._rows))

    def components(self, shares: Tensor, prior: Tensor, prior_rows: float) -> NormalComponents:
        """Returns the components with the moments of weighted rows.

        Arguments:
            shares: The share of each component in each row, (N, K).
            prior: A covariance towards which those of the components are shrunk, (D, D).
            prior_rows: The number of rows that the prior is worth.
        """
        blocks = zip(self.blocks(), shares.split(self._rows), strict=True)
        moments = torch.stack([part.T @ block for block, part in blocks]).sum(dim=0)  # (K, F)
        size = self.values.shape[1]
        sums, counts = moments[:, -size - 1 : -1], moments[:, -1]
        means = sums / counts.clamp_min(1e-9)[:, None]
        products = moments.new_zeros(len(moments), size, size)
        products[:, self._upper[0], self._upper[1]] = moments[:, : -size - 1]
        products[:, self._upper[1], self._upper[0]] = moments[:, : -size - 1]
        scatter = products - sums[:, :, None] * means[:, None, :]
        covariances = scatter + prior_rows * prior
        covariances = covariances / (counts + prior_rows)[:, None, None]
        covariances = covariances + RIDGE * torch.diag(prior.diagonal().clamp_min(1))
        log_weights = ((counts + 1) / (counts + 1).sum()).log()
        return NormalComponents(log_weights, means, covariances)

    def _of(self, values: Tensor) -> Tensor:
        products = values[:, self._upper[0]] * values[:, self._upper[1]]
        return torch.cat([products, values, values.new_ones(len(values), 1)], dim=1)


def clusters(values: Tensor, components: int, seed: int) -> Tensor:
    """Returns indicators of clusters by k-means, from k-means++ seeds, with shape (N, K)."""
    if components == 1:
        return values.new_ones(len(values), 1)
    generator = torch.Generator().manual_seed(seed)
    centres = values[torch.randint(len(values), (1,), generator=generator)]
    apart = (values - centres).square().sum(dim=1)
    for _ in range(components - 1):  # rows may be equal, so no distance counts as exactly 0
        chosen = torch.multinomial(apart.clamp_min(1e-12), 1, generator=generator)
        centres = torch.cat([centres, values[chosen]])
        apart = torch.minimum(apart, (values - values[chosen]).square().sum(dim=1))
    indicators = values.new_zeros(len(values), components)
    for _ in range(LLOYD_STEPS):
        # the squared norms of the rows do not matter for the nearest centre
        distances = centres.square().sum(dim=1) - 2 * values @ centres.T
        nearest = distances.argmin(dim=1)
        indicators = torch.nn.functional.one_hot(nearest, components).to(values)
        centres = indicators.T @ values / indicators.sum(dim=0).clamp_min(1)[:, None]
    return indicators
