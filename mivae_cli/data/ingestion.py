"""Read a corpus in chunks, assign sentences to splits, and write token ids to disk.

Only one chunk is in memory at a time. Shapes: N sentences in a chunk.
"""

__all__ = [
    "WIDTHS",
    "Chunk",
    "Ids",
    "Lines",
    "Shares",
    "SourceChanged",
    "SourceFile",
    "Sources",
    "SplitSummary",
    "Writer",
    "apply_max_tokens",
    "assigned",
    "chunks",
    "content_hash",
    "hashed_files",
    "held_out_shares",
    "map_split",
    "split_chunks",
    "split_writer",
]

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from itertools import compress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import limits
from ..config.data import DataConfig
from ..errors import CheckpointError, DataError
from ..storage.files import check_not_sparse
from .corpus import Files, Split, hash_shares
from .lines import Digest
from .npy import map_npy
from .records import RowCounts, TextRecords
from .tokenizer import UNKNOWN

CHUNK = 500_000  # characters per chunk
HASH_DIGITS = 32
WIDTHS = ("<u2", "<u4")  # NumPy types of token ids
Ids = NDArray[np.integer[Any]]
Lines = NDArray[np.uint32]
Writer = Callable[[Ids, NDArray[np.int64], Lines], None]


class Chunk(NamedTuple):
    """Sentences and their line numbers."""

    sentences: list[str]
    lines: Lines  # (N,)

    def select(self, chosen: NDArray[np.bool_]) -> "Chunk":
        """Returns the sentences selected by a mask with shape (N,)."""
        return Chunk(list(compress(self.sentences, chosen)), self.lines[chosen])


@dataclass
class SplitSummary:
    """Counts of a split: sentences, tokens, unknown tokens, truncated and skipped sentences."""

    sentences: int = 0
    tokens: int = 0
    unknown: int = 0
    truncated: int = 0
    skipped: int = 0

    def add(self, other: "SplitSummary") -> None:
        """Adds the counts of another part of the split."""
        for name, count in asdict(other).items():
            setattr(self, name, getattr(self, name) + count)

    @property
    def unknown_share(self) -> float:
        """The share of tokens that are not in the vocabulary."""
        return self.unknown / max(1, self.tokens)


@dataclass
class SourceFile:
    """A text file of a corpus."""

    path: Path
    digest: str
    """The `content_hash` of the file."""
    rows: RowCounts = field(default_factory=RowCounts)
    """Counts of the last pass over the file."""
    stored: Counter[Split] = field(default_factory=Counter)
    """Sentences of the file that were written to each split."""
    read: Digest = field(default_factory=Digest)
    """Digest and count of the bytes read by the current pass."""


Sources = dict[Split, list[SourceFile]]
Shares = tuple[float, float]  # of validation and test sentences


class SourceChanged(DataError):
    """A text file changed while it was being read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(
            f"'{path}' changed while it was being read; wait until it is complete, or train on a "
            "copy of it"
        )


def content_hash(path: Path) -> str:
    """Returns the hash of the bytes of a text file.

    Raises:
        DataError: The file cannot be read, or is a huge sparse file, which would take hours.
    """
    try:
        with path.open("rb") as file:
            check_not_sparse(file, path)
            return hashlib.file_digest(file, "blake2b").hexdigest()[:HASH_DIGITS]
    except CheckpointError as error:
        raise DataError(str(error)) from error
    except OSError as error:
        raise DataError(f"cannot read '{path}': {error.strerror}") from error


def hashed_files(files: Files) -> Sources:
    """Returns the files of each split with their hashes; raises DataError like `content_hash`."""
    return {
        split: [SourceFile(path, content_hash(path)) for path in paths]
        for split, paths in files.items()
    }


def split_chunks(
    sources: Sources, config: DataConfig, wanted: Sequence[Split]
) -> Iterator[tuple[Split, SourceFile, Chunk]]:
    """Yields a split, a file and a chunk of sentences of both, in the order of the files.

    Arguments:
        sources: The training files, and the files of splits that are not split off from them;
            their row counts are updated.
        config: Settings for reading them, and the shares to split off.
        wanted: The splits whose files are read.

    Raises:
        DataError: A file cannot be read.
        SourceChanged: A file does not match its hash, as is known at its end: discard all chunks.
    """
    shares = held_out_shares(sources, config)
    # splits that are not in `sources` are split off from the training files
    for name, file in ((split, file) for split in wanted for file in sources.get(split, ())):
        file.rows, digest = RowCounts(), Digest()
        file.read = digest
        for chunk in chunks(TextRecords(file.path, config, file.rows, digest).numbered()):
            parts = assigned(chunk, shares) if name == "train" else [(name, chunk)]
            yield from ((split, file, part) for split, part in parts)
        if digest.hexdigest()[:HASH_DIGITS] != file.digest:
            raise SourceChanged(file.path)


def held_out_shares(sources: Sources, config: DataConfig) -> Shares:
    """Returns the shares of the training texts to split off for validation and for testing."""
    valid_share = 0.0 if "valid" in sources else config.valid_share
    return valid_share, 0.0 if "test" in sources else config.test_share


def assigned(chunk: Chunk, shares: Shares) -> Iterator[tuple[Split, Chunk]]:
    """Yields the sentences of each split, by the hashes of the sentences."""
    share, (valid_share, test_share) = hash_shares(chunk.sentences), shares
    in_test, held_out = share < test_share, share < test_share + valid_share
    yield "test", chunk.select(in_test)
    yield "valid", chunk.select(held_out & ~in_test)
    yield "train", chunk.select(~held_out)


def chunks(numbered: Iterable[tuple[int, str]]) -> Iterator[Chunk]:
    """Yields numbered sentences in chunks of about `CHUNK` characters.

    Raises:
        DataError: A line number exceeds `limits.MAX_CORPUS_LINES`.
    """
    sentences: list[str] = []
    numbers: list[int] = []
    length = 0
    for number, sentence in numbered:
        sentences.append(sentence)
        numbers.append(number)
        length += len(sentence)
        if length > CHUNK:
            yield _chunk(sentences, numbers)
            sentences, numbers, length = [], [], 0
    if sentences:
        yield _chunk(sentences, numbers)


def apply_max_tokens(
    ids: Ids, lengths: NDArray[np.int64], lines: Lines, config: DataConfig, summary: SplitSummary
) -> tuple[Ids, NDArray[np.int64], Lines]:
    """Truncates or skips sentences longer than `max_tokens`, and updates the summary."""
    limit = config.max_tokens
    too_long = lengths > limit
    if count := int(too_long.sum()):
        if config.too_long == "skip":
            summary.skipped += count
            ids = ids[np.repeat(~too_long, lengths)]
            lengths, lines = lengths[~too_long], lines[~too_long]
        else:
            summary.truncated += count
            starts = np.cumsum(lengths) - lengths
            steps = np.arange(len(ids)) - np.repeat(starts, lengths)
            ids, lengths = ids[steps < limit], np.minimum(lengths, limit)
    summary.sentences += len(lengths)
    summary.tokens += len(ids)
    summary.unknown += int((ids == UNKNOWN).sum())
    return ids, lengths, lines


@contextmanager
def split_writer(folder: Path, split: Split, dtype: np.dtype[Any]) -> Iterator[Writer]:
    """Context manager that opens the files of a split and returns a function that appends to them."""
    count = end = 0
    with ExitStack() as stack:
        tokens, offsets, numbers = (
            stack.enter_context((folder / f"{split}{suffix}").open("wb"))
            for suffix in (".tokens", ".offsets.npy", ".lines.npy")
        )

        def write(ids: Ids, lengths: NDArray[np.int64], lines: Lines) -> None:
            nonlocal count, end
            tokens.write(ids.astype(dtype).tobytes())
            offsets.write((end + np.cumsum(lengths)).astype("<i8").tobytes())
            numbers.write(lines.astype("<u4").tobytes())
            count, end = count + len(lengths), end + len(ids)

        _write_header(offsets, "<i8", 1)
        _write_header(numbers, "<u4", 0)
        offsets.write(bytes(8))
        yield write
        _write_header(offsets, "<i8", count + 1)
        _write_header(numbers, "<u4", count)


def map_split(
    place: Callable[[str], Path], split: Split, width: str, vocab_size: int
) -> tuple[Ids, NDArray[np.int64], Lines]:
    """Returns the memory-mapped ids, N + 1 offsets and N line numbers of a split.

    NumPy and the operating system may raise further exceptions. `place` returns the path of a file
    by its name, and `width` is the type of an id.

    Raises:
        ValueError: The sizes or values of the arrays do not match.
    """
    if width not in WIDTHS:
        raise ValueError(f"unknown type of ids: {width!r}")
    offsets = map_npy(place(f"{split}.offsets.npy"), "<i8")
    if len(offsets) == 0 or offsets[0] != 0 or (offsets[1:] <= offsets[:-1]).any():
        raise ValueError(f"'{split}.offsets.npy' does not increase from 0")
    lines = map_npy(place(f"{split}.lines.npy"), "<u4")
    if len(lines) != len(offsets) - 1:
        raise ValueError(f"'{split}.lines.npy' does not have one number per sentence")
    path = place(f"{split}.tokens")
    if path.stat().st_size != int(offsets[-1]) * np.dtype(width).itemsize:
        raise ValueError(f"the size of '{path.name}' does not match its offsets")
    ids = np.memmap(path, dtype=width, mode="r")
    if ids.max(initial=0) >= vocab_size:
        raise ValueError(f"'{path.name}' contains ids outside the vocabulary")
    return ids, offsets, lines


def _chunk(sentences: list[str], numbers: list[int]) -> Chunk:
    if numbers[-1] > limits.MAX_CORPUS_LINES:
        raise DataError(f"a file has more than {limits.MAX_CORPUS_LINES:,} lines; split it in two")
    return Chunk(sentences, np.array(numbers, np.uint32))


def _write_header(file: BinaryIO, dtype: str, count: int) -> None:
    """Writes the header of a `.npy` file; NumPy pads it to the same size for any count."""
    file.seek(0)
    header = {"descr": dtype, "fortran_order": False, "shape": (count,)}
    np.lib.format.write_array_header_1_0(file, header)
