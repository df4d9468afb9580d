"""Tokenizers: from a sentence to ids and back, on the `tokenizers` library.

Two ids are fixed. `BOUNDARY` stands before the first word and after the last, so the
vocabulary holds one end symbol and no start symbol, and the output layer covers exactly what
can follow. `UNKNOWN` is what a word tokenizer reads for words it does not know and what word
dropout shows the decoder; it counts in likelihoods and is never generated.
"""

__all__ = ["BOUNDARY", "UNKNOWN", "Tokenizer", "train_tokenizer"]

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from ..config import BPETokenizerConfig, WordTokenizerConfig
from ..errors import CheckpointError, DataError

BOUNDARY, UNKNOWN = 0, 1
SPECIAL = ["</s>", "<unk>"]


class Tokenizer:
    """A vocabulary with its rules, as `tokenizer.json` describes it."""

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        # Text that happens to contain "</s>" or "<unk>" is text, not a symbol.
        backend.encode_special_tokens = True
        self._backend = backend

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
        encodings = self._backend.encode_batch_fast(list(sentences))
        # A corpus word spelt like the end symbol must not end the sentence.
        return [[token or UNKNOWN for token in encoding.ids] for encoding in encodings]

    def decode(self, ids: Iterable[int]) -> str:
        """Returns the text of ids without boundaries."""
        return self._backend.decode(list(ids), skip_special_tokens=False)

    def save(self, path: Path) -> None:
        """Writes `tokenizer.json`."""
        path.write_text(self._backend.to_str(pretty=True), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        """Reads `tokenizer.json`.

        Raises:
            CheckpointError: The file is missing, or not one that mivae wrote.
        """
        try:
            backend = tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8"))
        except Exception as error:  # the library raises bare Exception for malformed JSON
            raise CheckpointError(f"cannot read the tokenizer '{path}': {error}") from error
        if [backend.id_to_token(index) for index in (BOUNDARY, UNKNOWN)] != SPECIAL:
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
    counts = Counter(word for sentence in sentences for word in sentence.split())
    for symbol in SPECIAL:
        counts.pop(symbol, None)
    kept = [(-count, word) for word, count in counts.items() if count >= config.min_count]
    words = [word for _, word in sorted(kept)][: config.vocab_size - len(SPECIAL)]
    if not words:
        raise DataError(
            f"no word occurs {config.min_count} times or more: bring more text, or lower it with "
            "--set data.tokenizer.min_count=1"
        )
    vocabulary = {word: index for index, word in enumerate(SPECIAL + words)}
    backend = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token=SPECIAL[UNKNOWN]))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return Tokenizer(backend)


def _train_bpe(sentences: Iterable[str], config: BPETokenizerConfig) -> Tokenizer:
    backend = tokenizers.Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size,
        min_frequency=config.min_count,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(sentences, trainer)
    return Tokenizer(backend)
