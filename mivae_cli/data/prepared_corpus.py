"""Prepared corpora: memory-mapped token ids and a tokenizer, created once and cached.

A prepared corpus is a folder:

    tokenizer.json        the tokenizer
    SPLIT.tokens          the ids of all sentences, concatenated, without boundaries
    SPLIT.offsets.npy     the start of each sentence and the end of the last: N + 1 integers
    SPLIT.lines.npy       the line number of each sentence in its file, counted from 1
    corpus.json           the manifest: sizes and checksums of these files, hashes of the texts,
                          counts of sentences, tokens, and truncated and skipped sentences; if
                          there are several training files, how many sentences are from each

Its cache key is a hash of the texts and the data settings (see `data.cache`).
"""

__all__ = [
    "MANIFEST",
    "SPLITS",
    "Corpus",
    "SplitSummary",
    "TokenStore",
    "default_cache",
    "encode_sentences",
    "open_corpus",
    "prepare_corpus",
    "preparing_corpus",
]

import os
from collections.abc import Generator, Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..config.data import DataConfig
from ..errors import CheckpointError, ConfigError, DataError, reason
from ..stages import Stage, finish
from ..storage.files import copy_durably, sync_folder
from ..storage.manifest import Manifest
from .cache import CORPUS_FILE, MANIFEST, new_draft, publish, remove_abandoned, remove_entry, slots
from .corpus import Files, Split, locate_splits
from .file_formats import text_file
from .ingestion import (
    SourceChanged,
    SplitSummary,
    apply_max_tokens,
    chunks,
    hashed_files,
    map_split,
)
from .preparation import SPLITS, corpus_key, write_corpus
from .records import RowCounts
from .token_store import TokenStore, longest_sentence
from .tokenizer import Tokenizer


@dataclass(frozen=True)
class Corpus:
    """A prepared corpus: a tokenizer, and a token store and summary for each split."""

    folder: Path
    tokenizer: Tokenizer
    stores: dict[Split, TokenStore]
    summaries: dict[Split, SplitSummary]
    sources: dict[str, str] = field(default_factory=dict)  # hash of each text by its path
    checksum: str = ""  # of the manifest, which contains the checksums of all files
    rows: dict[Split, RowCounts] = field(default_factory=dict)
    """Row counts of the texts of each split; empty for corpora of old versions."""
    parts: dict[Split, tuple[int, ...]] = field(default_factory=dict)
    """Sentences of each split by training file; empty if there is only one such file."""
    key: str = ""  # see `corpus_key`
    warnings: tuple[str, ...] = ()  # about the cache and the texts

    def __getitem__(self, split: Split) -> TokenStore:
        return self.stores[split]

    def files_of(self, split: Split, indices: NDArray[np.int64]) -> tuple[str, ...]:
        """Returns the paths of the files of sentences; () unless there are several training files."""
        if split not in self.parts:
            return ()
        paths, ends = list(self.sources), np.cumsum(self.parts[split])
        return tuple(paths[place] for place in np.searchsorted(ends, indices, "right").tolist())

    def copy_to(self, folder: Path) -> None:
        """Copies the corpus to a new folder and syncs it to the disk.

        Raises:
            OSError: The folder exists already or cannot be written.
        """
        folder.mkdir(parents=True)
        for path in self._files():
            copy_durably(path, folder / path.name)
        sync_folder(folder)

    @property
    def disk_bytes(self) -> int:
        """The total size of its files in bytes."""
        return sum(path.stat().st_size for path in self._files())

    def _files(self) -> list[Path]:
        return sorted(path for path in self.folder.iterdir() if CORPUS_FILE.fullmatch(path.name))


def prepare_corpus(config: DataConfig, cache: Path | None = None) -> Corpus:
    """Reads, splits and tokenises a corpus, or loads it from the cache.

    Arguments:
        config: Text files, their format, splits and tokenizer.
        cache: The folder of prepared corpora; default: `MIVAE_CACHE`, or the user's cache folder.

    Raises:
        DataError: A text cannot be read, or a split is empty.
    """
    return finish(preparing_corpus(config, cache))


def preparing_corpus(
    config: DataConfig, cache: Path | None = None
) -> Generator[Stage, None, Corpus]:
    """Does the same as `prepare_corpus`, and yields progress in bytes if the texts are large."""
    if config.train == "-":
        with text_file(config.train) as path:
            update = {"train": str(path)}
            return (yield from preparing_corpus(config.model_copy(update=update), cache))
    files, cache = locate_splits(config), cache or default_cache()
    try:
        return (yield from _prepared(config, files, cache))
    except SourceChanged as change:  # perhaps saved just now: try once more
        corpus = yield from _prepared(config, files, cache)
        warning = f"'{change.path}' changed while it was being read; used its new content"
        return replace(corpus, warnings=(*corpus.warnings, warning))


def _prepared(config: DataConfig, files: Files, cache: Path) -> Generator[Stage, None, Corpus]:
    sources = hashed_files(files)
    hashes = {file.digest for each in sources.values() for file in each}
    key = corpus_key(sources, config)
    entries = slots(cache, key)
    warnings: list[str] = []
    if (found := _found(entries, key, hashes, warnings)) is not None:
        return found
    try:
        cache.mkdir(parents=True, exist_ok=True)
        remove_abandoned(cache)
        with new_draft(cache, key) as draft:
            yield from write_corpus(draft, key, sources, config)
            for entry in entries:
                if publish(draft, entry):
                    return replace(open_corpus(entry), warnings=tuple(warnings))
                if (found := _found([entry], key, hashes, [])) is not None:
                    return found  # another process has just prepared the same corpus
    except OSError as error:
        occupied = os.path.lexists(cache) and not cache.is_dir()
        why = "not a folder" if occupied else error.strerror
        raise ConfigError(
            f"cannot write prepared corpora to '{cache}': {why}; set the environment variable "
            "MIVAE_CACHE to another folder"
        ) from error
    raise ConfigError(
        f"'{entries[0]}', '{entries[1]}' and so on up to '{entries[-1]}' exist, but are not "
        "prepared corpora; remove them, or set the environment variable MIVAE_CACHE to another "
        "folder"
    )


def _found(entries: list[Path], key: str, hashes: set[str], warnings: list[str]) -> Corpus | None:
    """Returns the first entry with this key and these hashes, if any; removes damaged entries.

    `warnings` receives warnings about folders that cannot be removed.
    """
    for entry in entries:
        if not os.path.lexists(entry):
            return None
        try:
            corpus = open_corpus(entry)
        except CheckpointError as error:
            problem = str(error)
        else:
            if corpus.key == key and set(corpus.sources.values()) == hashes:
                return replace(corpus, warnings=tuple(warnings))
            problem = f"'{entry}' was prepared from another text"
        if not remove_entry(entry):
            warnings.append(
                f"{problem}; mivae cannot replace it by a prepared corpus: remove '{entry}' if you "
                "do not need it"
            )
    return None


def open_corpus(folder: Path, manifest: Manifest | None = None) -> Corpus:
    """Opens a prepared corpus, whose manifest may have been read already.

    Raises:
        CheckpointError: A file is missing or damaged.
    """
    manifest = manifest or Manifest.read(folder, "corpus", MANIFEST)
    tokenizer = Tokenizer.load(manifest.checked_path("tokenizer.json"))
    body = manifest.body
    try:
        summaries = {split: SplitSummary(**body["splits"][split]) for split in SPLITS}
        rows = {split: RowCounts(**body["rows"][split]) for split in body.get("rows", ())}
        counted = [*map(asdict, summaries.values()), *map(asdict, rows.values())]
        counts = [count for table in counted for count in table.values()]
        if not all(type(count) is int and count >= 0 for count in counts):
            raise ValueError("a count is not a non-negative integer")
        parts = {split: tuple(counts) for split, counts in body.get("parts", {}).items()}
        if any(
            len(counts) > len(body["sources"])
            or not all(type(count) is int and count >= 0 for count in counts)
            or sum(counts) != summaries[split].sentences
            for split, counts in parts.items()
        ):
            raise ValueError("the counts of sentences by file do not match")
        stores = {split: _mapped(manifest, split, tokenizer.size) for split in SPLITS}
        return Corpus(
            folder,
            tokenizer,
            stores,
            summaries,
            sources={str(path): str(found) for path, found in body["sources"].items()},
            checksum=body["checksum"],
            rows=rows,
            parts=parts,
            key=str(body.get("key", "")),
        )
    except CheckpointError:
        raise
    except Exception as error:  # of NumPy, the operating system, or an untrusted manifest
        raise CheckpointError(
            f"the prepared corpus '{folder}' is damaged: {reason(error)}"
        ) from error


def _mapped(manifest: Manifest, split: Split, vocab_size: int) -> TokenStore:
    tokens, offsets, lines = map_split(
        manifest.checked_path, split, manifest.body["dtype"], vocab_size
    )
    path = manifest.folder / f"{split}.tokens"
    return TokenStore(tokens, offsets, lines, path, vocab_size, longest_sentence(offsets))


def encode_sentences(
    sentences: Iterable[tuple[int, str]],
    name: str,
    tokenizer: Tokenizer,
    config: DataConfig,
    summary: SplitSummary | None = None,
) -> TokenStore:
    """Tokenizes sentences with an existing vocabulary, into memory.

    Arguments:
        sentences: Line numbers and sentences.
        name: The source of the sentences in error messages.
        tokenizer: The vocabulary.
        config: The maximum length, and what happens to longer sentences.
        summary: Updated with the counts, if given.

    Raises:
        DataError: There are no sentences, or over half of the words are unknown.
    """
    summary = SplitSummary() if summary is None else summary
    store = TokenStore.from_parts(
        apply_max_tokens(*tokenizer.encode_flat(chunk.sentences), chunk.lines, config, summary)
        for chunk in chunks(sentences)
    )
    if not len(store):
        only = f" of at most {config.max_tokens} tokens" if summary.skipped else ""
        raise DataError(f"{name} contains no sentences{only}")
    if summary.unknown_share > 0.5:
        raise DataError(
            f"{summary.unknown_share:.0%} of the words in {name} are not in the vocabulary of the "
            "run, so results would be meaningless; use text similar to the training text"
        )
    return store


def default_cache() -> Path:
    """Returns the folder of cached files: `MIVAE_CACHE`, or the user's cache folder.

    Raises:
        ConfigError: There is no home directory.
    """
    if named := os.environ.get("MIVAE_CACHE"):
        return Path(os.path.expanduser(named))  # a quoted ~ is not expanded by the shell
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if base.startswith("~"):  # no home directory, as for some users of containers
        raise ConfigError(
            "no home directory; set the environment variable MIVAE_CACHE to a folder for prepared "
            "corpora"
        )
    return Path(base) / "mivae"
