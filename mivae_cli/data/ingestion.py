"""The passes over a corpus: sentences in chunks, each with its split, and ids to disk as they come.

However long the text, only a chunk of it is held. Shapes: N sentences of a chunk.
"""

__all__ = [
    "WIDTHS",
    "Chunk",
    "Ids",
    "Lines",
    "SourceChanged",
    "SplitSummary",
    "assigned",
    "chunks",
    "content_hash",
    "fitted",
    "mapped_split",
    "split_writer",
]

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import limits
from ..config.data import DataConfig
from ..errors import CheckpointError, DataError
from ..storage.files import check_dense
from .corpus import Split, numbered_sentences, shares
from .lines import Digest
from .npy import map_npy
from .records import RowCounts
from .tokenizer import UNKNOWN

CHUNK = 500_000  # characters tokenised at a time
WIDTHS = ("<u2", "<u4")  # of ids, as numpy spells them
Ids = NDArray[np.integer[Any]]
Lines = NDArray[np.uint32]


class Chunk(NamedTuple):
    """Sentences, and the number of the line that each comes from."""

    sentences: list[str]
    lines: Lines  # (N,)

    def where(self, chosen: NDArray[np.bool_]) -> "Chunk":
        """Returns the sentences that are chosen, by a mask with shape (N,)."""
        return Chunk(list(compress(self.sentences, chosen)), self.lines[chosen])


@dataclass
class SplitSummary:
    """What was read into a split."""

    sentences: int = 0
    tokens: int = 0
    unknown: int = 0
    truncated: int = 0
    skipped: int = 0

    @property
    def unknown_share(self) -> float:
        """The share of tokens that the vocabulary lacks."""
        return self.unknown / max(1, self.tokens)


class SourceChanged(DataError):
    """A text file no longer holds the bytes that it held when preparation began."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(
            f"'{path}' changes while it is being read: wait until nothing writes it, or train on "
            "a copy of it"
        )


def content_hash(path: Path) -> str:
    """Returns the hash of a text file's bytes.

    Raises:
        DataError: It cannot be read, or is almost all hole: to hash a terabyte takes hours.
    """
    try:
        with path.open("rb") as file:
            check_dense(file, path)
            return _short(hashlib.file_digest(file, "blake2b"))
    except CheckpointError as error:
        raise DataError(str(error)) from error
    except OSError as error:
        raise DataError(f"cannot read '{path}': {error.strerror}") from error


def assigned(
    files: dict[Split, Path],
    config: DataConfig,
    wanted: Sequence[Split],
    hashes: Mapping[Split, str],
    counts: Mapping[Split, RowCounts] | None = None,
) -> Iterator[tuple[Split, Chunk]]:
    """Yields the sentences of the files of the wanted splits, in order, with their split.

    Arguments:
        files: The file of each split that has one of its own.
        config: How they are read, and how much of the training file is held out.
        wanted: Whose files are read.
        hashes: The `content_hash` of each file.
        counts: Count the rows of each file, if given.

    Raises:
        DataError: A file cannot be read.
        SourceChanged: The bytes read from a file are not those that its hash is of. This is known
            at the end of the file only: what has been yielded then is not to be kept.
    """
    valid_share = 0.0 if "valid" in files else config.valid_share
    test_share = 0.0 if "test" in files else config.test_share
    for name in wanted:
        if name not in files:
            continue  # its sentences are among those of the training file
        digest, counted = hashlib.blake2b(), (counts or {}).get(name)
        for chunk in chunks(numbered_sentences(files[name], config, counted, digest)):
            if name != "train":
                yield name, chunk
                continue
            share = shares(chunk.sentences)
            in_test, held_out = share < test_share, share < test_share + valid_share
            yield "test", chunk.where(in_test)
            yield "valid", chunk.where(held_out & ~in_test)
            yield "train", chunk.where(~held_out)
        if _short(digest) != hashes[name]:
            raise SourceChanged(files[name])


def chunks(numbered: Iterable[tuple[int, str]]) -> Iterator[Chunk]:
    """Yields sentences side by side, some `CHUNK` characters of them at a time.

    Raises:
        DataError: A number is greater than 2^32 - 1.
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


def fitted(
    ids: Ids,
    lengths: NDArray[np.int64],
    lines: Lines,
    config: DataConfig,
    summary: SplitSummary,
) -> tuple[Ids, NDArray[np.int64], Lines]:
    """Returns sentences, those that are too long cut or left out, and counts them."""
    most = config.max_tokens
    too_long = lengths > most
    if count := int(too_long.sum()):
        if config.too_long == "skip":
            summary.skipped += count
            ids = ids[np.repeat(~too_long, lengths)]
            lengths, lines = lengths[~too_long], lines[~too_long]
        else:
            summary.truncated += count
            starts = np.cumsum(lengths) - lengths
            steps = np.arange(len(ids)) - np.repeat(starts, lengths)
            ids, lengths = ids[steps < most], np.minimum(lengths, most)
    summary.sentences += len(lengths)
    summary.tokens += len(ids)
    summary.unknown += int((ids == UNKNOWN).sum())
    return ids, lengths, lines


@contextmanager
def split_writer(
    folder: Path, split: Split, dtype: np.dtype[Any]
) -> Iterator[Callable[[Ids, NDArray[np.int64], Lines], None]]:
    """Opens the files of a split, and gives the function that adds sentences to them."""
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


def mapped_split(
    place: Callable[[str], Path], split: Split, width: str, vocab_size: int
) -> tuple[Ids, NDArray[np.int64], Lines]:
    """Maps the ids, the N + 1 offsets and the N numbers that `split_writer` wrote.

    Arguments:
        place: Gives the path of a file by its name.
        split: Which split.
        width: The type of an id, one of `WIDTHS`.
        vocab_size: What every id is below.

    Raises:
        ValueError: They are not of one another's size; numpy and the operating system have more.
    """
    if width not in WIDTHS:
        raise ValueError(f"its ids are {width!r}")
    offsets = map_npy(place(f"{split}.offsets.npy"), "<i8")
    if len(offsets) == 0 or offsets[0] != 0 or (offsets[1:] <= offsets[:-1]).any():
        raise ValueError(f"'{split}.offsets.npy' does not rise from 0")
    lines = map_npy(place(f"{split}.lines.npy"), "<u4")
    if len(lines) != len(offsets) - 1:
        raise ValueError(f"'{split}.lines.npy' has not a number for each sentence")
    path = place(f"{split}.tokens")
    if path.stat().st_size != int(offsets[-1]) * np.dtype(width).itemsize:
        raise ValueError(f"'{path.name}' has not the size that its offsets ask for")
    ids = np.memmap(path, dtype=width, mode="r")
    if ids.max(initial=0) >= vocab_size:
        raise ValueError(f"'{path.name}' holds ids that the vocabulary lacks")
    return ids, offsets, lines


def _short(digest: Digest) -> str:
    return digest.hexdigest()[:32]


def _chunk(sentences: list[str], numbers: list[int]) -> Chunk:
    if numbers[-1] > limits.MAX_CORPUS_LINES:
        raise DataError(f"a file of more than {limits.MAX_CORPUS_LINES:,} lines: split it in two")
    return Chunk(sentences, np.array(numbers, np.uint32))


def _write_header(file: BinaryIO, dtype: str, count: int) -> None:
    """Writes what a `.npy` file begins with; numpy pads it, so that any count takes like room."""
    file.seek(0)
    header = {"descr": dtype, "fortran_order": False, "shape": (count,)}
    np.lib.format.write_array_header_1_0(file, header)
