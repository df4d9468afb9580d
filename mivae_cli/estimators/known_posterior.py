r"""Mutual information from a known posterior: no critic, exact up to Monte Carlo.

Encode N sentences, draw :math:`z_i \sim q(z \mid x_i)`, and let
:math:`\ell_{ij} = \log q(z_i \mid x_j)`. Then, in nats,

| empirical       :math:`I_N = \frac{1}{N} \sum_i [\ell_{ii} - \log \frac{1}{N} \sum_j e^{\ell_{ij}}]`
| leave-one-out   the same with :math:`\frac{1}{N - 1} \sum_{j \ne i}`

The empirical value is the mutual information of z with the choice among these N sentences,
never above log N, and in expectation a lower bound on the population's. The leave-one-out
value is an upper bound on the population's in expectation; it grows without limit where
posteriors do not overlap.

Shapes: N sentences, Z latent units.

References:
    | ELBO surgery (Hoffman & Johnson, 2016)
    | On Variational Bounds of Mutual Information (Poole et al., 2019), for leave-one-out
"""

__all__ = ["AggregatedPosterior", "aggregated_posterior", "batched_empirical"]

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..models.latent import LOG_2_PI, DiagonalGaussian, standard_normal_log_prob

BLOCK = 1024  # rows and columns of the matrix of log-densities held at a time


@dataclass(frozen=True)
class AggregatedPosterior:
    r"""Log-densities of z_i in nats, each with shape (N,), in double precision."""

    own: Tensor  # log q(z_i | x_i)
    mixture: Tensor  # log 1/N sum_j q(z_i | x_j)
    others: Tensor  # log 1/(N - 1) sum_{j != i} q(z_i | x_j); -inf where N = 1
    prior: Tensor  # log p(z_i)

    @property
    def empirical_terms(self) -> Tensor:
        """What each sentence adds to the empirical value, with shape (N,)."""
        return self.own - self.mixture

    @property
    def leave_one_out_terms(self) -> Tensor:
        """What each sentence adds to the leave-one-out value, with shape (N,)."""
        return self.own - self.others

    @property
    def rate_terms(self) -> Tensor:
        """The rate of each sentence from the same samples, with shape (N,)."""
        return self.own - self.prior

    @property
    def prior_divergence_terms(self) -> Tensor:
        """Terms of KL(q(z) || p(z)): rate less empirical value, exactly, with shape (N,)."""
        return self.mixture - self.prior


def aggregated_posterior(posterior: DiagonalGaussian, z: Tensor) -> AggregatedPosterior:
    r"""Returns the log-densities of z under own, aggregated and prior distributions.

    The exponent expands into three matrix products,

    .. math:: \sum_k \frac{(z_k - \mu_k)^2}{\sigma_k^2} = z^2 \cdot \sigma^{-2}
        - 2 z \cdot \mu \sigma^{-2} + 1 \cdot \mu^2 \sigma^{-2},

    taken block by block with a streamed log-sum-exp: O(N^2 Z) work in O(N Z) memory.

    Arguments:
        posterior: The N posteriors.
        z: One sample of each, with shape (N, Z).
    """
    posterior, z = posterior.double(), z.double()  # the expansion cancels digits
    count = len(z)
    precision = (-2 * posterior.log_scale).exp()  # (N, Z)
    weighted = posterior.mean * precision
    constant = (posterior.mean * weighted + 2 * posterior.log_scale + LOG_2_PI).sum(dim=-1)
    right = torch.cat([precision, -2 * weighted], dim=-1)  # (N, 2 Z)
    left = torch.cat([z.square(), z], dim=-1)  # (N, 2 Z)

    own = posterior.log_prob(z)
    total = torch.full_like(own, -math.inf)  # log sum over j != i
    for rows in torch.arange(count, device=z.device).split(BLOCK):
        for columns in torch.arange(count, device=z.device).split(BLOCK):
            block = -0.5 * (left[rows] @ right[columns].T + constant[columns])
            block = block.masked_fill(rows[:, None] == columns, -math.inf)
            total[rows] = torch.logaddexp(total[rows], block.logsumexp(dim=1))
    return AggregatedPosterior(
        own=own,
        mixture=torch.logaddexp(total, own) - math.log(count),
        others=total - math.log(max(1, count - 1)),
        prior=standard_normal_log_prob(z),
    )


def batched_empirical(posterior: DiagonalGaussian, z: Tensor, size: int = 32) -> Tensor:
    """Returns the empirical value within each batch of consecutive sentences, in nats.

    For comparison with figures computed batch by batch (He et al., 2019, with 32 sentences of
    like length): its ceiling is log of the batch size.

    Arguments:
        posterior: The N posteriors, in the order that makes the batches.
        z: One sample of each, with shape (N, Z).
        size: Sentences a batch; a smaller rest is left out unless it is all there is.

    Returns:
        One value a batch, with shape (N // size,).
    """
    batches = max(1, len(z) // size)
    parts = [slice(start * size, (start + 1) * size) for start in range(batches)]
    values = [aggregated_posterior(posterior[part], z[part]).empirical_terms for part in parts]
    return torch.stack([terms.mean() for terms in values])
