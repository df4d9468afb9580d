"""Batches: sentences of like length, in an order that a seed decides and a run can resume.

Shapes: B sentences, T tokens of the longest.
"""

__all__ = ["Batch", "BatchSampler", "collate", "ordered_batches"]

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .permutation import Permutation
from .store import TokenStore
from .tokenizer import BOUNDARY

WINDOW = 64  # batches whose sentences are sorted by length together


@dataclass(frozen=True)
class Batch:
    """Sentences side by side, padded on the right with the boundary's id."""

    tokens: Tensor  # (B, T), without boundaries
    lengths: Tensor  # (B,)
    indices: NDArray[np.int64] | None = None  # (B,), the sentences' places in their store

    def __len__(self) -> int:
        return len(self.lengths)

    def to(self, device: torch.device) -> "Batch":
        """Returns the batch on another device, to which a pinned one is copied meanwhile."""
        meanwhile = device.type == "cuda"
        return Batch(
            self.tokens.to(device, non_blocking=meanwhile),
            self.lengths.to(device, non_blocking=meanwhile),
            self.indices,
        )

    def pin(self) -> "Batch":
        """Returns the batch in memory that a CUDA device reads by itself."""
        return Batch(self.tokens.pin_memory(), self.lengths.pin_memory(), self.indices)

    @property
    def mask(self) -> Tensor:
        """Where a token stands, with shape (B, T)."""
        steps = torch.arange(self.tokens.shape[1], device=self.tokens.device)
        return steps < self.lengths[:, None]

    def inputs(self) -> Tensor:
        """Returns what the decoder reads: the boundary, then the tokens, (B, T + 1)."""
        return torch.nn.functional.pad(self.tokens, (1, 0), value=BOUNDARY)

    def targets(self) -> Tensor:
        """Returns what the decoder is to say: the tokens, then the boundary, (B, T + 1)."""
        return torch.nn.functional.pad(self.tokens, (0, 1), value=BOUNDARY)

    def target_mask(self) -> Tensor:
        """Where a target counts: the tokens and the end of each sentence, (B, T + 1)."""
        steps = torch.arange(self.tokens.shape[1] + 1, device=self.tokens.device)
        return steps <= self.lengths[:, None]


def collate(store: TokenStore, indices: NDArray[np.int64]) -> Batch:
    """Gathers the sentences of the given indices, with shape (B,)."""
    starts = store.offsets[indices]
    lengths = store.offsets[indices + 1] - starts
    steps = np.arange(lengths.max(initial=1))
    inside = steps < lengths[:, None]  # (B, T)
    places = np.where(inside, starts[:, None] + steps, 0)
    tokens = np.where(inside, store.tokens[places], BOUNDARY).astype(np.int64)
    return Batch(torch.from_numpy(tokens), torch.from_numpy(lengths.astype(np.int64)), indices)


def ordered_batches(
    store: TokenStore, batch_size: int
) -> Iterator[tuple[NDArray[np.int64], Batch]]:
    """Yields every sentence once, shortest first, with its indices in the store."""
    order = np.argsort(store.lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        indices = order[start : start + batch_size]
        yield indices, collate(store, indices)


class BatchSampler:
    """The order of a training run: any epoch's, from any position, without going through it.

    An epoch is a random permutation of the corpus, cut into windows of `WINDOW` batches. The
    sentences of a window are sorted by length and cut into batches, which come in random order.
    Only the present window is held, so memory and the time to the first batch do not depend on
    the size of the corpus.
    """

    def __init__(self, store: TokenStore, batch_size: int, seed: int) -> None:
        self.store, self.batch_size, self.seed = store, batch_size, seed

    def __len__(self) -> int:
        return max(1, math.ceil((len(self.store) - 1) / self.batch_size))

    def order(self, epoch: int, position: int = 0) -> Iterator[NDArray[np.int64]]:
        """Yields the batches of an epoch as indices, a partition of the corpus, from a position.

        A sentence that would be left alone joins the batch before: alone, it has no other
        sentence to be told from, and the mutual-information term nothing to compare.
        """
        windows = math.ceil(len(self) / WINDOW)
        shuffled = Permutation(len(self.store), self._seed(epoch))
        first, done = divmod(position, WINDOW)
        for window in range(first, windows):
            start = window * WINDOW * self.batch_size
            end = len(self.store) if window == windows - 1 else start + WINDOW * self.batch_size
            batches = self._cut(shuffled(np.arange(start, end)))
            order = np.random.default_rng(self._seed(epoch, window)).permutation(len(batches))
            for place in order[done if window == first else 0 :]:
                yield batches[place]

    def batches(self, epoch: int, position: int = 0) -> Iterator[Batch]:
        """Yields the batches of an epoch, from a position on."""
        for indices in self.order(epoch, position):
            yield collate(self.store, indices)

    def _cut(self, window: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Returns the batches of a window, the shortest sentences first."""
        lengths = self.store.offsets[window + 1] - self.store.offsets[window]
        window = window[np.argsort(lengths, kind="stable")]
        # no cut before the last sentence, which would be alone
        cuts = range(self.batch_size, len(window) - 1, self.batch_size)
        return np.split(window, list(cuts))

    def _seed(self, *place: int) -> np.random.SeedSequence:
        return np.random.SeedSequence(self.seed, spawn_key=place)
