"""A queue of features of earlier batches, for the product of the marginals.

Shapes: B sentences of a batch, Q entries of the queue, F features per sentence.
"""

__all__ = ["FeatureQueue"]

import torch
from torch import Tensor, nn


class FeatureQueue(nn.Module):
    """A module that stores features of the last Q sentences.

    Arguments:
        size: The number Q of entries; with 0, the queue stays empty.
        width: The number F of features per sentence.
    """

    queue: Tensor
    pushed: Tensor

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.register_buffer("queue", torch.zeros(size, width))
        self.register_buffer("pushed", torch.tensor(0))  # total number of sentences pushed
        self._filled = 0  # number of entries, known without reading from the device
        self.register_load_state_dict_post_hook(FeatureQueue._count)  # type: ignore[no-untyped-call]

    def push(self, rows: Tensor) -> None:
        """Replaces the oldest entries by the finite features of a batch, with shape (B, F)."""
        if not (size := len(self.queue)):
            return
        rows = rows[:size].detach()
        places = (self.pushed + torch.arange(len(rows), device=rows.device)) % size
        self.queue[places] = rows
        self.pushed += len(rows)
        self._filled = min(self._filled + len(rows), size)

    def with_queued(self, rows: Tensor) -> Tensor:
        """Returns the features (B, F) followed by those in the queue, with shape (B + Q, F)."""
        return torch.cat([rows, self.queue[: self._filled]])

    @property
    def full(self) -> bool:
        """Whether the queue has Q entries."""
        return self._filled == len(self.queue)

    def _count(self, _: object) -> None:
        self._filled = min(int(self.pushed), len(self.queue))
