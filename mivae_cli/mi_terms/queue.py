"""What the sentences of earlier batches left behind, for the product of the marginals.

Shapes: B sentences of a batch, Q places in the queue, F numbers kept of a sentence.
"""

__all__ = ["Queued"]

import torch
from torch import Tensor, nn


class Queued(nn.Module):
    """A module that remembers some numbers of each of the last Q sentences.

    Arguments:
        size: The number Q of places; 0: nothing is remembered.
        width: The number F of numbers kept of a sentence.
    """

    queue: Tensor
    pushed: Tensor

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.register_buffer("queue", torch.zeros(size, width))
        self.register_buffer("pushed", torch.tensor(0))  # sentences ever put into the queue
        self._filled = 0  # places that are taken, known without asking the device
        self.register_load_state_dict_post_hook(Queued._count)  # type: ignore[no-untyped-call]

    def push(self, rows: Tensor) -> None:
        """Puts what is kept of a batch's sentences, (B, F), into the queue, over the oldest.

        Arguments:
            rows: Finite numbers; a batch that gave others has been refused before.
        """
        if not (size := len(self.queue)):
            return
        rows = rows[:size].detach()
        places = (self.pushed + torch.arange(len(rows), device=rows.device)) % size
        self.queue[places] = rows
        self.pushed += len(rows)
        self._filled = min(self._filled + len(rows), size)

    def earlier(self) -> Tensor:
        """Returns what is kept of the sentences in the queue, with shape (at most Q, F)."""
        return self.queue[: self._filled]

    @property
    def full(self) -> bool:
        """Whether every place is taken."""
        return self._filled == len(self.queue)

    def _count(self, _: object) -> None:
        self._filled = min(int(self.pushed), len(self.queue))
