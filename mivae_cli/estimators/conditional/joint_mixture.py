r"""A mixture model of x, z and w, all of whose marginals are closed forms.

.. math:: q(y, c) = \sum_k \pi_k \, \mathcal{N}(y; \mu_k, \Sigma_k) \prod_v p_k(c_v)

y contains the continuous columns, and :math:`c_v` is the code of v = x, z, w. Given the component,
codes are independent of each other and of y. For any subset of the parts, the marginal keeps the
blocks of :math:`\mu_k` and :math:`\Sigma_k` and the factors of that subset. The conditional mutual
information of the model is therefore the mean of

.. math:: t = \log \frac{q(x, z, w) \, q(w)}{q(x, w) \, q(z, w)}

over draws from the model.

Fitted by expectation maximisation from k-means++ seeds. A prior worth a few rows keeps covariances
and codes from degenerating.

Shapes: N rows, K components, D continuous columns, B columns of a block.
"""

__all__ = ["JointMixture"]

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .samples import Part, Samples

PRIOR_SHARE = 0.1  # rows per column that the prior of a covariance is worth
CODE_PRIOR = 0.5  # rows per component that the prior of codes is worth
ITERATIONS, TOLERANCE = 100, 1e-4  # of EM; nats per row
K_MEANS_ITERATIONS = 10
ORDER = "xzw"


@dataclass(frozen=True, eq=False)
class JointMixture:
    """A fitted mixture; `log_prob` gives the log-density of any subset of x, z and w."""

    log_weights: Tensor  # (K,)
    means: Tensor  # (K, D)
    covariances: Tensor  # (K, D, D)
    code_logs: dict[str, Tensor]  # log-probabilities of the codes of x, z, w, each (K, levels)
    columns: dict[str, slice]  # columns of x, z, w in y

    @classmethod
    def fit(cls, samples: Samples, components: int, seed: int) -> "JointMixture":
        """Fits the mixture to samples whose continuous columns have variance about 1."""
        parts = _parts(samples)
        y = torch.cat([part.continuous for part in parts.values()], dim=1)
        codes = {name: _one_hot(part) for name, part in parts.items()}
        columns, start = {}, 0
        for name, part in parts.items():
            columns[name] = slice(start, start + part.continuous.shape[1])
            start = columns[name].stop
        share = _assignments(torch.cat([y, *codes.values()], dim=1), components, seed)
        last = -math.inf
        for _ in range(ITERATIONS):
            model = cls(*_maximised(y, codes, share), columns)
            logs = model._component_logs(samples, ORDER)
            total = logs.logsumexp(dim=1)
            share, current = (logs - total[:, None]).exp(), float(total.mean())
            if components == 1 or current - last < TOLERANCE:
                break
            last = current
        return model

    def log_prob(self, samples: Samples, parts: str) -> Tensor:
        """Returns the log-density of some parts, such as "xw", with shape (N,)."""
        return self._component_logs(samples, parts).logsumexp(dim=1)

    def log_ratios(self, samples: Samples) -> Tensor:
        """Returns t of every row, with shape (N,), in nats."""
        joint, given = self.log_prob(samples, "xzw"), self.log_prob(samples, "w")
        return joint + given - self.log_prob(samples, "xw") - self.log_prob(samples, "zw")

    def draw(self, count: int, seed: int) -> Samples:
        """Returns draws from the model."""
        generator = torch.Generator().manual_seed(seed)
        kind = torch.multinomial(self.log_weights.exp(), count, True, generator=generator)
        noise = torch.randn(
            count, self.means.shape[1], 1, generator=generator, dtype=torch.float64
        )
        factors = torch.linalg.cholesky(self.covariances)
        y = self.means[kind] + (factors[kind] @ noise)[..., 0]
        drawn = []
        for name in ORDER:
            logs = self.code_logs[name][kind]
            if logs.shape[1] > 1:
                code = torch.multinomial(logs.exp(), 1, generator=generator)[:, 0]
            else:
                code = torch.zeros(count, dtype=torch.int64)
            drawn.append(Part(y[:, self.columns[name]], code))
        return Samples(*drawn)

    def _component_logs(self, samples: Samples, parts: str) -> Tensor:
        """Returns the log-density of some parts in each component, weights included, (N, K)."""
        chosen = {name: part for name, part in _parts(samples).items() if name in parts}
        numbers = [torch.arange(self.means.shape[1])[self.columns[name]] for name in chosen]
        block = torch.cat(numbers) if numbers else torch.arange(0)
        logs = self.log_weights.expand(len(samples), -1)
        if len(block):
            y = torch.cat([part.continuous for part in chosen.values()], dim=1)
            logs = logs + _normal_logs(
                y, self.means[:, block], self.covariances[:, block][:, :, block]
            )
        for name, part in chosen.items():
            if self.code_logs[name].shape[1] > 1:
                logs = logs + self.code_logs[name].T[part.code]
        return logs


def _parts(samples: Samples) -> dict[str, Part]:
    return {"x": samples.x, "z": samples.z, "w": samples.w}


def _one_hot(part: Part) -> Tensor:
    """Returns indicators of the codes, (N, levels)."""
    return torch.nn.functional.one_hot(part.code).double()


def _normal_logs(y: Tensor, means: Tensor, covariances: Tensor) -> Tensor:
    """Returns log-densities of y (N, B) in K normals, with shape (N, K)."""
    factors = torch.linalg.cholesky(covariances)
    identity = torch.eye(y.shape[1], dtype=y.dtype)
    inverse = torch.linalg.solve_triangular(factors, identity.expand_as(factors), upper=False)
    logs = []
    for mean, whiten, factor in zip(means, inverse, factors, strict=True):
        square = ((y - mean) @ whiten.T).square().sum(dim=1)
        logs.append(-0.5 * square - factor.diagonal().log().sum())
    return torch.stack(logs, dim=1) - 0.5 * y.shape[1] * math.log(2 * math.pi)


def _maximised(
    y: Tensor, codes: dict[str, Tensor], share: Tensor
) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
    """Returns the parameters that fit the shares (N, K) of the components in each row."""
    (count, width), components = y.shape, share.shape[1]
    sizes = share.sum(dim=0)
    log_weights = ((sizes + 1) / (count + components)).log()
    means = share.T @ y / sizes.clamp_min(1e-9)[:, None]
    # a component of K is narrower than all rows by about K^(-1/D)
    narrower = components ** (-2 / max(width, 1))
    prior = (y - y.mean(dim=0)).square().mean(dim=0).diag() * narrower
    rows = PRIOR_SHARE * (width + 2)
    covariances = []
    for part, mean, size in zip(share.T, means, sizes, strict=True):
        centred = y - mean
        scatter = (centred * part[:, None]).T @ centred
        if components > 1:
            covariances.append((scatter + rows * prior) / (size + rows))
        else:
            covariances.append(scatter / (size - 1) + 1e-10 * torch.eye(width, dtype=y.dtype))
    logs = {}
    for name, indicators in codes.items():
        overall = indicators.mean(dim=0)
        counts = share.T @ indicators + CODE_PRIOR * overall
        logs[name] = (counts / counts.sum(dim=1, keepdim=True)).clamp_min(1e-300).log()
    return log_weights, means, torch.stack(covariances), logs


def _assignments(points: Tensor, components: int, seed: int) -> Tensor:
    """Returns indicators (N, K) of clusters by k-means, from k-means++ seeds."""
    count = len(points)
    if components == 1:
        return points.new_ones(count, 1)
    generator = torch.Generator().manual_seed(seed)
    centers = points[torch.randint(count, (1,), generator=generator)]
    apart = (points - centers).square().sum(dim=1)
    for _ in range(components - 1):
        chosen = torch.multinomial(apart.clamp_min(1e-12), 1, generator=generator)
        centers = torch.cat([centers, points[chosen]])
        apart = torch.minimum(apart, (points - points[chosen]).square().sum(dim=1))
    for _ in range(K_MEANS_ITERATIONS):
        nearest = torch.cdist(points, centers).argmin(dim=1)
        indicators = torch.nn.functional.one_hot(nearest, components).double()
        sizes = indicators.sum(dim=0).clamp_min(1)
        centers = indicators.T @ points / sizes[:, None]
    return indicators
