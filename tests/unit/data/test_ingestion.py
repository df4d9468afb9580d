"""Ingestion: results do not depend on the chunks."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mivae_cli.config.data import DataConfig
from mivae_cli.data import ingestion
from mivae_cli.data.corpus import Split
from mivae_cli.data.ingestion import (
    SplitSummary,
    apply_max_tokens,
    chunks,
    hashed_files,
    map_split,
    split_chunks,
    split_writer,
)
from mivae_cli.data.tokenizer import UNKNOWN
from mivae_cli.errors import DataError
from support.texts import split_of

sentences_of_ids = st.lists(st.lists(st.integers(1, 9), max_size=8), max_size=20)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("splits")


def flat(sentences: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    ids = np.array([token for ids in sentences for token in ids], np.uint32)
    return ids, np.array([len(ids) for ids in sentences], np.int64)


@given(st.lists(st.text(min_size=1), max_size=30), st.integers(1, 40))
def test_chunks_hold_every_sentence_in_order_and_end_once_they_are_full(
    sentences: list[str], size: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingestion, "CHUNK", size)
        found = list(chunks(enumerate(sentences, start=3)))
    assert [sentence for chunk in found for sentence in chunk.sentences] == sentences
    lines = [line for chunk in found for line in chunk.lines.tolist()]
    assert lines == list(range(3, 3 + len(sentences)))
    for chunk in found:
        assert sum(map(len, chunk.sentences[:-1])) <= size
    for chunk in found[:-1]:
        assert sum(map(len, chunk.sentences)) > size


def test_lines_are_numbered_as_far_as_four_bytes_go() -> None:
    [chunk] = chunks([(2**32 - 1, "the last")])
    assert chunk.lines.tolist() == [2**32 - 1]
    with pytest.raises(DataError, match="4,294,967,295 lines"):
        list(chunks([(2**32, "one more")]))


def test_each_sentence_goes_where_its_hash_says(tmp_path: Path) -> None:
    path, shares = tmp_path / "a.txt", (0.2, 0.1)
    texts = [f"sentence {number}" for number in range(500)]
    path.write_text("\n".join(texts), encoding="utf-8")
    config = DataConfig(valid_share=shares[0], test_share=shares[1])
    found: dict[Split, list[tuple[int, str]]] = {"train": [], "valid": [], "test": []}
    sources = hashed_files({"train": (path,)})
    for split, _, chunk in split_chunks(sources, config, ["train", "valid"]):
        found[split] += zip(chunk.lines.tolist(), chunk.sentences, strict=True)
    assert found == {
        split: [
            (line, text)
            for line, text in enumerate(texts, start=1)
            if split_of(text, *shares) == split
        ]
        for split in found
    }


@given(sentences_of_ids, st.integers(1, 9), st.booleans())
def test_long_sentences_are_cut_or_left_out(
    sentences: list[list[int]], most: int, skip: bool
) -> None:
    config = DataConfig(max_tokens=most, too_long="skip" if skip else "truncate")
    summary = SplitSummary()
    numbers = np.arange(len(sentences), dtype=np.uint32)
    ids, lengths, lines = apply_max_tokens(*flat(sentences), numbers, config, summary)
    kept = [place for place, ids in enumerate(sentences) if len(ids) <= most or not skip]
    expected = [sentences[place][:most] for place in kept]
    assert [part.tolist() for part in np.split(ids, np.cumsum(lengths))[:-1]] == expected
    assert lines.tolist() == kept
    too_long = sum(len(ids) > most for ids in sentences)
    assert summary == SplitSummary(
        sentences=len(expected),
        tokens=sum(map(len, expected)),
        unknown=sum(ids.count(UNKNOWN) for ids in expected),
        truncated=0 if skip else too_long,
        skipped=too_long if skip else 0,
    )


@given(st.lists(sentences_of_ids, max_size=4), st.sampled_from(["<u2", "<u4"]))
def test_a_split_written_in_parts_is_read_as_a_whole(
    folder: Path, parts: list[list[list[int]]], width: str
) -> None:
    numbers = np.arange(2**32 - 1, 2**32 - 101, -1).astype(np.uint32)
    written = 0
    with split_writer(folder, "train", np.dtype(width)) as write:
        for part in parts:
            write(*flat(part), numbers[written : written + len(part)])
            written += len(part)
    tokens, lengths = flat([ids for part in parts for ids in part])
    some = len(tokens) and (lengths > 0).all()  # sentences are never empty
    found = map_split(folder.joinpath, "train", width, 2**32) if some else None
    offsets = np.load(folder / "train.offsets.npy", mmap_mode="r")
    assert offsets.dtype == np.int64
    np.testing.assert_array_equal(offsets, np.concatenate([[0], np.cumsum(lengths)]))
    np.testing.assert_array_equal(np.load(folder / "train.lines.npy"), numbers[:written])
    np.testing.assert_array_equal(np.fromfile(folder / "train.tokens", width), tokens)
    if found is not None:  # an empty file cannot be mapped
        for one, other in zip(found, (tokens, offsets, numbers[:written]), strict=True):
            np.testing.assert_array_equal(one, other)


def test_the_header_of_an_array_has_a_constant_size() -> None:
    room = set()
    for count in (0, 1, 10**6, 10**15):
        buffer = io.BytesIO()
        ingestion._write_header(buffer, "<i8", count)
        room.add(buffer.tell())
    assert len(room) == 1
