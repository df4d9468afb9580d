r"""Evaluation metrics, in nats unless stated otherwise. Does not import torch.

Shapes: B sentences, N sentences of a corpus, K samples, Z latent units of mean rates :math:`R_k`.
"""

__all__ = [
    "active_units",
    "bits_per_character",
    "effective_units",
    "importance_weighted_bound",
    "perplexity",
    "units_above",
]

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

RATE_THRESHOLD = 0.1  # nats


def perplexity(nll: float, sentences: int, tokens: int) -> float:
    r"""Returns :math:`\exp(\mathrm{NLL} \cdot N_\mathrm{sentences} / N_\mathrm{tokens})`.

    Arguments:
        nll: The negative log-likelihood per sentence, or an upper bound on it, in nats.
        sentences: The number of sentences.
        tokens: The number of *predicted* tokens: including the end of each sentence, but not its
            start or padding.
    """
    exponent = nll * sentences / tokens
    return math.exp(exponent) if exponent < 700 else math.inf


def bits_per_character(nll: float, sentences: int, characters: int) -> float:
    r"""Returns :math:`\mathrm{NLL} \cdot N_\mathrm{sentences} / (N_\mathrm{characters} \ln 2)`.

    Arguments:
        nll: The negative log-likelihood per sentence, or an upper bound on it, in nats.
        sentences: The number of sentences.
        characters: The number of Unicode code points, counting one for each end of a sentence.
    """
    return nll * sentences / (characters * math.log(2))


def active_units(means: "Tensor", threshold: float = 0.01) -> int:
    r"""Returns the number of units with :math:`\mathrm{Var}_x(\mathbb{E}[z_k \mid x]) \ge \delta`.

    The variance is unbiased (N - 1), as in published code. The threshold is low: a Gaussian unit
    whose mean has a variance of 0.01 has a rate of about 0.005 nats. `units_above` and
    `effective_units` show over how many units the rate is distributed.

    References:
        | Importance Weighted Autoencoders (Burda et al., 2016)

    Arguments:
        means: The posterior means of a corpus (`Posterior.scaled_means`), with shape (N, Z).
        threshold: The minimum variance :math:`\delta`.
    """
    if len(means) < 2 or not means.shape[1]:
        return 0
    return int((means.var(dim=0) >= threshold).sum())


def units_above(rates: Sequence[float], threshold: float = RATE_THRESHOLD) -> int:
    """Returns the number of units whose mean rate is above a threshold, in nats."""
    return sum(rate > threshold for rate in rates)


def effective_units(rates: Sequence[float], threshold: float = RATE_THRESHOLD) -> float:
    r"""Returns the effective number of units: the exponential of the entropy of the rate shares.

    .. math:: \exp \Big( -\sum_k s_k \log s_k \Big), \qquad s_k = R_k / \sum_j R_j

    It is 1 if one unit has the whole rate, and Z if all units have the same rate. It is 0 if the
    total rate does not exceed the threshold: the shares of a tiny rate are meaningless.
    """
    positive = [rate for rate in rates if rate > 0]  # rounding may make rates slightly negative
    total = sum(positive)
    if not total > threshold or math.isinf(total):
        return 0.0
    shares = [rate / total for rate in positive]
    return math.exp(-sum(share * math.log(share) for share in shares if share > 0))


def importance_weighted_bound(log_joint: "Tensor", log_posterior: "Tensor") -> "Tensor":
    r"""Returns the importance-weighted bound on :math:`\log p(x)`, (B,) (Burda et al., 2016).

    .. math:: \mathcal{L}_K = \mathbb{E} \Big[ \log \frac{1}{K} \sum_{k=1}^K
        \frac{p(x, z_k)}{q(z_k \mid x)} \Big], \qquad z_k \sim q(z \mid x)

    Arguments:
        log_joint: :math:`\log p(x, z_k)`, with shape (K, B).
        log_posterior: :math:`\log q(z_k \mid x)`, with shape (K, B).
    """
    return (log_joint - log_posterior).logsumexp(dim=0) - math.log(len(log_joint))
