"""The preparation of a corpus: two passes over its text, the vocabulary first, then the ids."""

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
from ..storage.manifest import entry_of, vouch_for
from .cache import CORPUS_FILE, MANIFEST
from .corpus import Split, read_sentences
from .ingestion import WIDTHS, SplitSummary, assigned, fitted, split_writer
from .records import RowCounts
from .tokenizer import train_tokenizer

FORMAT = 2  # of the prepared form: another one is another key of the cache
MAX_DISTINCT = 1000  # sentences; a file with more has copies enough for no split to be empty
SPLITS: tuple[Split, ...] = get_args(Split)


def corpus_key(hashes: dict[Split, str], files: dict[Split, Path], config: DataConfig) -> str:
    """Returns the hash of all that a prepared corpus depends on: its entry's name in the cache."""
    settings = config.model_dump(exclude={"train", "valid", "test"})
    suffixes = {split: path.suffixes for split, path in files.items()}  # they choose the reader
    text = json.dumps([FORMAT, hashes, suffixes, settings], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def write_corpus(
    folder: Path,
    key: str,
    files: dict[Split, Path],
    hashes: dict[Split, str],
    config: DataConfig,
) -> None:
    """Writes the files of a prepared corpus into an empty folder, its manifest last.

    Arguments:
        folder: The folder.
        key: The `corpus_key`, which the manifest repeats.
        files: The file of each split that has one of its own.
        hashes: The hashes of their bytes.
        config: How they are read and become tokens.

    Raises:
        DataError: The text cannot be read, or a split comes out empty.
        SourceChanged: A file is not, or no longer, the one that its hash is of.
    """
    passed = assigned(files, config, ["train"], hashes)
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
        for split, chunk in assigned(files, config, SPLITS, hashes, rows):
            flat = tokenizer.encode_flat(chunk.sentences)
            writers[split](*fitted(*flat, chunk.lines, config, summaries[split]))
    counts = {split: summary.sentences for split, summary in summaries.items()}
    if not any(counts.values()) and not any(s.skipped for s in summaries.values()):
        raise DataError(f"'{config.train}' holds no sentences")
    if min(counts.values()) == 0 or counts["train"] < 2:
        listed = ", ".join(f"{count} for {split}" for split, count in counts.items())
        raise DataError(
            f"'{config.train}' {_shortage(files['train'], config)}: it gives {listed}; add more "
            "different sentences, or name held-out files with --valid and --test"
        )
    written = sorted(path for path in folder.iterdir() if CORPUS_FILE.fullmatch(path.name))
    for path in written:
        sync_file(path)
    vouch_for(
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
    """Returns why a file is too little to split: it is short, or its sentences are the same."""
    counts = RowCounts()
    distinct: set[str] = set()
    for sentence in read_sentences(path, config, counts):
        distinct.add(sentence)
        if len(distinct) > MAX_DISTINCT:
            return "is too short"
    if len(distinct) == counts.sentences:
        return "is too short"
    return (
        f"has {counts.sentences:,} sentences, but only {len(distinct):,} distinct (the hash of a "
        "sentence decides its split, so copies go to the same one)"
    )
