"""The sentences of a split as one flat array of token ids with offsets.

The arrays may be memory-mapped files, which other processes can change at any time. Values are
therefore checked whenever they are read. Shapes: N sentences, B sentences in a batch.
"""

__all__ = ["TokenStore", "longest_sentence"]

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import CheckpointError
from .ingestion import Ids, Lines
from .permutation import Permutation

BLOCK = 2**20  # offsets processed at a time


@dataclass(frozen=True)
class TokenStore:
    """The sentences of a split: concatenated ids, with shape (tokens,), and N + 1 offsets."""

    tokens: Ids
    offsets: NDArray[np.int64]
    lines: Lines | None = None  # line numbers in the text file, if known
    path: Path | None = None  # of the ids, if they are memory-mapped
    vocab_size: int = 2**32  # exclusive upper bound of ids
    longest: int = 2**62  # tokens of the longest sentence

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each sentence, without boundaries, with shape (N,)."""
        return np.diff(self.offsets)

    def sentence(self, index: int) -> list[int]:
        """Returns the ids of one sentence; raises CheckpointError like `spans` and `checked`."""
        start, end = int(self.offsets[index]), int(self.offsets[index + 1])
        if self.path is not None and not 0 <= start < end <= len(self.tokens):
            raise self._damaged(self.path.with_suffix(".offsets.npy"))
        ids: list[int] = self.checked(self.tokens[start:end]).tolist()
        return ids

    def spans(self, indices: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Returns the starts of sentences in `tokens` and their lengths, both with shape (B,).

        Raises:
            CheckpointError: The file of the offsets has been damaged since it was opened.
        """
        starts = self.offsets[indices]
        lengths = self.offsets[indices + 1] - starts
        if (self.path is not None and len(indices)) and (
            starts.min() < 0
            or (starts + lengths).max() > len(self.tokens)
            or not 0 < lengths.min() <= lengths.max() <= self.longest
        ):
            raise self._damaged(self.path.with_suffix(".offsets.npy"))
        return starts, lengths

    def checked(self, ids: Ids) -> Ids:
        """Returns the given ids of this store after checking that they are in the vocabulary.

        An id outside the vocabulary would otherwise fail deep in the network.

        Raises:
            CheckpointError: The file of the tokens has been damaged since it was opened.
        """
        if self.path is not None and ids.max(initial=0) >= self.vocab_size:
            raise self._damaged(self.path)
        return ids

    def _damaged(self, path: Path) -> CheckpointError:
        run = path.parent.parent if path.parent.name == "data" else None
        advice = "train again to recreate it" if run is None else f"check with: mivae verify {run}"
        return CheckpointError(f"'{path}' has been damaged since it was opened; {advice}")

    def sample(self, count: int, seed: int) -> "TokenStore":
        """Returns at most `count` sentences, drawn without replacement."""
        if len(self) <= count:
            return self
        drawn = Permutation(len(self), np.random.SeedSequence(seed))(np.arange(count))
        return self._selected(np.sort(drawn).tolist())

    def canonical(self) -> "TokenStore":
        """Returns the sentences in an order that does not depend on the order of the file.

        Results of an evaluation are therefore the same for any order of the lines. Sentences are
        sorted by a hash of their ids and of the number of earlier duplicates, so that consecutive
        sentences are unrelated: groups of a jackknife are random samples.
        """
        seen: Counter[bytes] = Counter()
        keys = []
        for start, end in pairwise(self.offsets.tolist()):
            ids = self.tokens[start:end].astype("<u4").tobytes()
            copy = seen[ids].to_bytes(8, "little")
            seen[ids] += 1
            keys.append(hashlib.blake2b(ids, digest_size=16, key=copy).digest())
        return self._selected(sorted(range(len(self)), key=keys.__getitem__))

    def _selected(self, order: list[int]) -> "TokenStore":
        store = TokenStore.from_ids(self.sentence(index) for index in order)
        return store if self.lines is None else replace(store, lines=self.lines[order])

    @classmethod
    def from_ids(cls, sentences: Iterable[list[int]]) -> "TokenStore":
        """Returns a store of sentences in memory."""
        rows = [np.zeros(0, np.uint32), *(np.array(ids, np.uint32) for ids in sentences)]
        return cls(np.concatenate(rows), np.cumsum([len(row) for row in rows], dtype=np.int64))

    @classmethod
    def from_parts(cls, parts: Iterable[tuple[Ids, NDArray[np.int64], Lines]]) -> "TokenStore":
        """Returns a store in memory from chunks of concatenated ids, lengths and line numbers."""
        empty = np.zeros(0, np.uint32), np.zeros(1, np.int64), np.zeros(0, np.uint32)
        tokens, lengths, lines = map(np.concatenate, zip(empty, *parts, strict=True))
        return cls(tokens, np.cumsum(lengths), lines)


def longest_sentence(offsets: NDArray[np.int64]) -> int:
    """Returns the length of the longest sentence from N + 1 offsets, block by block."""
    starts = range(0, len(offsets) - 1, BLOCK)
    blocks = (np.diff(offsets[start : start + BLOCK + 1]) for start in starts)
    return max((int(block.max()) for block in blocks), default=0)
