"""Settings of the corpus and its tokenizer."""

__all__ = ["PATHS", "BPETokenizerConfig", "DataConfig", "WordTokenizerConfig"]

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from ..choices import BadRows, Quoting, TextFormat
from ..limits import MAX_CORPUS_FILES, MAX_TEXT, MAX_VOCABULARY
from ..schema import Count, Frozen, Probability, Text, without_controls


def _delimiter(text: str) -> str:
    if text in ("\t", r"\t"):
        return "tab"
    if text not in ("auto", "tab") and (len(text) != 1 or text in '"\r\n\0'):
        raise ValueError("use one character other than a quote, or tab, or auto")
    return text


PATHS = ("train", "valid", "test")  # settings whose values are paths


def _paths(value: object) -> object:
    """Returns a path, or a tuple of at least two; checks them, for one message instead of two."""
    paths = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not all(isinstance(path, str) for path in paths):
        raise ValueError("must be a path or a list of paths")
    for path in map(str, paths):
        if len(path) > MAX_TEXT or any("\ud800" <= char <= "\udfff" for char in path):
            raise ValueError(f"a path must be valid Unicode of at most {MAX_TEXT:,} characters")
        without_controls(path)
    if len(paths) > MAX_CORPUS_FILES:
        raise ValueError(f"there can be at most {MAX_CORPUS_FILES:,} paths")
    return paths if len(paths) > 1 else "".join(map(str, paths))


Column = Annotated[
    Text, BeforeValidator(lambda value: str(value) if type(value) is int else value)
]


class WordTokenizerConfig(Frozen):
    """Word tokenizer: splits at white space, as in published benchmarks."""

    kind: Literal["word"] = "word"
    vocab_size: Annotated[int, Field(ge=3, le=MAX_VOCABULARY)] = 20_000
    """Maximum vocabulary size, including the end-of-sentence and unknown-word symbols."""
    min_count: Count = 2
    """Minimum count of a word in the training text; rarer words become the unknown word."""


class BPETokenizerConfig(Frozen):
    """Byte-level byte-pair encoding (BPE): lossless for any text."""

    kind: Literal["bpe"] = "bpe"
    vocab_size: Annotated[int, Field(ge=258, le=MAX_VOCABULARY)] = 8_000
    """Maximum vocabulary size, including the 256 bytes and two special symbols."""
    min_count: Count = 2
    """Minimum count of a pair of tokens; rarer pairs are not merged."""


Tokenizer = Annotated[WordTokenizerConfig | BPETokenizerConfig, Field(discriminator="kind")]


class DataConfig(Frozen):
    """Text files, their format, splits and tokenizer."""

    train: Annotated[str | tuple[str, ...], BeforeValidator(_paths)] = ""
    """Training text: file, folder, pattern, a list of these, or - (standard input); relative to the TOML file."""
    valid: Text = ""
    """Validation file, used to select the best checkpoint; empty: split off from train."""
    test: Text = ""
    """Test file, used for evaluation; empty: split off from train."""
    valid_share: Probability = 0.05
    """Share of the training text to split off for validation, by a hash of each sentence."""
    test_share: Probability = 0.05
    """Share of the training text to split off for testing, by a hash of each sentence."""
    format: TextFormat = "auto"
    """File format: text, json, csv or tsv; auto uses the file extension."""
    field: Text = "text"
    """JSON field with the text; data.text is the field text inside data."""
    column: Column = "text"
    """Table column with the text: its name, or its number counted from 1."""
    delimiter: Annotated[str, AfterValidator(_delimiter)] = "auto"
    """Delimiter of table cells: a character or tab; auto is a comma in .csv and a tab in .tsv."""
    quoting: Quoting = "auto"
    """Quoting of table cells: minimal or none; auto is minimal in .csv and none in .tsv."""
    header: bool = True
    """Whether the first row of a table contains the column names."""
    bad_rows: BadRows = "stop"
    """Malformed rows and records without text: stop with an error, or skip and count them."""
    tokenizer: Tokenizer = BPETokenizerConfig()
    """Tokenizer: word or bpe."""
    max_tokens: Count = 100
    """Maximum sentence length in tokens, without the end symbol."""
    too_long: Literal["truncate", "skip"] = "truncate"
    """Handling of longer sentences: truncate or skip."""

    @property
    def train_paths(self) -> tuple[str, ...]:
        """The files, folders and patterns of the training text."""
        return self.train if isinstance(self.train, tuple) else (self.train,)

    @property
    def train_name(self) -> str:
        """The training text in messages: its path in quotes, and the number of further paths."""
        first, *others = self.train_paths
        return f"'{first}'" + (f" and {len(others):,} more" if others else "")

    @property
    def train_title(self) -> str:
        """The same without quotes and folders."""
        first, *others = self.train_paths
        return Path(first).name + (f" and {len(others):,} more" if others else "")
