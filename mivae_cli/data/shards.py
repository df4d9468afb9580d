"""Shards of a large text: ranges of whole lines, which processes encode on their own.

A process reads jobs, one JSON object per line, from standard input and answers each with a line on
standard output. The ids of a shard are written to files in the draft of a prepared corpus:

    shard-NNNNNN.SPLIT.ids       token ids
    shard-NNNNNN.SPLIT.lengths   tokens of each sentence
    shard-NNNNNN.SPLIT.lines     line numbers of the sentences, counted from 1 in the shard
    shard-NNNNNN.json            range and hash of the text, and counts; written last

A shard that has the last file is complete, so an interrupted preparation continues with the others.
"""

__all__ = [
    "Shard",
    "ShardCounts",
    "completed",
    "encode_shard",
    "plan",
    "read_part",
    "serve",
    "suitable",
]

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..config.data import DataConfig
from .corpus import Split
from .file_formats import format_of
from .ingestion import (
    HASH_DIGITS,
    Ids,
    Lines,
    Shares,
    SourceChanged,
    SourceFile,
    SplitSummary,
    apply_max_tokens,
    assigned,
    chunks,
)
from .records import RowCounts, TextRecords
from .tokenizer import Tokenizer

SHARD_BYTES = 16_000_000
MAX_SHARD_BYTES = 4 * SHARD_BYTES  # a range is longer if its text has no line feeds
BLOCK = 2**20  # bytes
SPLITS: tuple[Split, ...] = ("train", "valid", "test")


@dataclass(frozen=True)
class Shard:
    """A range of bytes of a text file, and the hash of these bytes."""

    number: int
    path: str
    start: int
    end: int
    digest: str

    def file(self, folder: Path, suffix: str) -> Path:
        """Returns the path of one of its files."""
        return folder / f"shard-{self.number:06}.{suffix}"


@dataclass(frozen=True)
class ShardCounts:
    """Counts of a complete shard."""

    rows: RowCounts
    splits: dict[Split, SplitSummary]


def plan(sources: list[SourceFile]) -> list[Shard]:
    """Returns the shards of plain texts, or none if their lines are too long to cut them into shards.

    Raises:
        SourceChanged: A text does not match its hash.
    """
    shards: list[Shard] = []
    for source in sources:
        whole = hashlib.blake2b()
        with source.path.open("rb") as file:
            for start, end in _ranges(file):
                digest = hashlib.blake2b()
                file.seek(start)
                for at in range(start, end, BLOCK):
                    block = file.read(min(BLOCK, end - at))
                    digest.update(block)
                    whole.update(block)
                found = digest.hexdigest()[:HASH_DIGITS]
                shards.append(Shard(len(shards), str(source.path), start, end, found))
        if whole.hexdigest()[:HASH_DIGITS] != source.digest:
            raise SourceChanged(source.path)
    fits = all(shard.end - shard.start <= MAX_SHARD_BYTES for shard in shards)
    return shards if fits else []


def suitable(sources: list[SourceFile], config: DataConfig, smallest: int) -> bool:
    """Whether texts are large enough to be cut, and all plain text that is not compressed."""
    texts = (
        format_of(source.path, config.format) == "text" and source.path.suffix.lower() != ".gz"
        for source in sources
    )
    return all(texts) and sum(source.path.stat().st_size for source in sources) >= smallest


def completed(folder: Path, shard: Shard) -> ShardCounts | None:
    """Returns the counts of a shard of the same bytes that is complete, or None."""
    try:
        found = json.loads(shard.file(folder, "json").read_bytes())
        if found["shard"] | {"path": shard.path} != asdict(shard):  # the text may have moved
            return None
        splits = {split: SplitSummary(**found["splits"][split]) for split in SPLITS}
        return ShardCounts(RowCounts(**found["rows"]), splits)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def encode_shard(
    folder: Path,
    shard: Shard,
    tokenizer: Tokenizer,
    config: DataConfig,
    shares: Shares,
    dtype: np.dtype[Any],
) -> None:
    """Writes the files of a shard.

    Raises:
        SourceChanged: The text does not match the hash of the shard.
        OSError: A file cannot be read or written.
    """
    with open(shard.path, "rb") as file:
        file.seek(shard.start)
        content = file.read(shard.end - shard.start)
    if hashlib.blake2b(content).hexdigest()[:HASH_DIGITS] != shard.digest:
        raise SourceChanged(Path(shard.path))
    rows, splits = RowCounts(), {split: SplitSummary() for split in SPLITS}
    text = TextRecords(Path(shard.path), config, rows, part=(shard.start, content))
    own = f".{os.getpid()}"  # of this process: another one may be encoding the same shard
    suffixes = [f"{split}.{kind}" for split in SPLITS for kind in ("ids", "lengths", "lines")]
    with ExitStack() as stack:
        files = {
            suffix: stack.enter_context(shard.file(folder, suffix + own).open("wb"))
            for suffix in suffixes
        }
        for chunk in chunks(text.numbered()):
            for split, part in assigned(chunk, shares):
                flat = tokenizer.encode_flat(part.sentences)
                ids, lengths, lines = apply_max_tokens(*flat, part.lines, config, splits[split])
                files[f"{split}.ids"].write(ids.astype(dtype).tobytes())
                files[f"{split}.lengths"].write(lengths.astype("<i8").tobytes())
                files[f"{split}.lines"].write(lines.astype("<u4").tobytes())
    record = {
        "shard": asdict(shard),
        "rows": asdict(rows),
        "splits": {split: asdict(summary) for split, summary in splits.items()},
    }
    shard.file(folder, "json" + own).write_text(json.dumps(record), encoding="utf-8")
    for suffix in [*suffixes, "json"]:
        shard.file(folder, suffix + own).rename(shard.file(folder, suffix))


def read_part(
    folder: Path, shard: Shard, split: Split, dtype: np.dtype[Any]
) -> tuple[Ids, NDArray[np.int64], Lines]:
    """Returns the ids, lengths and line numbers of the sentences of a shard in a split."""
    ids, lengths, lines = (
        np.fromfile(shard.file(folder, f"{split}.{kind}"), kind_dtype)
        for kind, kind_dtype in (("ids", dtype), ("lengths", "<i8"), ("lines", "<u4"))
    )
    return ids, lengths, lines


def serve(folder: Path, config: DataConfig, shares: Shares, dtype: np.dtype[Any]) -> None:
    """Encodes the shards that standard input asks for, until it ends."""
    tokenizer = Tokenizer.load(folder / "tokenizer.json")
    for line in sys.stdin:
        answer: dict[str, object] = {}
        try:
            encode_shard(folder, Shard(**json.loads(line)), tokenizer, config, shares, dtype)
        except SourceChanged:
            answer = {"changed": True}
        except OSError as error:
            answer = {"errno": error.errno, "problem": error.strerror, "file": error.filename}
        print(json.dumps(answer), flush=True)


def _ranges(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """Yields ranges of about `SHARD_BYTES` that end after a line feed."""
    size = os.fstat(file.fileno()).st_size
    start = 0
    while start < size:
        file.seek(start + SHARD_BYTES)
        while (line := file.readline(BLOCK)) and not line.endswith(b"\n"):
            pass
        end = min(file.tell(), size)
        yield start, end
        start = end
