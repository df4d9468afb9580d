"""Sentences of a run or of a file, with their labels, for a map: see `mivae_cli.explorer`."""

__all__ = [
    "MappedSentences",
    "check_explorable",
    "explored_model",
    "explored_sentences",
    "map_sentences",
    "open_explorer",
]

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..choices import MapMethod
from ..data.records import Record, TextRecords
from ..data.token_store import TokenStore
from ..errors import CheckpointError, DataError
from ..evaluation.encode import posteriors
from ..evaluation.projection import check_umap, fit_projection
from ..explorer.cache import cache_folder
from ..explorer.model import ExploredModel
from ..explorer.overview import About
from ..explorer.sentences import Label, Sentences, drawn_order, label_kind
from ..explorer.session import Explorer
from ..generation.latent_files import TextRows
from ..limits import MAX_CATEGORIES, MAX_EXPLORED, MAX_LABEL_COLUMNS, check_count
from .run import Run
from .sentence_labels import (
    LabelRows,
    label_rows,
    label_values,
    matched_places,
    source_of,
    source_of_split,
)

POINTS = 100_000  # sentences on the map, by default
SEED = 0  # of the sentences drawn from a long file
FITTED = 20_000  # sentences that determine the map of a file


def open_explorer(
    run: Run,
    records: TextRecords | None = None,
    *,
    labels: str | Path | None = None,
    column: str = "label",
    points: int = POINTS,
    method: MapMethod = "pca",
    name: str | None = None,
) -> Explorer:
    """Returns the explorer of a run, with its first sentences encoded.

    Arguments:
        run: The run.
        records: The sentences of a file; by default the run's test split.
        labels: A file with a label for each sentence or each row of the text.
        column: The column of a table with the labels.
        points: Maximum number of sentences, drawn at random from more.
        method: How the map is made.
        name: What the page calls the sentences; by default the name of the file or split.

    Raises:
        CheckpointError: The run is a language model, or its corpus is missing.
        ConfigError: The package for a UMAP map is missing, or a number is out of range.
        DataError: The file contains no sentences, or the labels do not match.
    """
    check_explorable(run, method)
    sentences = explored_sentences(run, records, labels=labels, column=column, points=points)
    if name is not None:
        sentences = replace(sentences, name=name)
    about = About(str(run.path), run.checkpoint, Path(run.path).name, described(run))
    return Explorer(explored_model(run), sentences, about, method, cache_folder())


@dataclass(frozen=True, eq=False)
class MappedSentences:
    """N sentences of a file in its order, with their places on a map."""

    sentences: Sentences
    vectors: NDArray[np.float32]  # posterior means, (N, Z)
    rates: NDArray[np.float32]  # in nats, (N,)
    places: NDArray[np.float32]  # (N, 2)


def map_sentences(
    run: Run,
    records: TextRecords,
    *,
    labels: str | Path | None = None,
    column: str = "label",
    method: MapMethod = "pca",
) -> MappedSentences:
    """Returns all sentences of a file with their labels, posterior means and places on a map.

    Raises:
        CheckpointError: The run is a language model.
        ConfigError: The package for a UMAP map is missing.
        DataError: The file contains no sentences or too many, or the labels do not match.
    """
    check_explorable(run, method)
    sentences = explored_sentences(
        run, records, labels=labels, column=column, points=MAX_EXPLORED, shuffled=False
    )
    posterior = posteriors(run._model, sentences.store)
    vectors = np.asarray(posterior.mean.numpy(), np.float32)
    rates = posterior.rates().sum(dim=-1).numpy().astype(np.float32)
    sample = vectors[np.sort(drawn_order(len(vectors), FITTED))]
    places = fit_projection(sample, method).apply(vectors)
    return MappedSentences(sentences, vectors, rates, places)


def check_explorable(run: Run, method: MapMethod) -> None:
    """Raises CheckpointError for a language model, ConfigError if a package is missing."""
    run._require_latents()
    if method == "umap":
        check_umap()


def explored_model(run: Run) -> ExploredModel:
    """Returns the model of a run, with the hash of its weights."""
    manifest = run._directory.checkpoints.named(run.checkpoint).manifest
    entry = manifest.files.get("model.safetensors")
    weights = "" if entry is None else entry.sha256
    return ExploredModel(run._model, run._tokenizer, run._max_tokens, weights)


def explored_sentences(
    run: Run,
    records: TextRecords | None = None,
    *,
    labels: str | Path | None = None,
    column: str = "label",
    points: int = POINTS,
    shuffled: bool = True,
) -> Sentences:
    """Returns sentences with their labels, in random order unless it must be kept."""
    points = check_count("the number of points", points, 1, MAX_EXPLORED)
    given = None if labels is None else label_rows(labels, column)
    if given is not None and given.table is None:
        column = "label"
    if records is None:
        return _of_split(run, given, column, points)
    return _of_file(run, records, given, column, points, shuffled)


def described(run: Run) -> dict[str, str | int]:
    """Returns what the page says of the model."""
    config = run.config.model
    return {
        "Encoder": config.encoder.kind,
        "Decoder": config.decoder.kind,
        "Posterior": config.posterior.kind,
        "Latent units": run.latent_size,
        "Parameters": sum(weights.numel() for weights in run._model.parameters()),
        "Vocabulary": run._tokenizer.size,
    }


def _of_split(run: Run, given: LabelRows | None, column: str, points: int) -> Sentences:
    try:
        corpus = run._corpus
    except CheckpointError as error:
        raise CheckpointError(
            f"{error}; to map other sentences, give a text file with --data (in Python, records=)"
        ) from error
    store = corpus["test"]
    order = drawn_order(len(store), points)
    chosen = TokenStore.from_ids(store.sentence(int(index)) for index in order)
    texts = [run._tokenizer.decode(chosen.sentence(place)) for place in range(len(chosen))]
    own: tuple[Label, ...] = ()
    if given is not None:
        source = source_of_split(corpus, run.config.data, "test")
        places = matched_places(given, len(store), store.lines, source)
        own = (Label(column, [given.values[place] for place in places[order]]),)
    lines = None
    if store.lines is not None and not corpus.parts:  # else numbers without the name of a file
        lines = store.lines[order].astype(np.int64)
    name = f"test split of {run.config.data.train_title}"
    return Sentences(name, texts, chosen, lines, own)


def _of_file(
    run: Run,
    records: TextRecords,
    given: LabelRows | None,
    column: str,
    points: int,
    shuffled: bool,
) -> Sentences:
    kept, lines = _drawn(records, points)
    if not kept:
        raise DataError(f"'{records.path}' contains no sentences")
    if not shuffled and len(lines) > points:
        raise DataError(f"'{records.path}' has more than {points:,} sentences; split the file")
    order = drawn_order(len(kept), points) if shuffled else np.arange(len(kept))
    chosen = [kept[place] for place in order]
    texts = [record.text for _, record in chosen]
    store = _tokenized(run, texts)
    labels = list(_columns([record for _, record in chosen], records, texts))
    if given is not None:
        numbers = np.array(lines, np.uint32)
        places = matched_places(given, len(lines), numbers, source_of(records))
        values = [given.values[places[ordinal]] for ordinal, _ in chosen]
        labels = [Label(column, values), *(each for each in labels if each.name != column)]
    own_lines = np.array([record.line for _, record in chosen], np.int64)
    name = Path(records.path).name
    return Sentences(name, texts, store, own_lines, tuple(labels))


def _tokenized(run: Run, texts: list[str]) -> TokenStore:
    """Returns sentences of a file as token ids, of which at most the run's maximum is kept."""
    ids, lengths = run._tokenizer.encode_flat(texts)
    kept = np.minimum(lengths, run._max_tokens)
    starts = np.cumsum(lengths) - lengths
    places = np.arange(len(ids)) - np.repeat(starts, lengths)  # within their sentences
    ids = ids[places < np.repeat(kept, lengths)]
    return TokenStore(ids, np.concatenate([[0], np.cumsum(kept)]))


def _drawn(records: TextRecords, most: int) -> tuple[list[tuple[int, Record]], list[int]]:
    """Returns at most `most` records, with their numbers, and the lines of all records.

    Each record of a longer file is kept with the same probability (Vitter's algorithm R, 1985).
    """
    kept: list[tuple[int, Record]] = []
    lines: list[int] = []
    rng = np.random.default_rng(SEED)
    for ordinal, record in enumerate(records):
        lines.append(record.line)
        if ordinal < most:
            kept.append((ordinal, record))
        elif (place := int(rng.integers(ordinal + 1))) < most:
            kept[place] = (ordinal, record)
    return sorted(kept, key=lambda pair: pair[0]), lines


def _columns(records: list[Record], source: TextRecords, texts: list[str]) -> Iterator[Label]:
    """Yields the other columns of a table, or fields of JSON values, that may be labels.

    Text that is different in every row, such as a title, is no label.
    """
    if records[0].source is None:  # lines of text
        return
    found = 0
    for name, values in TextRows.of(records, source.header).columns.items():
        texts_of = [None if value is None else _as_text(value) for value in values]
        if texts_of == texts or found == MAX_LABEL_COLUMNS:
            continue
        label = Label(name, label_values([text or None for text in texts_of]))
        distinct = {value for value in label.values if value is not None}
        many = len(distinct) > max(MAX_CATEGORIES, len(texts) // 2)
        if distinct and not (many and label_kind(label.values) == "category"):
            found += 1
            yield label


def _as_text(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.strip().encode("utf-8", "replace").decode()
