"""The passes over a corpus: sentences in chunks, each with its split, and ids to disk as they come.

However long the text, only a chunk of it is held. Shapes: N sentences of a chunk.
"""

__all__ = ["Ids", "SplitSummary", "assigned", "chunks", "fitted", "split_writer"]

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import DataConfig
from .corpus import Split, read_sentences, shares
from .tokenizer import UNKNOWN

CHUNK = 500_000  # characters tokenised at a time
Ids = NDArray[np.integer[Any]]


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


def assigned(
    files: dict[Split, Path], config: DataConfig, wanted: Sequence[Split]
) -> Iterator[tuple[Split, list[str]]]:
    """Yields the sentences of the files of the wanted splits, in order, with their split."""
    valid_share = 0.0 if "valid" in files else config.valid_share
    test_share = 0.0 if "test" in files else config.test_share
    for name in wanted:
        if name not in files:
            continue  # its sentences are among those of the training file
        for chunk in chunks(read_sentences(files[name], config)):
            if name != "train":
                yield name, chunk
                continue
            share = shares(chunk)
            in_test, held_out = share < test_share, share < test_share + valid_share
            yield "test", list(compress(chunk, in_test))
            yield "valid", list(compress(chunk, held_out & ~in_test))
            yield "train", list(compress(chunk, ~held_out))


def chunks(sentences: Iterable[str]) -> Iterator[list[str]]:
    """Yields sentences side by side, some `CHUNK` characters of them at a time."""
    chunk: list[str] = []
    length = 0
    for sentence in sentences:
        chunk.append(sentence)
        length += len(sentence)
        if length > CHUNK:
            yield chunk
            chunk, length = [], 0
    if chunk:
        yield chunk


def fitted(
    ids: Ids, lengths: NDArray[np.int64], config: DataConfig, summary: SplitSummary
) -> tuple[Ids, NDArray[np.int64]]:
    """Returns sentences, those that are too long cut or left out, and counts them."""
    most = config.max_tokens
    too_long = lengths > most
    if count := int(too_long.sum()):
        if config.too_long == "skip":
            summary.skipped += count
            ids, lengths = ids[np.repeat(~too_long, lengths)], lengths[~too_long]
        else:
            summary.truncated += count
            starts = np.cumsum(lengths) - lengths
            steps = np.arange(len(ids)) - np.repeat(starts, lengths)
            ids, lengths = ids[steps < most], np.minimum(lengths, most)
    summary.sentences += len(lengths)
    summary.tokens += len(ids)
    summary.unknown += int((ids == UNKNOWN).sum())
    return ids, lengths


@contextmanager
def split_writer(
    folder: Path, split: Split, dtype: np.dtype[Any]
) -> Iterator[Callable[[Ids, NDArray[np.int64]], None]]:
    """Opens the files of a split, and gives the function that adds sentences to them."""
    count = end = 0
    with (
        (folder / f"{split}.tokens").open("wb") as tokens,
        (folder / f"{split}.offsets.npy").open("wb") as offsets,
    ):

        def write_header() -> None:  # numpy pads it, so that any count takes the same room
            header = {"descr": "<i8", "fortran_order": False, "shape": (count + 1,)}
            np.lib.format.write_array_header_1_0(offsets, header)

        def write(ids: Ids, lengths: NDArray[np.int64]) -> None:
            nonlocal count, end
            tokens.write(ids.astype(dtype).tobytes())
            offsets.write((end + np.cumsum(lengths)).astype("<i8").tobytes())
            count, end = count + len(lengths), end + len(ids)

        write_header()
        offsets.write(bytes(8))
        yield write
        offsets.seek(0)
        write_header()
