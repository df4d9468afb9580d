r"""A mixture model of x, z and w, all of whose marginals are closed forms.

.. math:: q(y, c) = \sum_k \pi_k \, \mathcal{N}(y; \mu_k, \Sigma_k) \prod_v p_k(c_v)

y contains the continuous columns, and :math:`c_v` is the code of v = x, z, w. Given the component,
codes are independent of each other and of y. For any subset of the parts, the marginal keeps the
blocks of :math:`\mu_k` and :math:`\Sigma_k` and the factors of that subset. The conditional mutual
information of the model is therefore the mean of

.. math:: t = \log \frac{q(x, z, w) \, q(w)}{q(x, w) \, q(z, w)}

over draws from the model.

Fitted by expectation maximisation from k-means clusters. A prior worth a few rows keeps
covariances and codes from degenerating.

Shapes: N rows, K components, D continuous columns.
"""

__all__ = ["JointMixture"]

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..gaussian_components import PRIOR_SHARE, NormalComponents, QuadraticFeatures, clusters
from .samples import Part, Samples

CODE_PRIOR = 0.5  # rows per component that the prior of codes is worth
ITERATIONS, TOLERANCE = 100, 1e-4  # of EM; nats per row
ORDER = "xzw"


@dataclass(frozen=True, eq=False)
class JointMixture:
    """A fitted mixture; `log_prob` gives the log-density of any subset of x, z and w."""

    normals: NormalComponents  # of y
    code_logs: dict[str, Tensor]  # log-probabilities of the codes of x, z, w, each (K, levels)
    columns: dict[str, slice]  # columns of x, z, w in y

    @classmethod
    def fit(cls, samples: Samples, components: int, seed: int) -> "JointMixture":
        """Fits the mixture to samples whose continuous columns have variance about 1."""
        parts = _parts(samples)
        y = torch.cat([part.continuous for part in parts.values()], dim=1)
        codes = {
            name: torch.nn.functional.one_hot(part.code).to(y) for name, part in parts.items()
        }
        columns, start = {}, 0
        for name, part in parts.items():
            columns[name] = slice(start, start + part.continuous.shape[1])
            start = columns[name].stop
        features, width = QuadraticFeatures(y), y.shape[1]
        # a component of K is narrower than all rows by about K^(-1/D)
        variances = (y - y.mean(dim=0)).square().mean(dim=0)
        prior = variances.diag() * components ** (-2 / max(width, 1))
        prior_rows = PRIOR_SHARE * (width + 2) if components > 1 else 0.0
        share = clusters(torch.cat([y, *codes.values()], dim=1), components, seed)
        last = -math.inf
        for _ in range(ITERATIONS):
            normals = features.components(share, prior, prior_rows)
            model = cls(normals, _code_logs(codes, share), columns)
            logs = model._component_logs(samples, ORDER, features)
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
        kind, y = self.normals.draw(count, generator)
        drawn = []
        for name in ORDER:
            logs = self.code_logs[name][kind]
            if logs.shape[1] > 1:
                code = torch.multinomial(logs.exp(), 1, generator=generator)[:, 0]
            else:
                code = torch.zeros(count, dtype=torch.int64)
            drawn.append(Part(y[:, self.columns[name]], code))
        return Samples(*drawn)

    def _component_logs(
        self, samples: Samples, parts: str, features: QuadraticFeatures | None = None
    ) -> Tensor:
        """Returns the log-density of some parts in each component, weights included, (N, K).

        `features` are those of all continuous columns, if they are known.
        """
        chosen = {name: part for name, part in _parts(samples).items() if name in parts}
        if features is None:
            numbers = torch.arange(self.normals.means.shape[1])
            block = torch.cat([numbers[self.columns[name]] for name in chosen])
            y = torch.cat([part.continuous for part in chosen.values()], dim=1)
            logs = self.normals.of_columns(block).log_densities(y)
        else:
            logs = self.normals.log_densities(features)
        for name, part in chosen.items():
            if self.code_logs[name].shape[1] > 1:
                logs = logs + self.code_logs[name].T[part.code]
        return logs


def _parts(samples: Samples) -> dict[str, Part]:
    return {"x": samples.x, "z": samples.z, "w": samples.w}


def _code_logs(codes: dict[str, Tensor], share: Tensor) -> dict[str, Tensor]:
    """Returns log-probabilities of codes, given indicators (N, levels) and shares (N, K)."""
    logs = {}
    for name, indicators in codes.items():
        overall = indicators.mean(dim=0)
        counts = share.T @ indicators + CODE_PRIOR * overall
        logs[name] = (counts / counts.sum(dim=1, keepdim=True)).clamp_min(1e-300).log()
    return logs
