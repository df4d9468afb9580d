"""The token store: a corpus as one flat integer array with offsets, memory-mapped.

A prepared corpus is a folder:

    tokenizer.json        the vocabulary
    SPLIT.tokens          the ids of all sentences end to end, without boundaries
    SPLIT.offsets.npy     where each sentence begins, and the end of the last: N + 1 integers
    SPLIT.lines.npy       the line of its file that each sentence comes from, counted from 1
    corpus.json           the manifest: sizes and checksums of these files, hashes of the sources,
                          counts of what was read, skipped, cut and left out

It is made once and found again by the hash of the source's bytes and the data settings.
"""

__all__ = ["Corpus", "SplitSummary", "TokenStore", "encode_file", "open_corpus", "prepare_corpus"]

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, pairwise
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from ..config import DataConfig
from ..errors import CheckpointError, ConfigError, DataError
from ..storage.files import sync_file
from ..storage.manifest import Manifest, entry_of, vouch_for
from .arrays import reason
from .corpus import Split, locate_splits, numbered_sentences, read_sentences
from .formats import spooled_stdin
from .ingestion import (
    WIDTHS,
    Ids,
    Lines,
    SplitSummary,
    assigned,
    chunks,
    fitted,
    mapped_split,
    split_writer,
)
from .permutation import Permutation
from .records import RowCounts
from .tokenizer import Tokenizer, train_tokenizer

FORMAT = 2  # of the prepared form: another one is another key of the cache
MANIFEST = "corpus.json"
ABANDONED = 24 * 3600.0  # seconds
MOST_DISTINCT = 1000  # sentences; a file with more has copies enough for no split to be empty
SPLITS: tuple[Split, ...] = get_args(Split)


@dataclass(frozen=True)
class TokenStore:
    """The sentences of a split: ids end to end, with shape (tokens,), and N + 1 offsets."""

    tokens: Ids
    offsets: NDArray[np.int64]
    lines: Lines | None = None  # where each sentence stands in its file; unknown of bare ids

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each sentence, boundaries not counted, with shape (N,)."""
        return np.diff(self.offsets)

    def sentence(self, index: int) -> list[int]:
        """Returns the ids of one sentence."""
        ids: list[int] = self.tokens[self.offsets[index] : self.offsets[index + 1]].tolist()
        return ids

    def sample(self, count: int, seed: int) -> "TokenStore":
        """Returns so many sentences drawn without replacement, or all where there are no more."""
        if len(self) <= count:
            return self
        drawn = Permutation(len(self), np.random.SeedSequence(seed))(np.arange(count))
        drawn = np.sort(drawn)
        store = TokenStore.from_ids(self.sentence(int(index)) for index in drawn)
        return store if self.lines is None else replace(store, lines=self.lines[drawn])

    def canonical(self) -> "TokenStore":
        """Returns the sentences in an order that depends on them alone, not on their lines.

        Whatever is drawn for, or dealt to, sentences in this order is the same for any order of a
        file's lines. They are sorted by a hash of their ids and of the number of equal ones before,
        so that neighbours have nothing in common: groups of a jackknife stay random samples.
        """
        seen: Counter[bytes] = Counter()
        keys = []
        for start, end in pairwise(self.offsets.tolist()):
            ids = self.tokens[start:end].astype("<u4").tobytes()
            copy = seen[ids].to_bytes(8, "little")
            seen[ids] += 1
            keys.append(hashlib.blake2b(ids, digest_size=16, key=copy).digest())
        order = sorted(range(len(self)), key=keys.__getitem__)
        store = TokenStore.from_ids(self.sentence(index) for index in order)
        return store if self.lines is None else replace(store, lines=self.lines[order])

    @classmethod
    def from_ids(cls, sentences: Iterable[list[int]]) -> "TokenStore":
        """Keeps sentences in memory."""
        rows = [np.zeros(0, np.uint32), *(np.array(ids, np.uint32) for ids in sentences)]
        return cls(np.concatenate(rows), np.cumsum([len(row) for row in rows], dtype=np.int64))

    @classmethod
    def from_parts(cls, parts: Iterable[tuple[Ids, NDArray[np.int64], Lines]]) -> "TokenStore":
        """Keeps in memory what comes as ids end to end, and each sentence's length and line."""
        tokens: list[Ids] = [np.zeros(0, np.uint32)]
        lengths = [np.zeros(1, np.int64)]
        lines = [np.zeros(0, np.uint32)]
        for ids, counts, numbers in parts:
            tokens.append(ids)
            lengths.append(counts)
            lines.append(numbers)
        offsets = np.cumsum(np.concatenate(lengths))
        return cls(np.concatenate(tokens), offsets, np.concatenate(lines))


@dataclass(frozen=True)
class Corpus:
    """A prepared corpus: its tokenizer, and a store and a summary for each split."""

    folder: Path
    tokenizer: Tokenizer
    stores: dict[Split, TokenStore]
    summaries: dict[Split, SplitSummary]
    sources: dict[str, str] = field(default_factory=dict)  # path -> hash of its bytes
    checksum: str = ""  # of its manifest, and so of all that it holds
    rows: dict[Split, RowCounts] = field(default_factory=dict)
    """The rows of the file of each split that has one of its own; empty of an old corpus."""

    def __getitem__(self, split: Split) -> TokenStore:
        return self.stores[split]

    def copy_to(self, folder: Path) -> None:
        """Places the corpus in another folder, as links where the file system allows."""
        folder.mkdir(parents=True, exist_ok=True)
        for path in self.folder.iterdir():
            target = folder / path.name
            target.unlink(missing_ok=True)
            try:
                os.link(path, target)
            except OSError:
                shutil.copyfile(path, target)


def prepare_corpus(config: DataConfig, cache: Path | None = None) -> Corpus:
    """Reads, splits and tokenises a corpus, or finds it already prepared.

    Arguments:
        config: Where the text is and how it becomes tokens.
        cache: The folder of prepared corpora; by default in the user's cache.

    Raises:
        DataError: The text cannot be read, or a split comes out empty.
    """
    if config.train == "-":
        with spooled_stdin() as path:
            return prepare_corpus(config.model_copy(update={"train": str(path)}), cache)
    files = locate_splits(config)
    hashes = {split: _file_hash(path) for split, path in files.items()}
    key = _key(hashes, files, config)
    folder = (cache or _default_cache()) / key
    if folder.exists():
        try:
            return open_corpus(folder)
        except CheckpointError:  # a cache is not worth mending: make it anew
            shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(folder.parent)
        draft = Path(tempfile.mkdtemp(prefix=f"{key}.", dir=folder.parent))
        try:
            _write(draft, files, hashes, config)
            try:
                draft.rename(folder)
            except OSError:  # another process was faster with the same corpus
                if not (folder / MANIFEST).is_file():
                    raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise ConfigError(
            f"cannot write prepared corpora to '{folder.parent}': {error.strerror}; name another "
            "place in the environment variable MIVAE_CACHE"
        ) from error
    return open_corpus(folder)


def open_corpus(folder: Path) -> Corpus:
    """Opens a prepared corpus.

    Raises:
        CheckpointError: A file is missing, or is not as it was written.
    """
    manifest = Manifest.read(folder, "corpus", MANIFEST)
    tokenizer = Tokenizer.load(manifest.path("tokenizer.json"))
    body = manifest.body
    try:
        summaries = {split: SplitSummary(**body["splits"][split]) for split in SPLITS}
        rows = {split: RowCounts(**body["rows"][split]) for split in body.get("rows", ())}
        counted = [*map(asdict, summaries.values()), *map(asdict, rows.values())]
        counts = [count for table in counted for count in table.values()]
        if not all(type(count) is int and count >= 0 for count in counts):
            raise ValueError("what it counts are no counts")
        stores = {
            split: TokenStore(*mapped_split(manifest.path, split, body["dtype"], tokenizer.size))
            for split in SPLITS
        }
        return Corpus(
            folder, tokenizer, stores, summaries, body["sources"], body["checksum"], rows
        )
    except CheckpointError:
        raise
    except Exception as error:  # numpy, the operating system, a stranger's manifest
        raise CheckpointError(
            f"the prepared corpus '{folder}' is damaged: {reason(error)}"
        ) from error


def encode_file(
    path: Path, tokenizer: Tokenizer, config: DataConfig, rows: RowCounts | None = None
) -> TokenStore:
    """Reads a file with an existing vocabulary, into memory.

    Arguments:
        path: The file.
        tokenizer: The vocabulary.
        config: How the file is read.
        rows: Counts the rows of the file, if given.

    Raises:
        DataError: The file holds no sentence, or hardly a word that the vocabulary knows.
    """
    summary = SplitSummary()
    store = TokenStore.from_parts(
        fitted(*tokenizer.encode_flat(chunk.sentences), chunk.lines, config, summary)
        for chunk in chunks(numbered_sentences(path, config, rows))
    )
    if not len(store):
        raise DataError(f"'{path}' holds no sentences")
    if summary.unknown_share > 0.5:
        raise DataError(
            f"{summary.unknown_share:.0%} of the words of '{path}' are not in the run's "
            "vocabulary: it was trained on another kind of text, and figures would mean nothing"
        )
    return store


def _write(
    folder: Path, files: dict[Split, Path], hashes: dict[Split, str], config: DataConfig
) -> None:
    passed = assigned(files, config, ["train"])
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
        for split, chunk in assigned(files, config, SPLITS, rows):
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
    for path in folder.iterdir():
        sync_file(path)
    vouch_for(
        folder,
        "corpus",
        {path.name: entry_of(path) for path in sorted(folder.iterdir())},
        {
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
        if len(distinct) > MOST_DISTINCT:
            return "is too short"
    if len(distinct) == counts.sentences:
        return "is too short"
    return (
        f"has {counts.sentences:,} sentences, but only {len(distinct):,} distinct (the hash of a "
        "sentence decides its split, so copies go to the same one)"
    )


def _remove_abandoned(cache: Path) -> None:
    """Removes what processes that were killed have left half done."""
    for path in cache.glob("*.*"):
        with suppress(FileNotFoundError):  # one that has been finished meanwhile
            if time.time() - path.stat().st_mtime > ABANDONED:
                shutil.rmtree(path, ignore_errors=True)


def _file_hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "blake2b").hexdigest()[:32]
    except OSError as error:
        raise DataError(f"cannot read '{path}': {error.strerror}") from error


def _key(hashes: dict[Split, str], files: dict[Split, Path], config: DataConfig) -> str:
    settings = config.model_dump(exclude={"train", "valid", "test"})
    suffixes = {split: path.suffixes for split, path in files.items()}  # they choose the reader
    text = json.dumps([FORMAT, hashes, suffixes, settings], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _default_cache() -> Path:
    if named := os.environ.get("MIVAE_CACHE"):
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mivae"
