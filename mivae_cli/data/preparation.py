"""Prepare a corpus in two passes over its text: train the tokenizer, then write token ids."""

__all__ = ["SPLITS", "corpus_key", "write_corpus"]

import hashlib
import json
from contextlib import ExitStack
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import get_args

import numpy as np

from ..config.data import DataConfig
from ..errors import DataError
from ..storage.files import sync_file
from ..storage.manifest import entry_of, write_manifest
from .cache import CORPUS_FILE, MANIFEST
from .corpus import Split
from .ingestion import WIDTHS, SplitSummary, apply_max_tokens, split_chunks, split_writer
from .records import RowCounts, TextRecords
from .tokenizer import train_tokenizer

FORMAT = 2  # format of prepared corpora; part of the cache key
MAX_DISTINCT = 1000  # distinct sentences: with more, duplicates are not why a split is empty
SPLITS: tuple[Split, ...] = get_args(Split)


def corpus_key(hashes: dict[Split, str], files: dict[Split, Path], config: DataConfig) -> str:
    """Returns the cache key: a hash of the texts and of all settings that affect the corpus."""
    settings = config.model_dump(exclude={"train", "valid", "test"})
    suffixes = {split: path.suffixes for split, path in files.items()}  # they determine the format
    text = json.dumps([FORMAT, hashes, suffixes, settings], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def write_corpus(
    folder: Path, key: str, files: dict[Split, Path], hashes: dict[Split, str], config: DataConfig
) -> None:
    """Writes the files of a prepared corpus into an empty folder, its manifest last.

    Files and hashes are as in `split_chunks`; the manifest stores the `corpus_key`.

    Raises:
        DataError: A text cannot be read, or a split is empty.
        SourceChanged: A file does not match its hash.
    """
    passed = split_chunks(files, config, ["train"], hashes)
    train = (chunk.sentences for split, chunk in passed if split == "train")
    tokenizer = train_tokenizer(chain.from_iterable(train), config.tokenizer)
    tokenizer.save(folder / "tokenizer.json")
    dtype = np.dtype(WIDTHS[0] if tokenizer.size <= 2**16 else WIDTHS[1])
    summaries = {split: SplitSummary() for split in SPLITS}
    rows = {split: RowCounts() for split in files}
    with ExitStack() as stack:
        writers = {
            split: stack.enter_context(split_writer(folder, split, dtype)) for split in SPLITS
        }
        for split, chunk in split_chunks(files, config, SPLITS, hashes, rows):
            flat = tokenizer.encode_flat(chunk.sentences)
            writers[split](*apply_max_tokens(*flat, chunk.lines, config, summaries[split]))
    counts = {split: summary.sentences for split, summary in summaries.items()}
    if not any(counts.values()) and not any(s.skipped for s in summaries.values()):
        raise DataError(f"'{config.train}' contains no sentences")
    if min(counts.values()) == 0 or counts["train"] < 2:
        listed = ", ".join(f"{count} for {split}" for split, count in counts.items())
        raise DataError(
            f"'{config.train}' {_shortage(files['train'], config)}: {listed}; add more distinct "
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
            "sources": {str(files[split].resolve()): hashes[split] for split in files},
            "splits": {split: asdict(summary) for split, summary in summaries.items()},
            "rows": {split: asdict(counted) for split, counted in rows.items()},
        },
        MANIFEST,
    )


def _shortage(path: Path, config: DataConfig) -> str:
    """Returns why a file cannot be split: it is too short, or has too many duplicates."""
    counts = RowCounts()
    distinct: set[str] = set()
    for record in TextRecords(path, config, counts):
        distinct.add(record.text)
        if len(distinct) > MAX_DISTINCT:
            break
    if len(distinct) in (counts.sentences, MAX_DISTINCT + 1):
        return "is too short"
    return (
        f"has {counts.sentences:,} sentences, but only {len(distinct):,} distinct ones (duplicates "
        "are always in the same split)"
    )
