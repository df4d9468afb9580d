"""Tokenizers: from a sentence to ids and back, on the `tokenizers` library.

Two ids are fixed. `BOUNDARY` stands before the first word and after the last, so the
vocabulary holds one end symbol and no start symbol, and the output layer covers exactly what
can follow. `UNKNOWN` is what a word tokenizer reads for words it does not know and what word
dropout shows the decoder; it counts in likelihoods and is never generated.

The library can do far more than mivae asks of it: a stranger's file could hold an expression that
never ends, or ids beyond the embeddings. So nothing is loaded but vocabulary and merges; what is
made of them must then say word for word what the file says.
"""

__all__ = ["BOUNDARY", "UNKNOWN", "Tokenizer", "train_tokenizer", "training_sample"]

import json
import random
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
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

BOUNDARY, UNKNOWN = 0, 1
SPECIAL = ["</s>", "<unk>"]
CHUNK = 1_000  # sentences counted at a time
MAX_WORDS = 4_000_000  # distinct words that are counted
MAX_TEXT = 64_000_000  # characters that merges are learned from
LONG = 2**14  # characters of a sentence that the library is given at once
LONGEST_WORD = 1_000  # characters; longer ones are no words, but base64 or the like
BETWEEN = re.compile(r"(?<=\S) (?=\S)")
ENDLESS = re.compile(rf"\S{{{LONGEST_WORD + 1}}}|\s{{{LONGEST_WORD + 1}}}")
MAX_DISTINCT = 5_000_000  # bytes of the distinct words among these


class Tokenizer:
    """A vocabulary with its rules, as `tokenizer.json` describes it."""

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        # Text that happens to contain "</s>" or "<unk>" is text, not a symbol.
        backend.encode_special_tokens = True
        self._backend = backend
        # A corpus word spelt like the end symbol must not end the sentence.
        self._words = backend.get_vocab() | {SPECIAL[BOUNDARY]: UNKNOWN} if self.by_word else {}

    @property
    def size(self) -> int:
        """The number V of ids."""
        return self._backend.get_vocab_size()

    @property
    def by_word(self) -> bool:
        """Whether tokens are whole words, so that unknown ones exist."""
        return isinstance(self._backend.model, models.WordLevel)

    def encode(self, sentences: Sequence[str]) -> list[list[int]]:
        """Returns the ids of each sentence, without boundaries."""
        ids, lengths = self.encode_flat(sentences)
        return [part.tolist() for part in np.split(ids, np.cumsum(lengths))[:-1]]

    def encode_flat(
        self, sentences: Sequence[str]
    ) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """Returns the ids of N sentences end to end, and the length of each, with shape (N,)."""
        pieces: list[Any]
        if self.by_word:  # to look words up takes a fifth of the library's time
            pieces = [sentence.split() for sentence in sentences]
        else:
            pieces = self._by_bytes(list(sentences))
        lengths = np.fromiter(map(len, pieces), np.int64, len(pieces))
        flat: Iterator[Any] = chain.from_iterable(pieces)
        if self.by_word:
            flat = map(self._words.get, flat, repeat(UNKNOWN))
        ids = np.fromiter(flat, np.uint32, int(lengths.sum()))
        return np.maximum(ids, np.uint32(UNKNOWN)), lengths

    def _by_bytes(self, sentences: list[str]) -> list[list[int]]:
        """Returns the ids of each sentence; the library takes some 300 bytes for each of it."""
        if max(map(len, sentences), default=0) <= LONG:
            return [found.ids for found in self._backend.encode_batch_fast(sentences)]
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
            DataError: It would be larger than `load` accepts.
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
            CheckpointError: The file is missing, or not one that mivae wrote.
        """
        try:
            record = _strict_json(path)
            backend = _rebuilt(record["model"])
            same = record == json.loads(backend.to_str())
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic of the library is no Exception
            raise CheckpointError(
                f"cannot read the tokenizer '{path}': {reason(error)}"
            ) from error
        if not same:
            raise CheckpointError(f"'{path}' is not a tokenizer that mivae wrote")
        return cls(backend)


def train_tokenizer(
    sentences: Iterable[str], config: WordTokenizerConfig | BPETokenizerConfig
) -> Tokenizer:
    """Chooses a vocabulary from sentences, the most frequent entries first.

    Raises:
        DataError: No word is frequent enough to be kept.
    """
    if isinstance(config, BPETokenizerConfig):
        return _train_bpe(sentences, config)
    counts = _word_counts(iter(sentences))
    for symbol in SPECIAL:
        counts.pop(symbol, None)
    kept = [(-count, word) for word, count in counts.items() if count >= config.min_count]
    words = [word for _, word in sorted(kept)][: config.vocab_size - len(SPECIAL)]
    if not words:
        raise DataError(
            f"no word occurs {config.min_count} times or more: bring more text, lower it with "
            "--set data.tokenizer.min_count=1, or use --tokenizer bpe, which needs no spaces "
            "between words"
        )
    return Tokenizer(_by_words({word: index for index, word in enumerate(SPECIAL + words)}))


def _word_counts(sentences: Iterator[str]) -> Counter[str]:
    """Counts words; of more than `MAX_WORDS` distinct ones, the rarest so far are forgotten.

    A word that comes back later is then counted from zero, so only words near the least count
    that has been dropped can be missed: none that a vocabulary of a usual size would hold.
    """
    counts: Counter[str] = Counter()
    while chunk := list(islice(sentences, CHUNK)):
        counts.update(chain.from_iterable(map(str.split, chunk)))
        least = 1
        while len(counts) > MAX_WORDS:
            counts = Counter({word: count for word, count in counts.items() if count > least})
            least += 1
    return counts


def training_sample(sentences: Iterable[str]) -> list[str]:
    """Returns the sentences, or an even share of them where there are more than are needed.

    The trainer holds about 130 bytes for each byte of a distinct word, so a half of the sentences
    is dropped at random, and of those to come, whenever the text or its distinct words grow
    beyond a bound. That costs little: with merges learned from a sixteenth of 200 MB of text with
    a million distinct words, held-out sentences came to 0.02 % more tokens.
    """
    generator = random.Random(0)
    kept: list[str] = []
    words: set[str] = set()
    share, length, distinct = 1.0, 0, 0
    for sentence in sentences:
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


def _train_bpe(sentences: Iterable[str], config: BPETokenizerConfig) -> Tokenizer:
    backend = _by_merges({}, [])
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size,
        min_frequency=config.min_count,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    sample = training_sample(sentences)
    backend.train_from_iterator(chain.from_iterable(map(_to_learn_from, sample)), trainer)
    return Tokenizer(backend)


def _parts(sentence: str) -> Iterator[str]:
    """Cuts a long sentence between words, before spaces, so that its ids are the same."""
    start = 0
    while len(sentence) - start > LONG and (cut := BETWEEN.search(sentence, start + LONG)):
        yield sentence[start : cut.start()]
        start = cut.start()
    yield sentence[start:]


def _to_learn_from(sentence: str) -> Iterator[str]:
    """Cuts what takes the trainer the square of its length in time: words without an end."""
    for part in _parts(sentence):
        if len(part) > LONGEST_WORD and ENDLESS.search(part):
            yield from (part[at : at + LONGEST_WORD] for at in range(0, len(part), LONGEST_WORD))
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


def _rebuilt(model: Any) -> tokenizers.Tokenizer:  # noqa: ANN401  # as a stranger wrote it
    """Returns what training would have made of the vocabulary and merges of a file."""
    vocabulary = model["vocab"]
    ids = list(vocabulary.values())
    if not all(type(index) is int for index in ids) or sorted(ids) != list(range(len(ids))):
        raise ValueError("its ids are not those from 0 to V - 1, each once")
    if [vocabulary.get(symbol) for symbol in SPECIAL] != [BOUNDARY, UNKNOWN]:
        raise ValueError("it is not a tokenizer that mivae wrote: other symbols come first")
    if model["type"] == "WordLevel":
        return _by_words(vocabulary)
    if not vocabulary.keys() >= set(pre_tokenizers.ByteLevel.alphabet()):
        raise ValueError("its vocabulary lacks some of the 256 bytes")
    backend = _by_merges(vocabulary, [(left, right) for left, right in model["merges"]])
    backend.add_special_tokens(SPECIAL)
    return backend


def _strict_json(path: Path) -> Any:  # noqa: ANN401  # any JSON
    """Returns what a regular file of bounded size holds, if every reader would see the same."""
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is no regular file")
    if status.st_size > limits.MAX_TOKENIZER_BYTES:
        raise ValueError(
            f"{status.st_size:,} bytes are more than the limit of {limits.MAX_TOKENIZER_BYTES:,}"
        )

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) != len(pairs):
            raise ValueError("a key stands in it twice")
        return table

    def refused(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    content = path.read_text(encoding="utf-8")
    return json.loads(content, object_pairs_hook=unique, parse_constant=refused)
