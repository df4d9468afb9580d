"""Prepare a corpus in two passes over its text: train the tokenizer, then write token ids.

Large plain texts are cut into shards for the second pass, which processes encode in parallel. The
result is the same. Such a preparation continues where it was interrupted: the plan in the draft
says that the tokenizer is complete, and complete shards are not encoded again.
"""

__all__ = ["SPLITS", "corpus_key", "write_corpus"]

import hashlib
import json
from collections.abc import Generator
from contextlib import ExitStack, suppress
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any, get_args

import numpy as np

from .. import __version__
from ..config.data import DataConfig
from ..errors import DataError, MivaeError, StorageError
from ..stages import Stage, finish
from ..storage.files import sync_file, write_durably
from ..storage.manifest import entry_of, write_manifest
from .cache import CORPUS_FILE, MANIFEST, PLAN, clear_draft
from .corpus import Split
from .ingestion import (
    WIDTHS,
    SourceFile,
    Sources,
    SplitSummary,
    Writer,
    apply_max_tokens,
    content_hash,
    held_out_shares,
    split_chunks,
    split_writer,
)
from .records import RowCounts, TextRecords
from .shard_workers import available_cores, encode_shards
from .shards import Shard, ShardCounts, completed, plan, read_part, suitable
from .tokenizer import Tokenizer, training_tokenizer

FORMAT = 2  # format of prepared corpora; part of the cache key
TRAINING, ENCODING = "training the tokenizer", "encoding the text"  # stages
LARGE = 64_000_000  # bytes of plain text from which it is encoded in parallel
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


def write_corpus(
    folder: Path, key: str, sources: Sources, config: DataConfig
) -> Generator[Stage, None, None]:
    """Writes the files of a prepared corpus into a draft, its manifest last.

    The sources are as in `split_chunks`; the manifest stores the `corpus_key`. Yields progress in
    bytes if the texts are large.

    Raises:
        DataError: A text cannot be read, or a split is empty.
        SourceChanged: A file does not match its hash.
    """
    train = sources["train"]
    large = suitable(train, config, LARGE)
    tokenizer = _planned_tokenizer(folder) if large else None
    if tokenizer is None:
        clear_draft(folder)
        stages = _training_tokenizer(sources, config)
        tokenizer = (yield from stages) if large else finish(stages)
        tokenizer.save(folder / "tokenizer.json")
    shards = plan(train) if large else []
    if shards:
        write_durably(folder / PLAN, json.dumps(_plan(folder)).encode())
    dtype = np.dtype(WIDTHS[0] if tokenizer.size <= 2**16 else WIDTHS[1])
    summaries = {split: SplitSummary() for split in SPLITS}
    with ExitStack() as stack:
        writers = {
            split: stack.enter_context(split_writer(folder, split, dtype)) for split in SPLITS
        }
        if shards:
            shares, workers = held_out_shares(sources, config), available_cores()
            for done in encode_shards(folder, shards, config, shares, dtype, workers):
                yield Stage(ENCODING, done, _size(train))
            _join(folder, shards, train, writers, summaries, dtype)
        rest = [split for split in SPLITS if not (shards and split == "train")]
        for split, file, chunk in split_chunks(sources, config, rest):
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
    clear_draft(folder)
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


def _training_tokenizer(sources: Sources, config: DataConfig) -> Generator[Stage, None, Tokenizer]:
    passed = split_chunks(sources, config, ["train"])
    train = (chunk.sentences for split, _, chunk in passed if split == "train")
    work = training_tokenizer(chain.from_iterable(train), config.tokenizer)
    done, total = 0, _size(sources["train"])
    yield Stage(TRAINING, done, total)
    while True:
        try:
            next(work)
        except StopIteration as end:
            tokenizer: Tokenizer = end.value
            return tokenizer
        if (read := sum(file.read.bytes for file in sources["train"])) > done:
            done = read
            yield Stage(TRAINING, done, total)


def _plan(folder: Path) -> dict[str, object]:
    """Returns what must be the same if a preparation is to continue."""
    tokenizer = content_hash(folder / "tokenizer.json")
    return {"mivae": __version__, "format": FORMAT, "tokenizer": tokenizer}


def _planned_tokenizer(folder: Path) -> Tokenizer | None:
    """Returns the tokenizer of an interrupted preparation, or None if there was none."""
    with suppress(OSError, ValueError, MivaeError):
        if json.loads((folder / PLAN).read_bytes()) == _plan(folder):
            return Tokenizer.load(folder / "tokenizer.json")
    return None


def _join(
    folder: Path,
    shards: list[Shard],
    sources: list[SourceFile],
    writers: dict[Split, Writer],
    summaries: dict[Split, SplitSummary],
    dtype: np.dtype[Any],
) -> None:
    """Writes the sentences of complete shards to the files of the splits, and adds their counts."""
    counted: dict[str, list[ShardCounts]] = {}
    for shard in shards:
        found = completed(folder, shard)
        if found is None:
            raise StorageError(f"'{shard.file(folder, 'json')}' has vanished; repeat the command")
        before = sum(counts.rows.rows for counts in counted.setdefault(shard.path, []))
        for split, summary in found.splits.items():
            ids, lengths, lines = read_part(folder, shard, split, dtype)
            writers[split](ids, lengths, lines + np.uint32(before))
            summaries[split].add(summary)
        counted[shard.path].append(found)
    for source in sources:
        parts = counted.get(str(source.path), [])
        source.rows = RowCounts.total(counts.rows for counts in parts) if parts else RowCounts()
        for counts in parts:
            source.stored.update({split: s.sentences for split, s in counts.splits.items()})


def _size(sources: list[SourceFile]) -> int:
    return sum(source.path.stat().st_size for source in sources)


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
