"""The token store: a corpus as one flat integer array with offsets, memory-mapped.

A prepared corpus is a folder:

    tokenizer.json        the vocabulary
    SPLIT.tokens          the ids of all sentences end to end, without boundaries
    SPLIT.offsets.npy     where each sentence begins, and the end of the last: N + 1 integers
    SPLIT.lines.npy       the line of its file that each sentence comes from, counted from 1
    corpus.json           the manifest: sizes and checksums of these files, hashes of the sources,
                          counts of what was read, skipped, cut and left out

It is made once and found again by the hash of the source's bytes and the data settings (see
`data.cache`).
"""

__all__ = [
    "MANIFEST",
    "SPLITS",
    "Corpus",
    "SplitSummary",
    "TokenStore",
    "encode_file",
    "open_corpus",
    "prepare_corpus",
]

import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from ..config.data import DataConfig
from ..errors import CheckpointError, ConfigError, DataError, reason
from ..storage.files import copy_durably, sync_folder
from ..storage.manifest import Manifest
from .cache import CORPUS_FILE, MANIFEST, new_draft, publish, remove_abandoned, remove_entry, slots
from .corpus import Split, locate_splits, numbered_sentences
from .file_formats import spooled_stdin
from .ingestion import SourceChanged, SplitSummary, chunks, content_hash, fitted, mapped_split
from .preparation import SPLITS, corpus_key, write_corpus
from .records import RowCounts
from .token_store import TokenStore, longest_sentence
from .tokenizer import Tokenizer


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
    key: str = ""  # of the texts and settings that it was made from
    warnings: tuple[str, ...] = ()  # what the user should know about the cache it is from

    def __getitem__(self, split: Split) -> TokenStore:
        return self.stores[split]

    def copy_to(self, folder: Path) -> None:
        """Copies the corpus to a folder that is made for it, and waits until the disk has it.

        Raises:
            OSError: The folder is there already, or cannot be written.
        """
        folder.mkdir(parents=True)
        for path in self._files():
            copy_durably(path, folder / path.name)
        sync_folder(folder)

    @property
    def disk_bytes(self) -> int:
        """The size of its files."""
        return sum(path.stat().st_size for path in self._files())

    def _files(self) -> list[Path]:
        return sorted(path for path in self.folder.iterdir() if CORPUS_FILE.fullmatch(path.name))


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
    files, cache = locate_splits(config), cache or _default_cache()
    try:
        return _prepared(config, files, cache)
    except SourceChanged as change:  # it may have been saved just then: once more, as it is now
        corpus = _prepared(config, files, cache)
        warning = f"'{change.path}' changed while it was being read; prepared as it is now"
        return replace(corpus, warnings=(*corpus.warnings, warning))


def _prepared(config: DataConfig, files: dict[Split, Path], cache: Path) -> Corpus:
    hashes = {split: content_hash(path) for split, path in files.items()}
    key = corpus_key(hashes, files, config)
    entries = slots(cache, key)
    warnings: list[str] = []
    if (found := _found(entries, key, hashes, warnings)) is not None:
        return found
    try:
        cache.mkdir(parents=True, exist_ok=True)
        remove_abandoned(cache)
        with new_draft(cache, key) as draft:
            write_corpus(draft, key, files, hashes, config)
            for entry in entries:
                if publish(draft, entry):
                    return replace(open_corpus(entry), warnings=tuple(warnings))
                if (found := _found([entry], key, hashes, [])) is not None:
                    return found  # another process was faster with the same corpus
    except OSError as error:
        occupied = os.path.lexists(cache) and not cache.is_dir()
        why = "it is no folder" if occupied else error.strerror
        raise ConfigError(
            f"cannot write prepared corpora to '{cache}': {why}; name another place "
            "in the environment variable MIVAE_CACHE"
        ) from error
    raise ConfigError(
        f"'{entries[0]}', '{entries[1]}' and so on to '{entries[-1]}' are taken by something that "
        "is not a prepared corpus: remove them, or name another place in the environment variable "
        "MIVAE_CACHE"
    )


def _found(
    entries: list[Path], key: str, hashes: dict[Split, str], warnings: list[str]
) -> Corpus | None:
    """Returns the first usable entry; removes those of the cache's own that are damaged.

    Arguments:
        entries: Where to look.
        key: What the entry must be made from, as it says itself.
        hashes: The hashes of the texts that it must be made from.
        warnings: Where to say what is in the way.
    """
    for entry in entries:
        if not os.path.lexists(entry):
            return None
        try:
            corpus = open_corpus(entry)
        except CheckpointError as error:
            problem = str(error)
        else:
            if corpus.key == key and set(corpus.sources.values()) == set(hashes.values()):
                return replace(corpus, warnings=tuple(warnings))
            problem = f"'{entry}' is prepared from another text"
        if not remove_entry(entry):
            warnings.append(
                f"{problem}; it is in the place of a prepared corpus and mivae cannot replace it: "
                f"remove '{entry}' if you do not need it"
            )
    return None


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
        stores = {split: _mapped(manifest, split, tokenizer.size) for split in SPLITS}
        return Corpus(
            folder,
            tokenizer,
            stores,
            summaries,
            sources={str(path): str(found) for path, found in body["sources"].items()},
            checksum=body["checksum"],
            rows=rows,
            key=str(body.get("key", "")),
        )
    except CheckpointError:
        raise
    except Exception as error:  # numpy, the operating system, a stranger's manifest
        raise CheckpointError(
            f"the prepared corpus '{folder}' is damaged: {reason(error)}"
        ) from error


def _mapped(manifest: Manifest, split: Split, vocab_size: int) -> TokenStore:
    tokens, offsets, lines = mapped_split(manifest.path, split, manifest.body["dtype"], vocab_size)
    path = manifest.folder / f"{split}.tokens"
    return TokenStore(tokens, offsets, lines, path, vocab_size, longest_sentence(offsets))


def encode_file(
    path: Path,
    tokenizer: Tokenizer,
    config: DataConfig,
    rows: RowCounts | None = None,
    summary: SplitSummary | None = None,
) -> TokenStore:
    """Reads a file with an existing vocabulary, into memory.

    Arguments:
        path: The file.
        tokenizer: The vocabulary.
        config: How the file is read.
        rows: Counts the rows of the file, if given.
        summary: Counts the sentences that are cut or left out, if given.

    Raises:
        DataError: The file holds no sentence, or hardly a word that the vocabulary knows.
    """
    summary = SplitSummary() if summary is None else summary
    store = TokenStore.from_parts(
        fitted(*tokenizer.encode_flat(chunk.sentences), chunk.lines, config, summary)
        for chunk in chunks(numbered_sentences(path, config, rows))
    )
    if not len(store):
        only = f" of at most {config.max_tokens} tokens" if summary.skipped else ""
        raise DataError(f"'{path}' holds no sentences{only}")
    if summary.unknown_share > 0.5:
        raise DataError(
            f"{summary.unknown_share:.0%} of the words of '{path}' are not in the run's "
            "vocabulary: it was trained on another kind of text, and figures would mean nothing"
        )
    return store


def _default_cache() -> Path:
    if named := os.environ.get("MIVAE_CACHE"):
        return Path(os.path.expanduser(named))  # a shell expands no ~ within quotes
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if base.startswith("~"):  # an account of a container, say, that has no home
        raise ConfigError(
            "the home directory is not known: name a folder for prepared corpora in the "
            "environment variable MIVAE_CACHE"
        )
    return Path(base) / "mivae"
