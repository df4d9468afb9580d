"""Batches: sentences of like length, in an order that a seed decides and a run can resume.

Shapes: B sentences, T tokens of the longest.
"""

__all__ = ["Batch", "BatchSampler", "Part", "collate", "ordered_batches"]

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .permutation import Permutation
from .prepared_corpus import TokenStore
from .tokenizer import BOUNDARY

WINDOW = 64  # batches whose sentences are sorted by length together

Earlier = Sequence[tuple[int, int]]  # batch sizes, and how many batches had each


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
    """Gathers the sentences of the given indices, with shape (B,).

    Raises:
        CheckpointError: The files that they are mapped from have been damaged meanwhile.
    """
    starts, lengths = store.spans(indices)
    steps = np.arange(lengths.max(initial=1))
    inside = steps < lengths[:, None]  # (B, T)
    places = np.where(inside, starts[:, None] + steps, 0)
    tokens = np.where(inside, store.checked(store.tokens[places]), BOUNDARY).astype(np.int64)
    return Batch(torch.from_numpy(tokens), torch.from_numpy(lengths.astype(np.int64)), indices)


def ordered_batches(
    store: TokenStore, batch_size: int
) -> Iterator[tuple[NDArray[np.int64], Batch]]:
    """Yields every sentence once, shortest first, with its indices in the store."""
    order = np.argsort(store.lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        indices = order[start : start + batch_size]
        yield indices, collate(store, indices)


@dataclass(frozen=True)
class Part:
    """The part of an epoch whose batches have the present size; most often it is all of it."""

    before: int  # batches of the epoch that had other sizes
    batches: int
    share: float  # of the corpus

    def done(self, position: int) -> float:
        """Returns the share of the epoch that is done after so many of all its batches."""
        here = (position - self.before) / self.batches if self.batches else 1.0
        return 1 - self.share + self.share * here


@dataclass(frozen=True)
class _Rest:
    """The sentences of an epoch that are still to come, in the order in which windows take them.

    First those that are named, then all from a place of the epoch's permutation on.
    """

    permutation: Permutation
    named: NDArray[np.int64]
    place: int

    def __len__(self) -> int:
        return len(self.named) + self.permutation.size - self.place

    def batches(self, size: int) -> int:
        """Returns the number of batches of a size; a single last sentence is not one."""
        return min(len(self), max(1, math.ceil((len(self) - 1) / size)))

    def windows(self, size: int) -> int:
        """Returns the number of windows of batches of a size."""
        return math.ceil(self.batches(size) / WINDOW)

    def window(self, size: int, number: int) -> NDArray[np.int64]:
        """Returns the sentences of a window; the last one takes all that are left."""
        start = number * WINDOW * size
        end = len(self) if number == self.windows(size) - 1 else start + WINDOW * size
        first, last = (self.place + max(0, at - len(self.named)) for at in (start, end))
        permuted = self.permutation(np.arange(first, last))
        return np.concatenate([self.named[start:end], permuted])

    def after(self, size: int, number: int, left: Sequence[NDArray[np.int64]]) -> "_Rest":
        """Returns what is to come when all windows before one are done, and some of its batches.

        Arguments:
            size: Sentences per batch.
            number: The window that is under way.
            left: Its batches that are not done.
        """
        end = min(len(self), (number + 1) * WINDOW * size)
        if number >= self.windows(size) - 1:
            end = len(self)
        named = np.concatenate([*left, self.named[end:]])
        return _Rest(self.permutation, named, self.place + max(0, end - len(self.named)))


class BatchSampler:
    """The order of a training run: any epoch's, from any position, without going through it.

    An epoch is a random permutation of the corpus, cut into windows of `WINDOW` batches. The
    sentences of a window are sorted by length and cut into batches, which come in random order.
    Only the present window is held, so memory and the time to the first batch do not depend on
    the size of the corpus.

    The batch size may change within an epoch. The sentences that were left then, first those of
    the window under way, are cut into windows of the new size. So each sentence still comes once.
    """

    def __init__(self, store: TokenStore, batch_size: int, seed: int) -> None:
        self.store, self.batch_size, self.seed = store, batch_size, seed

    def __len__(self) -> int:
        return max(1, math.ceil((len(self.store) - 1) / self.batch_size))

    def part(self, epoch: int, earlier: Earlier = ()) -> Part:
        """Returns the part of an epoch that has batches of the present size.

        Raises:
            ValueError: The epoch has no such batches of earlier sizes.
        """
        rest = self._rest(epoch, earlier)
        before = sum(count for _, count in earlier)
        return Part(before, rest.batches(self.batch_size), len(rest) / len(self.store))

    def order(
        self, epoch: int, position: int = 0, earlier: Earlier = ()
    ) -> Iterator[NDArray[np.int64]]:
        """Yields the batches of an epoch as indices, a partition of the corpus, from a position.

        A sentence that would be left alone joins the batch before: alone, it has no other
        sentence to be told from, and the mutual-information term nothing to compare.

        Arguments:
            epoch: The epoch.
            position: How many of its batches are done.
            earlier: Those of them that had other sizes, as pairs of a size and how many batches
                had it, in their order.
        """
        rest = self._rest(epoch, earlier)
        first, done = divmod(position - sum(count for _, count in earlier), WINDOW)
        for number in range(first, rest.windows(self.batch_size)):
            batches = self._window(rest, self.batch_size, epoch, number, len(earlier))
            yield from batches[done if number == first else 0 :]

    def batches(self, epoch: int, position: int = 0, earlier: Earlier = ()) -> Iterator[Batch]:
        """Yields the batches of an epoch, from a position on; see `order`."""
        for indices in self.order(epoch, position, earlier):
            yield collate(self.store, indices)

    def _rest(self, epoch: int, earlier: Earlier) -> _Rest:
        """Returns what is left of an epoch after its batches of other sizes."""
        permutation = Permutation(len(self.store), self._seed(epoch))
        rest = _Rest(permutation, np.arange(0), 0)
        for turn, (size, count) in enumerate(earlier):
            if count > rest.batches(size):
                raise ValueError(f"there are no {count} batches of {size} sentences")
            number, done = divmod(count, WINDOW)
            left = []
            if number < rest.windows(size):
                left = self._window(rest, size, epoch, number, turn)[done:]
            rest = rest.after(size, number, left)
        return rest

    def _window(
        self, rest: _Rest, size: int, epoch: int, number: int, turn: int
    ) -> list[NDArray[np.int64]]:
        """Returns the batches of a window, in random order.

        Arguments:
            rest: The sentences that windows of this size are cut from.
            size: Sentences per batch.
            epoch: The epoch.
            number: The window's number.
            turn: How many sizes the epoch had before.
        """
        batches = self._cut(rest.window(size, number), size)
        place = (epoch, number, turn) if turn else (epoch, number)
        order = np.random.default_rng(self._seed(*place)).permutation(len(batches))
        return [batches[chosen] for chosen in order]

    def _cut(self, window: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
        """Returns the batches of a window, the shortest sentences first."""
        lengths = self.store.offsets[window + 1] - self.store.offsets[window]
        window = window[np.argsort(lengths, kind="stable")]
        # no cut before the last sentence, which would be alone
        return np.split(window, list(range(size, len(window) - 1, size)))

    def _seed(self, *place: int) -> np.random.SeedSequence:
        return np.random.SeedSequence(self.seed, spawn_key=place)
