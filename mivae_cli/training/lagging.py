"""Aggressive training of a lagging encoder: it trains alone before each step of the decoder.

References:
    | Lagging Inference Networks and Posterior Collapse (He et al., 2019), algorithm 1
"""

__all__ = ["still_lagging", "train_encoder"]

import math
from collections.abc import Callable

from ..data.batches import Batch


def train_encoder(
    step: Callable[[Batch], float],
    batch: Batch,
    draw: Callable[[], Batch],
    max_steps: int,
    check_every: int,
) -> None:
    """Trains the encoder until its mean loss per token over `check_every` steps increases.

    Arguments:
        step: Makes one step of the encoder; returns the loss in nats per sentence.
        batch: The first batch.
        draw: Returns a random batch for the following step.
        max_steps: Maximum number of steps.
        check_every: Steps between two comparisons of the loss.
    """
    previous, total, tokens = math.inf, 0.0, 0
    for number in range(1, max_steps + 1):
        total += step(batch) * len(batch)
        tokens += int(batch.lengths.sum()) + len(batch)
        if number % check_every == 0:
            if total / tokens > previous:
                return
            previous, total, tokens = total / tokens, 0.0, 0
        batch = draw()


def still_lagging(mi: float, previous: float) -> bool:
    """Returns whether to train the encoder alone for another epoch: until its MI decreases.

    Arguments:
        mi: Mutual information on the validation split after this epoch, in nats.
        previous: The same after the previous epoch.
    """
    return mi >= previous
