r"""Mutual information from a known posterior: no critic, exact up to Monte Carlo error.

Encode N sentences, draw :math:`z_j \sim q(z \mid x_j)`, and let the score matrix of `bounds` be
:math:`\ell_{ij} = \log q(z_j \mid x_i)`. Then, in nats,

| empirical       :math:`I_N = \frac{1}{N} \sum_j [\ell_{jj} - \log \frac{1}{N} \sum_i e^{\ell_{ij}}]`
| leave-one-out   the same with :math:`\frac{1}{N - 1} \sum_{i \ne j}`

The empirical value is `bounds.infonce` with the optimal critic. It has two interpretations: the
mutual information between z and the index of one of these N sentences, and, in expectation, a
lower bound for the population they come from. The leave-one-out value is, in expectation, an upper
bound for the population. It is unbounded if posteriors do not overlap.

Intervals are from the jackknife (`intervals`) and describe other sentences from the same
population. The terms are dependent, because each :math:`x_i` is part of the mixture for every z, so
the interval of a plain mean would be wrong. Several draws of z for each x reduce the Monte Carlo
error, but not the error due to the choice of sentences.

A control variate removes most of the remaining Monte Carlo error. The sampled rate of a sentence
minus its closed form has expectation 0,

.. math:: b_j = \log q(z_j \mid x_j) - \log p(z_j) - \mathrm{KL}(q(z \mid x_j) \,\|\, p(z)),

so subtracting :math:`c \, b_j` from each term changes no expectation. The variance is smallest for
:math:`c = \mathrm{Cov}(\mathrm{term}, b) / \mathrm{Var}(b)`. If codes fill the prior, c is near 1; at
a ceiling, where the terms are constant, it is 0.

Shapes: N sentences, S draws of z for each, Z latent units.

References:
    | ELBO surgery (Hoffman & Johnson, 2016)
    | On Variational Bounds of Mutual Information (Poole et al., 2019), for leave-one-out
"""

__all__ = [
    "AggregatedPosterior",
    "aggregated_posterior",
    "batched_empirical",
    "pairwise_log_prob",
]

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..models.latent import Posterior
from .bounds import Scores, infonce
from .intervals import Interval, jackknife, jackknife_interval
from .score_matrix import Bound, ScoreSummary, score_summary


@dataclass(frozen=True)
class AggregatedPosterior:
    r"""Log-densities of :math:`z_j` in nats, means over its S draws, in double precision."""

    own: Tensor  # log q(z_j | x_j), with shape (N,)
    mixture: Tensor  # log 1/N sum_i q(z_j | x_i), with shape (N,)
    others: Tensor  # log 1/(N - 1) sum_{i != j} q(z_j | x_i); -inf where N = 1, with shape (N,)
    control: Tensor  # b_j, with shape (N,)
    slopes: tuple[float, float]  # c of the empirical and of the leave-one-out terms
    pairs: ScoreSummary

    def __len__(self) -> int:
        return len(self.own)

    @property
    def empirical_terms(self) -> Tensor:
        """Terms of the empirical value, one per sentence, with shape (N,)."""
        return self.own - self.mixture

    @property
    def leave_one_out_terms(self) -> Tensor:
        """Terms of the leave-one-out value, one per sentence, with shape (N,)."""
        return self.own - self.others

    def empirical(self, controlled: bool = False) -> Interval:
        """Returns the empirical value with its jackknife interval, of width 0 if N = 1.

        Arguments:
            controlled: Whether to use the control variate.
        """
        slope = self.slopes[0] if controlled else 0.0
        return self._interval(infonce, self.empirical_terms, slope)

    def leave_one_out(self, controlled: bool = False) -> Interval | None:
        """Returns the leave-one-out value, as `empirical`; None if N = 1."""
        if len(self) == 1:
            return None
        slope = self.slopes[1] if controlled else 0.0
        return self._interval(_leave_one_out, self.leave_one_out_terms, slope)

    def _interval(self, bound: Bound, terms: Tensor, slope: float) -> Interval:
        if len(self) < 3:  # a matrix without one of two sentences has no pairs: drop terms instead
            terms = terms - slope * self.control
            return jackknife(float(terms.mean()), terms.flip(0).tolist())
        noise = slope * self.control.repeat(self.pairs.draws)
        return jackknife_interval(self.pairs, bound, noise)


def aggregated_posterior(posterior: Posterior, z: Tensor) -> AggregatedPosterior:
    """Returns the log-densities of z under its own posterior and under the aggregated one.

    Takes O(S N^2 Z) time and O(S N (Z + G)) memory, with the G groups of the jackknife.

    Arguments:
        posterior: The N posteriors.
        z: One draw of each, with shape (N, Z), or S of each, with shape (S, N, Z).
    """
    posterior, z = posterior.double(), z.double()
    count = len(posterior)
    own = posterior.log_prob(z).reshape(-1, count)  # (S, N)
    sampled_rate = own - posterior.prior.log_prob(z).reshape(-1, count)
    control = sampled_rate - posterior.rates().sum(dim=-1)
    pairs = replace(score_summary(_log_prob, *posterior.pair_vectors(z)), joint=own.flatten())
    total = pairs.partial.logsumexp(dim=0).view_as(own)  # log sum over i != j
    mixture = torch.logaddexp(total, own)
    return AggregatedPosterior(
        own=own.mean(dim=0),
        mixture=mixture.mean(dim=0) - math.log(count),
        others=total.mean(dim=0) - math.log(max(1, count - 1)),
        control=control.mean(dim=0),
        slopes=(_slope(own - mixture, control), _slope(own - total, control)),
        pairs=pairs,
    )


def batched_empirical(posterior: Posterior, z: Tensor, size: int = 32) -> Tensor:
    """Returns the empirical value in nats of each batch of consecutive sentences, (N // size,).

    For comparison with published values computed per batch (He et al., 2019, with 32 sentences of
    similar length). Its ceiling is the log of the batch size.

    Arguments:
        posterior: The N posteriors, in the order of the batches.
        z: One draw of each, with shape (N, Z).
        size: Sentences per batch; a smaller last batch is dropped, unless it is the only one.
    """
    size = min(size, len(z))
    kept = slice(len(z) // size * size)
    x, z = posterior[kept].double().pair_vectors(z[kept].double())
    scores = _log_prob(x.unflatten(0, (-1, size)), z.unflatten(0, (-1, size)))
    terms = scores.diagonal(dim1=-2, dim2=-1) - scores.logsumexp(dim=-2)
    return terms.mean(dim=-1) + math.log(size)


def pairwise_log_prob(posterior: Posterior, z: Tensor) -> Tensor:
    """Returns log q(z_j | x_i) of N posteriors and of points (B, Z), with shape (N, B)."""
    return _log_prob(*posterior.double().pair_vectors(z.double()))


def _log_prob(of_x: Tensor, of_z: Tensor) -> Tensor:
    """Returns log q(z | x) of all pairs, from (..., M, K) and (..., B, K): (..., M, B)."""
    return of_x @ of_z.mT


def _slope(terms: Tensor, control: Tensor) -> float:
    """Returns the c of smallest variance; 0 if it is undefined."""
    slope = ((terms - terms.mean()) * control).mean() / control.square().mean()
    return float(slope.clamp(0, 1)) if slope.isfinite() else 0.0


def _leave_one_out(scores: Scores) -> Tensor:
    return (scores.joint - scores.product).mean()
