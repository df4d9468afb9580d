"""Batches of sentences of similar length, in a seeded order that a run can resume.

Shapes: B sentences in a batch, T tokens in its longest sentence, V vocabulary, N corpus.
"""

__all__ = ["Batch", "BatchSampler", "EpochPart", "collate", "ordered_batches", "prefetch"]

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .permutation import Permutation
from .prepared_corpus import TokenStore
from .tokenizer import BOUNDARY

WINDOW = 64  # batches per window; the sentences of a window are sorted by length

Item = TypeVar("Item")
Earlier = Sequence[tuple[int, int]]  # previous batch sizes of an epoch, and batches of each


@dataclass(frozen=True)
class Batch:
    """Token ids of sentences, padded on the right with `BOUNDARY`."""

    tokens: Tensor  # (B, T), without boundaries
    lengths: Tensor  # (B,)
    indices: NDArray[np.int64] | None = None  # (B,), of the sentences in their store

    def __len__(self) -> int:
        return len(self.lengths)

    def to(self, device: torch.device) -> "Batch":
        """Returns the batch on a device; a copy from pinned memory to CUDA is asynchronous."""
        non_blocking = device.type == "cuda"
        return Batch(
            self.tokens.to(device, non_blocking=non_blocking),
            self.lengths.to(device, non_blocking=non_blocking),
            self.indices,
        )

    def pin(self) -> "Batch":
        """Returns the batch in pinned memory."""
        return Batch(self.tokens.pin_memory(), self.lengths.pin_memory(), self.indices)

    @property
    def mask(self) -> Tensor:
        """True at tokens, False at padding, with shape (B, T)."""
        steps = torch.arange(self.tokens.shape[1], device=self.tokens.device)
        return steps < self.lengths[:, None]

    def inputs(self) -> Tensor:
        """Returns the decoder's inputs: the boundary, then the tokens, with shape (B, T + 1)."""
        return torch.nn.functional.pad(self.tokens, (1, 0), value=BOUNDARY)

    def targets(self) -> Tensor:
        """Returns the decoder's targets: the tokens, then the boundary, with shape (B, T + 1)."""
        return torch.nn.functional.pad(self.tokens, (0, 1), value=BOUNDARY)

    def target_mask(self) -> Tensor:
        """Returns True at tokens and at the end of each sentence, with shape (B, T + 1)."""
        steps = torch.arange(self.tokens.shape[1] + 1, device=self.tokens.device)
        return steps <= self.lengths[:, None]


def collate(store: TokenStore, indices: NDArray[np.int64]) -> Batch:
    """Returns the batch of the sentences at the given indices, with shape (B,).

    Raises:
        CheckpointError: The mapped files have been damaged since they were opened.
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
    """Yields all sentences, shortest first, as pairs of indices in the store and a batch."""
    order = np.argsort(store.lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        indices = order[start : start + batch_size]
        yield indices, collate(store, indices)


@dataclass(frozen=True)
class EpochPart:
    """The part of an epoch with the current batch size: all of it, unless the size changed."""

    before: int  # batches of other sizes, earlier in the epoch
    batches: int
    share: float  # of the corpus

    def fraction_done(self, position: int) -> float:
        """Returns the fraction of the epoch that is done after `position` batches."""
        here = (position - self.before) / self.batches if self.batches else 1.0
        return 1 - self.share + self.share * here


@dataclass(frozen=True)
class _Remaining:
    """The remaining sentences of an epoch: a list, then the permutation from `start` on."""

    permutation: Permutation
    listed: NDArray[np.int64]
    start: int

    def __len__(self) -> int:
        return len(self.listed) + self.permutation.size - self.start

    def batches(self, size: int) -> int:
        """Returns the number of batches; a single last sentence joins the batch before it."""
        return min(len(self), max(1, math.ceil((len(self) - 1) / size)))

    def windows(self, size: int) -> int:
        """Returns the number of windows."""
        return math.ceil(self.batches(size) / WINDOW)

    def window(self, size: int, number: int) -> NDArray[np.int64]:
        """Returns the sentences of a window; the last window takes all that are left."""
        start = number * WINDOW * size
        end = len(self) if number == self.windows(size) - 1 else start + WINDOW * size
        first, last = (self.start + max(0, at - len(self.listed)) for at in (start, end))
        permuted = self.permutation(np.arange(first, last))
        return np.concatenate([self.listed[start:end], permuted])

    def after(self, size: int, number: int, left: Sequence[NDArray[np.int64]]) -> "_Remaining":
        """Returns the remaining sentences in a window with the remaining batches `left`."""
        last = number >= self.windows(size) - 1
        end = len(self) if last else (number + 1) * WINDOW * size
        listed = np.concatenate([*left, self.listed[end:]])
        return _Remaining(self.permutation, listed, self.start + max(0, end - len(self.listed)))


class BatchSampler:
    """The batches of any epoch, starting at any position.

    An epoch is a random permutation of the corpus, cut into windows of `WINDOW` batches. The
    sentences of a window are sorted by length and cut into batches, which are then shuffled. Only
    the current window is in memory, so memory and the time to the first batch do not depend on the
    size of the corpus.

    The batch size may change within an epoch. The remaining sentences, starting with those of the
    current window, are then cut into windows of the new size, so that each is used exactly once.
    """

    def __init__(self, store: TokenStore, batch_size: int, seed: int) -> None:
        self.store, self.batch_size, self.seed = store, batch_size, seed

    def __len__(self) -> int:
        return max(1, math.ceil((len(self.store) - 1) / self.batch_size))

    def epoch_part(self, epoch: int, earlier: Earlier = ()) -> EpochPart:
        """Returns the part of an epoch with the current batch size.

        Raises:
            ValueError: The epoch has fewer batches of an earlier size.
        """
        rest = self._remaining(epoch, earlier)
        before = sum(count for _, count in earlier)
        return EpochPart(before, rest.batches(self.batch_size), len(rest) / len(self.store))

    def order(
        self, epoch: int, position: int = 0, earlier: Earlier = ()
    ) -> Iterator[NDArray[np.int64]]:
        """Yields the indices of each batch of an epoch; together they partition the corpus.

        A single last sentence joins the batch before it, because the mutual-information term
        needs at least two sentences.

        Arguments:
            epoch: The epoch.
            position: The number of batches that are done.
            earlier: See `Earlier`.
        """
        rest = self._remaining(epoch, earlier)
        first, done = divmod(position - sum(count for _, count in earlier), WINDOW)
        for number in range(first, rest.windows(self.batch_size)):
            batches = self._window(rest, self.batch_size, epoch, number, len(earlier))
            yield from batches[done if number == first else 0 :]

    def batches(self, epoch: int, position: int = 0, earlier: Earlier = ()) -> Iterator[Batch]:
        """Yields the batches of an epoch, starting at a position; see `order`."""
        for indices in self.order(epoch, position, earlier):
            yield collate(self.store, indices)

    def _remaining(self, epoch: int, earlier: Earlier) -> _Remaining:
        """Returns the sentences that remain after the batches of earlier sizes."""
        permutation = Permutation(len(self.store), self._seed(epoch))
        rest = _Remaining(permutation, np.arange(0), 0)
        for turn, (size, count) in enumerate(earlier):
            if count > rest.batches(size):
                raise ValueError(f"the epoch has fewer than {count} batches of {size} sentences")
            number, done = divmod(count, WINDOW)
            more = number < rest.windows(size)
            left = self._window(rest, size, epoch, number, turn)[done:] if more else []
            rest = rest.after(size, number, left)
        return rest

    def _window(
        self, rest: _Remaining, size: int, epoch: int, number: int, turn: int
    ) -> list[NDArray[np.int64]]:
        """Returns the batches of a window, in random order; `turn` counts earlier batch sizes."""
        window = rest.window(size, number)
        lengths = self.store.offsets[window + 1] - self.store.offsets[window]
        window = window[np.argsort(lengths, kind="stable")]
        # never cut before the last sentence, so that it is not alone
        batches = np.split(window, list(range(size, len(window) - 1, size)))
        place = (epoch, number, turn) if turn else (epoch, number)
        order = np.random.default_rng(self._seed(*place)).permutation(len(batches))
        return [batches[chosen] for chosen in order]

    def _seed(self, *place: int) -> np.random.SeedSequence:
        return np.random.SeedSequence(self.seed, spawn_key=place)


def prefetch(items: Iterator[Item], count: int = 2) -> Iterator[Item]:
    """Yields the items of an iterator; its next `count` items are computed ahead by a thread.

    Only the thread may use the iterator from now on. An error of it is raised in the order of the
    items.
    """
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="mivae-prefetch") as worker:
        pending: list[Future[Item | object]] = [
            worker.submit(next, items, end) for _ in range(count)
        ]
        while (item := pending.pop(0).result()) is not end:
            pending.append(worker.submit(next, items, end))
            yield item  # type: ignore[misc]  # not the end marker
