r"""Random sentences for speed benchmarks.

Words are independent and follow Zipf's law: the probability of rank r is proportional to
:math:`1 / r`. Lengths resemble the Penn Treebank: rounded gamma variables with mean 21 and standard
deviation 10, from 1 to 80.
"""

__all__ = ["Zipf", "corpus_of", "word", "write_store", "write_text"]

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mivae_cli.config.data import WordTokenizerConfig
from mivae_cli.data.prepared_corpus import Corpus, SplitSummary, TokenStore
from mivae_cli.data.tokenizer import SPECIAL, train_tokenizer

MEAN, DEVIATION, LONGEST = 21.0, 10.0, 80
CHUNK = 20_000  # sentences generated at a time, to limit memory
CONSONANTS, VOWELS = "bcdfghjklmnpqrstvwxz", "aeiou"
SYLLABLES = [consonant + vowel for consonant in CONSONANTS for vowel in VOWELS]


class Zipf:
    """Generates sentences of word ranks; rank 0 is the most frequent."""

    def __init__(self, types: int, seed: int) -> None:
        weights = 1 / np.arange(1, types + 1)
        self.cumulated = np.cumsum(weights / weights.sum())
        self.rng = np.random.default_rng(seed)

    def draw(self, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Returns the lengths of sentences (count,), and all their ranks, concatenated."""
        shape = (MEAN / DEVIATION) ** 2
        lengths = self.rng.gamma(shape, MEAN / shape, count).round().astype(np.int64)
        lengths = lengths.clip(1, LONGEST)
        uniform = self.rng.random(int(lengths.sum()))
        ranks = np.searchsorted(self.cumulated, uniform).clip(max=len(self.cumulated) - 1)
        return lengths, ranks

    def chunks(self, count: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Yields lengths and ranks of `count` sentences, in chunks."""
        for start in range(0, count, CHUNK):
            yield self.draw(min(CHUNK, count - start))


def write_store(folder: Path, sentences: int, vocabulary: int, seed: int) -> TokenStore:
    """Returns a store of generated sentences, memory-mapped from a file in a folder."""
    path = folder / f"{sentences}-{seed}.tokens"
    dtype = np.dtype("<u2" if vocabulary <= 2**16 else "<u4")
    lengths = []
    with path.open("wb") as file:
        for some, ranks in Zipf(vocabulary - len(SPECIAL), seed).chunks(sentences):
            file.write((ranks + len(SPECIAL)).astype(dtype).tobytes())
            lengths.append(some)
    offsets = np.concatenate([[0], *lengths]).cumsum(dtype=np.int64)
    return TokenStore(np.memmap(path, dtype=dtype, mode="r"), offsets)


def corpus_of(store: TokenStore, vocabulary: int, folder: Path) -> Corpus:
    """Returns a corpus in which all splits are the same sentences."""
    words = [word(rank) for rank in range(vocabulary - len(SPECIAL))]
    tokenizer = train_tokenizer(words, WordTokenizerConfig(vocab_size=vocabulary, min_count=1))
    summary = SplitSummary(len(store), len(store.tokens))
    return Corpus(
        folder,
        tokenizer,
        {"train": store, "valid": store, "test": store},
        {"train": summary, "valid": summary, "test": summary},
    )


def write_text(path: Path, size: int, types: int, seed: int) -> int:
    """Writes generated sentences, one per line, up to a size; returns the size in bytes."""
    words = np.array([word(rank) for rank in range(types)], dtype=object)
    zipf, written = Zipf(types, seed), 0
    with path.open("w", encoding="ascii", newline="") as file:
        while written < size:
            lengths, ranks = zipf.draw(1000)
            ends = lengths.cumsum()
            for start, end in zip(ends - lengths, ends, strict=True):
                written += file.write(" ".join(words[ranks[start:end]]) + "\n")
    return written


def word(rank: int) -> str:
    """Returns the word of a rank: unique, with four letters for most tokens."""
    rank += len(SYLLABLES)
    spelt = ""
    while rank:
        rank, syllable = divmod(rank, len(SYLLABLES))
        spelt += SYLLABLES[syllable]
    return spelt
