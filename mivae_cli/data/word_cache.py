"""Ids of byte-level BPE from a cache of words, several times as fast as the library.

The library's time goes into splitting and merging every occurrence of a word again. The ids of a
word are cached instead, in bounded memory, and the library encodes only new words.

This is exact because no token of byte-level BPE crosses a single space between two words: the ids
of a sentence are those of its first word, followed by those of `" " + word` for each other word.
The library encodes the whole sentence if this does not apply: if a piece between two spaces is
empty or contains other white space. It does the same for very long words and once the cache is
full; a full cache is cleared at the next call.

Shapes: N sentences, P pieces of all sentences, K ids of all sentences.
"""

__all__ = ["Ids", "WordCache"]

from collections.abc import Callable, Sequence
from itertools import chain, repeat
from threading import Lock

import numpy as np
from numpy.typing import NDArray

MAX_LENGTH = 64  # characters of a cached word
MAX_WORDS = 500_000  # cached words; all together take about 90 MB
MAX_IDS = 4_000_000  # ids of all cached words
NOT_CACHED, MISSING = 0, -1  # in place of the row of a word

Ids = NDArray[np.uint32]
Encode = Callable[[Sequence[str]], list[list[int]]]


class WordCache:
    """Converts sentences to the ids that a byte-level BPE tokenizer gives them.

    Arguments:
        encode: Returns the ids of each text, by the tokenizer itself.
    """

    def __init__(self, encode: Encode) -> None:
        self._encode = encode
        self._lock = Lock()
        # a row per word; memory that is never written is never taken from the system
        self._ids = np.empty(MAX_IDS, np.uint32)
        self._starts = np.zeros(MAX_WORDS + 1, np.int64)
        self._lengths = np.zeros(MAX_WORDS + 1, np.int64)
        self._rows: dict[str, int] = {}  # row of each key, from 1
        self._end, self._full = 0, False  # ids in use; whether a word did not fit

    def __len__(self) -> int:
        """The number of cached words."""
        return len(self._rows)

    def encode_flat(self, sentences: Sequence[str]) -> tuple[Ids, NDArray[np.int64]]:
        """Returns the concatenated ids of N sentences, with shape (K,), and their lengths, (N,)."""
        if not sentences:
            return np.zeros(0, np.uint32), np.zeros(0, np.int64)
        pieces = [sentence.split(" ") for sentence in sentences]
        for words in pieces:
            words[0] += " "  # the key of a first word; no other key contains a space
        counts = np.fromiter(map(len, pieces), np.int64, len(pieces))
        keys = list(chain.from_iterable(pieces))
        with self._lock:
            rows = self._find(keys)  # (P,)
            lengths = self._lengths[rows]
            ends = np.cumsum(lengths)
            places = np.repeat(self._starts[rows] - (ends - lengths), lengths)
            ids = self._ids[places + np.arange(len(places))]  # (K,)
        firsts = np.cumsum(counts) - counts
        totals = np.add.reduceat(lengths, firsts)  # (N,)
        others = np.flatnonzero(np.minimum.reduceat(rows, firsts) == NOT_CACHED)
        return self._replaced(ids, totals, sentences, others) if len(others) else (ids, totals)

    def _replaced(
        self,
        ids: Ids,
        lengths: NDArray[np.int64],
        sentences: Sequence[str],
        others: NDArray[np.intp],
    ) -> tuple[Ids, NDArray[np.int64]]:
        """Replaces the ids of some sentences by those of the library."""
        parts = np.split(ids, np.cumsum(lengths)[:-1])
        found = self._encode([sentences[place] for place in others])
        for place, new in zip(others.tolist(), found, strict=True):
            parts[place] = np.array(new, np.uint32)
        lengths[others] = [len(new) for new in found]
        return np.concatenate(parts), lengths

    def _find(self, keys: list[str]) -> NDArray[np.int64]:
        """Returns the row of each word, with shape (P,), after adding new words to the cache."""
        if self._full:
            self._rows.clear()
            self._end, self._full = 0, False
        rows = np.fromiter(map(self._rows.get, keys, repeat(MISSING)), np.int64, len(keys))
        missing = np.flatnonzero(rows == MISSING).tolist()
        if missing:
            self._add(list(dict.fromkeys([keys[place] for place in missing])))
            rows[missing] = [self._rows.get(keys[place], NOT_CACHED) for place in missing]
        return rows

    def _add(self, keys: list[str]) -> None:
        """Adds words as far as there is room; leaves out what is not a single short word."""
        keys = [key for key in keys if len(key) <= MAX_LENGTH and key.split() == [_word(key)]]
        texts = [_word(key) if key.endswith(" ") else " " + key for key in keys]
        found = self._encode(texts)
        lengths = np.fromiter(map(len, found), np.int64, len(found))
        ends = self._end + np.cumsum(lengths)
        first = len(self._rows) + 1
        kept = min(int(np.searchsorted(ends, len(self._ids), "right")), len(self._starts) - first)
        self._full = kept < len(keys)
        if kept == 0:
            return
        new, end = slice(first, first + kept), int(ends[kept - 1])
        self._ids[self._end : end] = np.fromiter(
            chain.from_iterable(found[:kept]), np.uint32, end - self._end
        )
        self._starts[new], self._lengths[new] = (ends - lengths)[:kept], lengths[:kept]
        self._rows.update(zip(keys[:kept], range(first, first + kept), strict=True))
        self._end = end


def _word(key: str) -> str:
    return key.removesuffix(" ")
