r"""Changes to the scores of the next token that prevent repetition in a sentence.

Scores are the decoder's logits x. Written tokens are those of the sentence so far, without the
boundary.

Shapes: N sentences (or hypotheses), T tokens written, V vocabulary.
"""

__all__ = ["ban_repeated_ngrams", "penalize_written"]

import math

import torch
from torch import Tensor


def penalize_written(scores: Tensor, written: Tensor, penalty: float) -> Tensor:
    r"""Returns scores in which written tokens are less likely.

    With :math:`\theta` the penalty, a written token's score becomes :math:`x / \theta` if it is
    positive and :math:`x \, \theta` if it is negative. A penalty above 1 makes it less likely, and
    below 1 more likely. The number of occurrences and their positions have no effect.

    References:
        | CTRL: A Conditional Transformer Language Model for Controllable Generation (Keskar et al.,
          2019), section 4.1, which assumes that all scores are positive

    Scores have shape (N, V), written tokens (N, T).
    """
    if penalty == 1:
        return scores
    found = scores.gather(1, written)
    found = torch.where(found > 0, found / penalty, found * penalty)
    return scores.scatter(1, written, found)


def ban_repeated_ngrams(scores: Tensor, written: Tensor, size: int) -> Tensor:
    """Returns scores in which tokens that would complete an n-gram a second time are -inf.

    Scores have shape (N, V), written tokens (N, T); the size is n. With 1, no token occurs twice.
    """
    if written.shape[1] < size:
        return scores
    ngrams = written.unfold(1, size, 1)  # (N, T - size + 1, size)
    # the next token completes the last size - 1 tokens
    latest = written[:, written.shape[1] - size + 1 :]  # (N, size - 1)
    repeated = (ngrams[..., :-1] == latest[:, None]).all(dim=-1)
    # several n-grams may ban the same token
    counts = torch.zeros_like(scores).scatter_add(1, ngrams[..., -1], repeated.to(scores.dtype))
    return scores.masked_fill(counts > 0, -math.inf)
