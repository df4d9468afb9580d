"""Prepare a corpus in two passes over its text: train the tokenizer, then write token ids."""

__all__ = ["SPLITS", "corpus_key", "write_corpus"]

import hashlib
import json
from contextlib import ExitStack
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any, get_args

import numpy as np

from ..config.data import DataConfig
from ..errors import DataError
from ..storage.files import sync_file
from ..storage.manifest import entry_of, write_manifest
from .cache import CORPUS_FILE, MANIFEST
from .corpus import Split
from .ingestion import (
    WIDTHS,
    SourceFile,
    Sources,
    SplitSummary,
    apply_max_tokens,
    split_chunks,
    split_writer,
)
from .records import RowCounts, TextRecords
from .tokenizer import train_tokenizer

FORMAT = 2  # format of prepared corpora; part of the cache key
MAX_DISTINCT = 1000  # distinct sentences: with more, duplicates are not why a split is empty
SPLITS: tuple[Split, ...] = get_args(Split)


def corpus_key(sources: Sources, config: DataConfig) -> str:
    """Returns the cache key: a hash of the texts and of all settings that affect the corpus."""
    settings = config.model_dump(exclude={"train", "valid", "test"})
    hashes = {split: _one([file.digest for file in files]) for split, files in sources.items()}
    # they determine the format
    suffixes = {split: _one([f.path.suffixes for f in files]) for split, files in sources.items()}
    text = json.dumps([FORMAT, hashes, suffixes, settings], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def write_corpus(folder: Path, key: str, sources: Sources, config: DataConfig) -> None:
    """Writes the files of a prepared corpus into an empty folder, its manifest last.

    The sources are as in `split_chunks`; the manifest stores the `corpus_key`.

    Raises:
        DataError: A text cannot be read, or a split is empty.
        SourceChanged: A file does not match its hash.
    """
    passed = split_chunks(sources, config, ["train"])
    train = (chunk.sentences for split, _, chunk in passed if split == "train")
    tokenizer = train_tokenizer(chain.from_iterable(train), config.tokenizer)
    tokenizer.save(folder / "tokenizer.json")
    dtype = np.dtype(WIDTHS[0] if tokenizer.size <= 2**16 else WIDTHS[1])
    summaries = {split: SplitSummary() for split in SPLITS}
    with ExitStack() as stack:
        writers = {
            split: stack.enter_context(split_writer(folder, split, dtype)) for split in SPLITS
        }
        for split, file, chunk in split_chunks(sources, config, SPLITS):
            flat = tokenizer.encode_flat(chunk.sentences)
            kept = apply_max_tokens(*flat, chunk.lines, config, summaries[split])
            writers[split](*kept)
            file.stored[split] += len(kept[1])
    counts = {split: summary.sentences for split, summary in summaries.items()}
    if not any(counts.values()) and not any(s.skipped for s in summaries.values()):
        raise DataError(f"{config.train_name} contains no sentences")
    if min(counts.values()) == 0 or counts["train"] < 2:
        listed = ", ".join(f"{count} for {split}" for split, count in counts.items())
        raise DataError(
            f"{config.train_name} {_shortage(sources['train'], config)}: {listed}; add more distinct "
            "sentences, or name held-out files with --valid and --test (settings data.valid and "
            "data.test)"
        )
    written = sorted(path for path in folder.iterdir() if CORPUS_FILE.fullmatch(path.name))
    for path in written:
        sync_file(path)
    write_manifest(
        folder,
        "corpus",
        {path.name: entry_of(path) for path in written},
        {
            "key": key,
            "dtype": dtype.str,
            "sources": {
                str(file.path.resolve()): file.digest
                for files in sources.values()
                for file in files
            },
            "splits": {split: asdict(summary) for split, summary in summaries.items()},
            "rows": {
                split: asdict(RowCounts.total(file.rows for file in files))
                for split, files in sources.items()
            },
            **_parts(sources),
        },
        MANIFEST,
    )


def _parts(sources: Sources) -> dict[str, dict[Split, list[int]]]:
    """Returns how many sentences of each split come from each training file, if there are several."""
    if len(sources["train"]) == 1:
        return {}
    splits = [split for split in SPLITS if split == "train" or split not in sources]
    return {"parts": {split: [f.stored[split] for f in sources["train"]] for split in splits}}


def _one(values: list[Any]) -> Any:  # noqa: ANN401  # the key of a single text has no list
    return values[0] if len(values) == 1 else values


def _shortage(files: list[SourceFile], config: DataConfig) -> str:
    """Returns why texts cannot be split: they are too short, or have too many duplicates."""
    sentences = 0
    distinct: set[str] = set()
    for record in chain.from_iterable(TextRecords(file.path, config) for file in files):
        sentences += 1
        distinct.add(record.text)
        if len(distinct) > MAX_DISTINCT:
            break
    if len(distinct) in (sentences, MAX_DISTINCT + 1):
        return "is too short"
    return (
        f"has {sentences:,} sentences, but only {len(distinct):,} distinct ones (duplicates "
        "are always in the same split)"
    )
