r"""Evaluation metrics. All quantities are in nats unless stated otherwise.

Shapes: B sentences, N sentences of a corpus, K samples, Z latent units.
"""

__all__ = ["active_units", "bits_per_character", "importance_weighted_bound", "perplexity"]

import math

import torch
from torch import Tensor


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


def active_units(means: Tensor, threshold: float = 0.01) -> int:
    r"""Returns the number of units with :math:`\mathrm{Var}_x(\mathbb{E}[z_k \mid x]) \ge \delta`.

    The variance is unbiased (N - 1), as in published code. The threshold is low, so an active unit
    may carry almost no information: see `units_above` and `effective_units`.

    References:
        | Importance Weighted Autoencoders (Burda et al., 2016)

    Arguments:
        means: The posterior means of a corpus (`Posterior.scaled_means`), with shape (N, Z).
        threshold: The minimum variance :math:`\delta`.
    """
    if len(means) < 2 or not means.shape[1]:
        return 0
    return int((means.var(dim=0) >= threshold).sum())


def importance_weighted_bound(log_joint: Tensor, log_posterior: Tensor) -> Tensor:
    r"""Returns the importance-weighted bound on :math:`\log p(x)`, (B,) (Burda et al., 2016).

    .. math:: \mathcal{L}_K = \mathbb{E} \Big[ \log \frac{1}{K} \sum_{k=1}^K
        \frac{p(x, z_k)}{q(z_k \mid x)} \Big], \qquad z_k \sim q(z \mid x)

    Arguments:
        log_joint: :math:`\log p(x, z_k)`, with shape (K, B).
        log_posterior: :math:`\log q(z_k \mid x)`, with shape (K, B).
    """
    return torch.logsumexp(log_joint - log_posterior, dim=0) - math.log(len(log_joint))
