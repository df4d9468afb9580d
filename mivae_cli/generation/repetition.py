r"""Scores of the next token that keep a sentence from repeating itself.

Scores are the decoder's logits x, higher for likelier tokens; "written" tokens are those of the
sentence so far, without the boundary.

Shapes: N sentences (or hypotheses), T tokens written, V vocabulary.
"""

__all__ = ["ban_repeated_ngrams", "penalize_written"]

import math

import torch
from torch import Tensor


def penalize_written(scores: Tensor, written: Tensor, penalty: float) -> Tensor:
    r"""Returns scores in which tokens already written are less likely.

    With :math:`\theta` the penalty, a written token's score becomes :math:`x / \theta` if it is
    positive and :math:`x \, \theta` if it is negative: a penalty above 1 makes it less likely, one
    below 1 likelier. How often or when the token was written makes no difference.

    References:
        | CTRL: A Conditional Transformer Language Model for Controllable Generation (Keskar et al.,
          2019), section 4.1, where all scores are taken to be positive

    Arguments:
        scores: The logits, with shape (N, V).
        written: The ids of the tokens so far, with shape (N, T).
        penalty: A number above 0; 1 changes nothing.
    """
    found = scores.gather(1, written)
    found = torch.where(found > 0, found / penalty, found * penalty)
    return scores.scatter(1, written, found)


def ban_repeated_ngrams(scores: Tensor, written: Tensor, size: int) -> Tensor:
    """Returns scores in which tokens that would complete an n-gram a second time are -inf.

    Arguments:
        scores: The scores, with shape (N, V).
        written: The ids of the tokens so far, with shape (N, T).
        size: The n-gram's tokens, at least 1; with 1, no token is written twice.
    """
    if written.shape[1] < size:
        return scores
    ngrams = written.unfold(1, size, 1)  # (N, T - size + 1, size)
    latest = written[:, written.shape[1] - size + 1 :]  # that the next token would complete
    repeated = (ngrams[..., :-1] == latest[:, None]).all(dim=-1)
    # a token may complete several n-grams, of which one is enough
    counts = torch.zeros_like(scores).scatter_add(1, ngrams[..., -1], repeated.to(scores.dtype))
    return scores.masked_fill(counts > 0, -math.inf)
