"""Sentences that users pass to the API: strings, or the records of a text file."""

__all__ = ["HeldOut", "Sentences", "file_settings", "strings", "text_paths", "token_store"]

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ..config.data import DataConfig
from ..config.resolve import read_config
from ..config.run import RunConfig
from ..data.file_formats import check_settings, format_of
from ..data.prepared_corpus import SplitSummary, TokenStore, encode_sentences
from ..data.records import TextRecords
from ..data.tokenizer import Tokenizer
from ..errors import ConfigError, DataError

Sentences = Iterable[str] | TextRecords
"""Strings, one sentence each, or the records of a file (`Run.read_file`)."""
HeldOut = Sentences | TokenStore
"""Sentences that may have been tokenized with the vocabulary of the run."""


def text_paths(corpus: object) -> str | tuple[str, ...] | None:
    """Returns the path of a text or of several ones; None if the corpus is not made of paths."""
    if isinstance(corpus, str | Path):
        return str(corpus)
    if (
        isinstance(corpus, list | tuple)
        and corpus
        and all(isinstance(each, Path) for each in corpus)
    ):
        return tuple(map(str, corpus)) if len(corpus) > 1 else str(corpus[0])
    return None


def strings(sentences: Sentences) -> Iterator[str]:
    """Returns the text of each sentence; one string is one sentence.

    Raises:
        DataError: The sentences are a table, a path or bytes. While iterating: one is not a
            string, such as a missing value, or not valid UTF-8.
    """
    if isinstance(sentences, str):
        sentences = [sentences]
    if isinstance(sentences, TextRecords):
        return (record.text for record in sentences)
    # iterating over a table or a mapping gives the names of its columns
    if (
        isinstance(sentences, bytes | Mapping)
        or hasattr(sentences, "columns")
        or not isinstance(sentences, Iterable)
    ):
        raise DataError(
            f"the sentences are of type {type(sentences).__name__}: pass strings, such as a list "
            "or one column of a table; for a file, use Run.read_file"
        )
    return _checked(sentences)


def _checked(sentences: Iterable[str]) -> Iterator[str]:
    for number, sentence in enumerate(sentences, start=1):
        if not isinstance(sentence, str):
            raise DataError(
                f"sentence {number} is of type {type(sentence).__name__}, not a string"
            )
        if any("\ud800" <= char <= "\udfff" for char in sentence):
            raise DataError(f"sentence {number} is not UTF-8")
        yield str(sentence)  # a string of NumPy would be shown as np.str_('...')


def file_settings(
    config: RunConfig, settings: Mapping[str, object] | None, path: str | Path
) -> DataConfig:
    """Returns the data settings for reading a file: those of the run, with changes.

    Settings are by key, such as `data.column`; None keeps the value of the run.

    Raises:
        ConfigError: A key or value does not exist, or does not apply to this kind of file.
    """
    given = {key: value for key, value in (settings or {}).items() if value is not None}
    for key in given:
        if not key.startswith("data."):
            raise ConfigError(f"'{key}' is not a setting for reading a file: use data.* keys")
    data = read_config(options=given, base=config).data
    names = [key.removeprefix("data.") for key in given]
    check_settings(names, {format_of(Path(path), data.format)}, str(path))
    return data


def token_store(
    sentences: Sentences,
    tokenizer: Tokenizer,
    config: DataConfig,
    summary: SplitSummary | None = None,
) -> TokenStore:
    """Returns sentences as token ids, as `encode_sentences` does; records also give line numbers.

    Raises:
        DataError: There are no sentences, or over half of the words are unknown.
    """
    if isinstance(sentences, TextRecords):
        name = f"'{sentences.path}'"
        return encode_sentences(sentences.numbered(), name, tokenizer, config, summary)
    texts = ((row, text) for row, text in enumerate(strings(sentences), start=1) if text.strip())
    return encode_sentences(texts, "the input", tokenizer, config, summary)
