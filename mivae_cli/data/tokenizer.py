"""Word and BPE tokenizers, based on the `tokenizers` library.

Two ids are fixed. `BOUNDARY` precedes the first token and follows the last; as start and end of a
sentence share an id, the output layer covers exactly the possible next tokens. `UNKNOWN` replaces
words outside the vocabulary and the words removed by word dropout; it counts in likelihoods and is
never generated.

An untrusted `tokenizer.json` could contain a regular expression that never terminates, or ids
beyond the embeddings. Only vocabulary and merges are therefore loaded, and a tokenizer rebuilt
from them must serialise to exactly the content of the file.
"""

__all__ = ["BOUNDARY", "UNKNOWN", "Tokenizer", "train_tokenizer", "training_tokenizer"]

import json
import random
import re
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import decoders, models, pre_tokenizers, trainers

from .. import limits
from ..config.data import BPETokenizerConfig, WordTokenizerConfig
from ..errors import CheckpointError, DataError, reason
from ..stages import finish
from ..storage.files import read_plain
from .word_cache import WordCache

BOUNDARY, UNKNOWN = 0, 1
SPECIAL = ["</s>", "<unk>"]
CHUNK = 1_000  # sentences per update of the word counts, and of the progress
MAX_WORDS = 4_000_000  # distinct words in the counts
MAX_TEXT = 64_000_000  # characters of text to learn merges from
MAX_PART = 2**14  # characters per call of the library
MAX_WORD = 1_000  # characters; longer words are base64 or similar data
MIN_CACHED = 256  # sentences: the word cache would not pay off for fewer
BETWEEN = re.compile(r"(?<=\S) (?=\S)")
LONG_WORD = re.compile(rf"\S{{{MAX_WORD + 1}}}|\s{{{MAX_WORD + 1}}}")
MAX_DISTINCT = 5_000_000  # bytes of distinct words in this text


class Tokenizer:
    """Converts between sentences and token ids; stored as `tokenizer.json`."""

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        # "</s>" and "<unk>" in a text are text, not special symbols
        backend.encode_special_tokens = True
        self._backend = backend
        # a word spelt like the end symbol must not end the sentence
        self._words = backend.get_vocab() | {SPECIAL[BOUNDARY]: UNKNOWN} if self.by_word else {}
        self._word_cache: WordCache | None = None

    @property
    def size(self) -> int:
        """The vocabulary size V."""
        return self._backend.get_vocab_size()

    @property
    def by_word(self) -> bool:
        """Whether tokens are words, so that there can be unknown words."""
        return isinstance(self._backend.model, models.WordLevel)

    def encode(self, sentences: Sequence[str]) -> list[list[int]]:
        """Returns the ids of each sentence, without boundaries."""
        ids, lengths = self.encode_flat(sentences)
        return [part.tolist() for part in np.split(ids, np.cumsum(lengths))[:-1]]

    def encode_flat(
        self, sentences: Sequence[str]
    ) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """Returns the concatenated ids of N sentences, and their lengths, with shape (N,)."""
        by_word = self.by_word  # a dictionary is five times as fast as the library
        if not by_word and len(sentences) >= MIN_CACHED:
            if self._word_cache is None:
                self._word_cache = WordCache(self._by_bytes)
            ids, lengths = self._word_cache.encode_flat(sentences)
            return np.maximum(ids, np.uint32(UNKNOWN)), lengths
        pieces: list[Any] = (
            list(map(str.split, sentences)) if by_word else self._by_bytes(sentences)
        )
        lengths = np.fromiter(map(len, pieces), np.int64, len(pieces))
        flat: Iterator[Any] = chain.from_iterable(pieces)
        if by_word:
            flat = map(self._words.get, flat, repeat(UNKNOWN))
        ids = np.fromiter(flat, np.uint32, int(lengths.sum()))
        return np.maximum(ids, np.uint32(UNKNOWN)), lengths

    def _by_bytes(self, sentences: Sequence[str]) -> list[list[int]]:
        """Returns the ids of each sentence; the library needs about 300 bytes per character."""
        if max(map(len, sentences), default=0) <= MAX_PART:
            return [found.ids for found in self._backend.encode_batch_fast(list(sentences))]
        return [
            [index for part in _parts(sentence) for index in self._backend.encode(part).ids]
            for sentence in sentences
        ]

    def decode(self, ids: Iterable[int]) -> str:
        """Returns the text of ids without boundaries."""
        return self._backend.decode(list(ids), skip_special_tokens=False)

    def save(self, path: Path) -> None:
        """Writes `tokenizer.json`.

        Raises:
            DataError: The file would exceed the limit of `load`.
        """
        content = self._backend.to_str(pretty=True).encode()
        if len(content) > limits.MAX_TOKENIZER_BYTES:
            raise DataError(
                f"the vocabulary takes {len(content):,} bytes, more than the limit of "
                f"{limits.MAX_TOKENIZER_BYTES:,}; lower data.tokenizer.vocab_size"
            )
        path.write_bytes(content)

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        """Reads `tokenizer.json`.

        Raises:
            CheckpointError: The file is missing or damaged, or was not written by mivae.
        """
        content = read_plain(path, limits.MAX_TOKENIZER_BYTES)
        try:
            record = _strict_json(content)
            backend = _rebuilt(record["model"])
            same = record == json.loads(backend.to_str())
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a Rust panic is not an Exception
            raise CheckpointError(
                f"cannot read the tokenizer '{path}': {reason(error)}"
            ) from error
        if not same:
            raise CheckpointError(f"'{path}' is not a tokenizer that mivae wrote")
        return cls(backend)


def train_tokenizer(
    sentences: Iterable[str], config: WordTokenizerConfig | BPETokenizerConfig
) -> Tokenizer:
    """Returns a tokenizer trained on sentences.

    Raises:
        DataError: No word reaches `min_count`.
    """
    return finish(training_tokenizer(sentences, config))


def training_tokenizer(
    sentences: Iterable[str], config: WordTokenizerConfig | BPETokenizerConfig
) -> Generator[None, None, Tokenizer]:
    """Does the same as `train_tokenizer`, and yields after every `CHUNK` sentences."""
    if isinstance(config, BPETokenizerConfig):
        return _train_bpe((yield from _sampling(sentences)), config)
    counts = yield from _word_counts(iter(sentences))
    for symbol in SPECIAL:
        counts.pop(symbol, None)
    kept = [(-count, word) for word, count in counts.items() if count >= config.min_count]
    words = [word for _, word in sorted(kept)][: config.vocab_size - len(SPECIAL)]
    if not words:
        raise DataError(
            f"no word occurs at least {config.min_count} times; use more text, a lower "
            "data.tokenizer.min_count, or --tokenizer bpe (setting data.tokenizer.kind), which also "
            "suits text without spaces"
        )
    return Tokenizer(_by_words({word: index for index, word in enumerate(SPECIAL + words)}))


def _word_counts(sentences: Iterator[str]) -> Generator[None, None, Counter[str]]:
    """Returns word counts; drops the rarest words whenever there are more than `MAX_WORDS`.

    The count of a dropped word restarts at zero. This affects only words that are nearly as rare
    as the dropped ones, which are not in a vocabulary of usual size.
    """
    counts: Counter[str] = Counter()
    while chunk := list(islice(sentences, CHUNK)):
        counts.update(chain.from_iterable(map(str.split, chunk)))
        least = 1
        while len(counts) > MAX_WORDS:
            counts = Counter({word: count for word, count in counts.items() if count > least})
            least += 1
        yield
    return counts


def training_sample(sentences: Iterable[str]) -> list[str]:
    """Returns all sentences, or a random sample that respects `MAX_TEXT` and `MAX_DISTINCT`.

    The BPE trainer needs about 130 bytes per byte of distinct words. Whenever a limit is exceeded,
    half of the sentences, including all later ones, are dropped at random. The loss is small:
    merges learnt from 1/16 of 200 MB of text with a million distinct words gave 0.02 % more tokens
    on held-out sentences.
    """
    return finish(_sampling(sentences))


def _sampling(sentences: Iterable[str]) -> Generator[None, None, list[str]]:
    generator = random.Random(0)
    kept: list[str] = []
    words: set[str] = set()
    share, length, distinct = 1.0, 0, 0
    for number, sentence in enumerate(sentences):
        if number % CHUNK == 0:
            yield
        if share < 1 and generator.random() >= share:
            continue
        kept.append(sentence)
        length += len(sentence)
        new = set(sentence.split()) - words
        words |= new
        distinct += len("".join(new).encode())
        while length > MAX_TEXT or distinct > MAX_DISTINCT:
            share /= 2
            kept = [sentence for sentence in kept if generator.random() < 0.5]
            words = {word for sentence in kept for word in sentence.split()}
            length, distinct = sum(map(len, kept)), sum(len(word.encode()) for word in words)
    return kept


def _train_bpe(sample: Iterable[str], config: BPETokenizerConfig) -> Tokenizer:
    backend = _by_merges({}, [])
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size,
        min_frequency=config.min_count,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(chain.from_iterable(map(_training_parts, sample)), trainer)
    return Tokenizer(backend)


def _parts(sentence: str) -> Iterator[str]:
    """Splits a long sentence before spaces between words, which does not change its ids."""
    start = 0
    while len(sentence) - start > MAX_PART and (cut := BETWEEN.search(sentence, start + MAX_PART)):
        yield sentence[start : cut.start()]
        start = cut.start()
    yield sentence[start:]


def _training_parts(sentence: str) -> Iterator[str]:
    """Splits very long words too, for which the BPE trainer needs quadratic time."""
    for part in _parts(sentence):
        if len(part) > MAX_WORD and LONG_WORD.search(part):
            yield from (part[at : at + MAX_WORD] for at in range(0, len(part), MAX_WORD))
        else:
            yield part


def _by_words(vocabulary: dict[str, int]) -> tokenizers.Tokenizer:
    backend = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token=SPECIAL[UNKNOWN]))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return backend


def _by_merges(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> tokenizers.Tokenizer:
    backend = tokenizers.Tokenizer(models.BPE(vocabulary, merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return backend


def _rebuilt(model: Any) -> tokenizers.Tokenizer:  # noqa: ANN401  # untrusted JSON
    """Returns the tokenizer that training would produce with this vocabulary and these merges."""
    vocabulary = model["vocab"]
    ids = list(vocabulary.values())
    if not all(type(index) is int for index in ids) or sorted(ids) != list(range(len(ids))):
        raise ValueError("the ids are not 0 to V - 1")
    if [vocabulary.get(symbol) for symbol in SPECIAL] != [BOUNDARY, UNKNOWN]:
        raise ValueError("the special symbols are not those of mivae")
    if model["type"] == "WordLevel":
        return _by_words(vocabulary)
    if not vocabulary.keys() >= set(pre_tokenizers.ByteLevel.alphabet()):
        raise ValueError("the vocabulary lacks some of the 256 bytes")
    backend = _by_merges(vocabulary, [(left, right) for left, right in model["merges"]])
    backend.add_special_tokens(SPECIAL)
    return backend


def _strict_json(content: bytes) -> Any:  # noqa: ANN401  # any JSON
    """Returns the value of a JSON text; rejects duplicate keys, NaN and infinity."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) != len(pairs):
            raise ValueError("duplicate key")
        return table

    def refused(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    return json.loads(content.decode("utf-8"), object_pairs_hook=unique, parse_constant=refused)
