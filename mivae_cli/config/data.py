"""Settings of the corpus and its tokenizer."""

__all__ = ["TEXTS", "BPETokenizerConfig", "DataConfig", "WordTokenizerConfig"]

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from ..choices import BadRows, Quoting, TextFormat
from ..limits import MAX_VOCABULARY
from ..schema import Count, Frozen, Probability, Text


def _delimiter(text: str) -> str:
    if text in ("\t", r"\t"):
        return "tab"
    if text not in ("auto", "tab") and (len(text) != 1 or text in '"\r\n\0'):
        raise ValueError("write one character (not a quote), tab, or auto")
    return text


TEXTS = ("train", "valid", "test")  # the data settings that are paths


Column = Annotated[
    Text, BeforeValidator(lambda value: str(value) if type(value) is int else value)
]


class WordTokenizerConfig(Frozen):
    """Words are what stands between spaces, as in the field's benchmarks."""

    kind: Literal["word"] = "word"
    vocab_size: Annotated[int, Field(ge=3, le=MAX_VOCABULARY)] = 20_000
    """At most so many entries, the end of a sentence and the unknown word among them."""
    min_count: Count = 2
    """Rarer words are read as the unknown word."""


class BPETokenizerConfig(Frozen):
    """Byte-level byte-pair encoding: any text is read and given back without loss."""

    kind: Literal["bpe"] = "bpe"
    vocab_size: Annotated[int, Field(ge=258, le=MAX_VOCABULARY)] = 8_000
    """At most so many entries; 256 bytes and two symbols are always there."""
    min_count: Count = 2
    """A pair seen less often is not merged."""


Tokenizer = Annotated[WordTokenizerConfig | BPETokenizerConfig, Field(discriminator="kind")]


class DataConfig(Frozen):
    """Where the sentences are and how they become tokens."""

    train: Text = ""
    """A text file, a folder, or - for standard input; relative to the TOML file if named there."""
    valid: Text = ""
    """Held-out sentences to choose the checkpoint on; empty: split off from train."""
    test: Text = ""
    """Held-out sentences to report on; empty: split off from train."""
    valid_share: Probability = 0.05
    """The share that is split off for validation, by a hash of the sentence."""
    test_share: Probability = 0.05
    """The share that is split off for the test, by a hash of the sentence."""
    format: TextFormat = "auto"
    """How files are read: text, json, csv or tsv; auto goes by the file's extension."""
    field: Text = "text"
    """The field that holds the text in JSON objects; data.text is the field text inside data."""
    column: Column = "text"
    """The column that holds the text in tables: its name, or its number counted from 1."""
    delimiter: Annotated[str, AfterValidator(_delimiter)] = "auto"
    """What separates the cells of a table: a character or tab; auto is , in .csv and tab in .tsv."""
    quoting: Quoting = "auto"
    """Whether quotes enclose cells: minimal or none; auto is minimal in .csv and none in .tsv."""
    header: bool = True
    """Whether the first row of a table names its columns."""
    bad_rows: BadRows = "stop"
    """Rows of the wrong length and records without a text: stop with an error, or skip and count."""
    tokenizer: Tokenizer = BPETokenizerConfig()
    """How a sentence becomes tokens: word or bpe."""
    max_tokens: Count = 100
    """The longest sentence, in tokens, the end symbol not counted."""
    too_long: Literal["truncate", "skip"] = "truncate"
    """What becomes of longer sentences."""
