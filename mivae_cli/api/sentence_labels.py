"""Labels of sentences: read from files or passed by users, and matched with sentences.

Row i of the labels belongs to sentence i. If sentences are only some rows of a text file, as in a
test split, or if some of its rows were skipped, there may instead be one label for each row of the
file: the line number of a sentence then gives its label.
"""

__all__ = [
    "LabelRows",
    "Labels",
    "TextSource",
    "label_rows",
    "label_values",
    "matched",
    "matched_places",
    "source_of",
    "source_of_split",
]

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..config.data import DataConfig
from ..data.corpus import Split
from ..data.file_formats import format_of
from ..data.ingestion import Lines, content_hash
from ..data.lines import read_lines, read_rows
from ..data.prepared_corpus import Corpus
from ..data.records import TextRecords
from ..data.token_store import TokenStore
from ..errors import ConfigError, DataError, listing
from ..estimators.io.data_frames import frame_of
from ..estimators.io.delimiters import cell_format
from ..estimators.io.frames import Frame

Labels = ArrayLike | str | Path
"""One label for each sentence: an array, a series, a list, or the path of a file."""
TABLES = (".csv", ".tsv", ".tab")
OTHERS = (".json", ".jsonl", ".ndjson", ".parquet", ".npy", ".npz")


@dataclass(frozen=True, eq=False)
class LabelRows:
    """Labels by row.

    Attributes:
        frame: One column; missing labels are allowed.
        lines: The line number of each row in its file, with shape (L,).
        table: The file, if it is a table.
        values: Text or a number for each row, or None; only of labels from a file.
    """

    frame: Frame
    lines: NDArray[np.int64]
    table: Path | None = None
    values: tuple[Any, ...] = ()


@dataclass(frozen=True)
class TextSource:
    """The file or list that sentences come from.

    Attributes:
        name: Its name in messages.
        rows: The number of its rows; None if unknown.
        table: The hash of its content if it is no text with one sentence per line.
    """

    name: str
    rows: int | None
    table: str | None = None


def label_rows(labels: Labels, column: str = "label") -> LabelRows:
    """Returns labels by row, read from a file if a path is given.

    Arguments:
        labels: One label for each row, or a `.csv` or `.tsv` table or a text file with one label
            per line; each also with `.gz`. Empty lines and cells are missing labels.
        column: The column of a table: its name, or its number counted from 1.

    Raises:
        DataError: The file cannot be read.
        ConfigError: The table has no such column.
    """
    if not isinstance(labels, str | Path):
        frame = frame_of(labels, "the labels")
        return LabelRows(frame, np.arange(1, len(frame) + 1))
    path = Path(labels)
    if not path.is_file():
        raise DataError(f"file not found: '{path}'")
    suffix = path.with_suffix("").suffix if path.suffix.lower() == ".gz" else path.suffix
    suffix = suffix.lower()
    if suffix in TABLES:
        rows = list(_column(path, column))
    elif suffix in OTHERS:
        raise DataError(f"cannot read labels from '{path}'; provide .txt, .csv or .tsv")
    else:
        rows = list(enumerate(read_lines(path), start=1))
    if not rows:
        raise DataError(f"'{path}' is empty; provide one label for each sentence")
    lines = np.array([line for line, _ in rows], np.int64)
    values = label_values([text.strip() or None for _, text in rows])
    made = frame_of(values, f"'{path}'")
    frame = Frame(made.blocks, made.name, lines=lines)
    return LabelRows(frame, lines, path if suffix in TABLES else None, tuple(values))


def matched(labels: LabelRows, store: TokenStore, source: TextSource) -> Frame:
    """Returns the label of each sentence of a store.

    Raises:
        DataError: There are neither as many labels as sentences nor as many as rows of the text.
    """
    places = matched_places(labels, len(store), store.lines, source)
    return labels.frame if len(labels.frame) == len(store) else labels.frame.rows(places)


def matched_places(
    labels: LabelRows, count: int, lines: Lines | None, source: TextSource
) -> NDArray[np.int64]:
    """Returns the row of the label of each of N = count sentences, from 0, with shape (N,).

    Arguments:
        labels: The labels.
        count: The number of sentences.
        lines: Their line numbers in the text, with shape (N,).
        source: The text.

    Raises:
        DataError: There are neither as many labels as sentences nor as many as rows of the text.
    """
    rows = len(labels.frame)
    if rows == count:
        return np.arange(count)
    if rows == source.rows and lines is not None and _same_lines(labels, source):
        places = {line: place for place, line in enumerate(labels.lines.tolist())}
        found = [places.get(line) for line in lines.tolist()]
        if None not in found:
            return np.array(found, np.int64)
    of_text = "" if source.rows in (None, count) else f", of {source.rows:,} rows"
    advice = "provide one label for each sentence"
    if of_text and source.table is None:
        advice += " or for each row"
    elif of_text:
        advice += ", or a column of the same table"
    raise DataError(
        f"{labels.frame.name} has {rows:,} rows, but {source.name} has {count:,} sentences"
        f"{of_text}; {advice}"
    )


def source_of_split(corpus: Corpus, config: DataConfig, split: Split) -> TextSource:
    """Returns the file that the sentences of a split come from, without rows if there are several."""
    files = dict(zip(corpus.rows, corpus.sources.items(), strict=False))
    name = f"the {split} split"
    own: Split = split if split in files else "train"
    # several training files, or a corpus of an old version
    if corpus.parts or own not in files or len(corpus.sources) != len(corpus.rows):
        return TextSource(name, None)
    path, digest = files[own]
    is_text = format_of(Path(path), config.format) == "text"
    return TextSource(name, corpus.rows[own].rows, None if is_text else digest)


def source_of(sentences: object) -> TextSource:
    """Returns the file of records that have been read, or the list of strings."""
    if isinstance(sentences, TextRecords):
        is_text = format_of(sentences.path, sentences.config.format) == "text"
        digest = None if is_text else content_hash(sentences.path)
        return TextSource(f"'{sentences.path}'", sentences.counts.rows, digest)
    return TextSource("the input", len(sentences) if isinstance(sentences, list) else None)


def _column(path: Path, column: str) -> Iterator[tuple[int, str]]:
    """Yields the line number and the cell of a column for each row of a table with a header."""
    form = cell_format(path)
    rows = read_rows(path, form.delimiter, quoted=form.delimiter != "\t")
    rows = (row for row in rows if row[0] > form.skipped)
    names = [name.strip() for name in next(rows, (0, []))[1]]
    numbered = column.isdecimal() and not any(name.isdecimal() for name in names)
    if names.count(column) == 1:
        place = names.index(column)
    elif numbered and 1 <= int(column) <= len(names):
        place = int(column) - 1
    else:
        raise ConfigError(
            f"'{path}' has {names.count(column) or 'no'} columns '{column}' (columns: "
            f"{listing(map(repr, names))}); choose one with --label-column (in Python, column=)"
        )
    for line, cells in rows:
        if len(cells) != len(names):
            raise DataError(
                f"'{path}', line {line}, has {len(cells)} cells, but the first line has "
                f"{len(names)}"
            )
        yield line, cells[place]


def _same_lines(labels: LabelRows, source: TextSource) -> bool:
    """Returns whether equal line numbers mean equal rows."""
    if source.table is None:
        return labels.table is None
    return labels.table is not None and content_hash(labels.table) == source.table


def label_values(texts: list[str | None]) -> list[Any]:
    """Returns numbers if all texts are numbers that double precision keeps apart."""
    try:
        numbers = [None if text is None else float(text) for text in texts]
    except ValueError:
        return list(texts)
    present = [number for number in numbers if number is not None]
    exact = all(abs(number) < 2.0**53 for number in present)  # false for NaN and infinity
    return list(numbers) if exact and present else list(texts)
