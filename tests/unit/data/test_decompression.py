"""Decompression bombs are rejected without using much memory."""

import gzip
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mivae_cli.config.data import DataConfig
from mivae_cli.errors import DataError
from mivae_cli.estimators.io.pairs import read_pairs
from support.program import Mivae
from support.texts import read_sentences

FREE = 2**20  # bytes; small, so that tests write little
ROWS = 400_000  # rows of 8 bytes: three times FREE


@pytest.fixture(autouse=True)
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mivae_cli.limits.SMALL_UNPACKED_BYTES", FREE)


def npz(path: Path, packed: bool = True) -> Path:
    save = np.savez_compressed if packed else np.savez
    save(path, x=np.zeros(ROWS), z=np.zeros(ROWS))
    return path


def parquet(path: Path, values: object) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    tables = pytest.importorskip("pyarrow.parquet")
    tables.write_table(pyarrow.table({"x": values, "z": values}), path, compression="zstd")
    return path


def rows_of_one(path: Path) -> Path:
    return parquet(path, np.zeros(ROWS))


def lists(path: Path) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    flat = pyarrow.array(np.zeros(ROWS))
    return parquet(path, pyarrow.FixedSizeListArray.from_arrays(flat, 8))


def table(path: Path) -> Path:
    with gzip.open(path, "wt") as file:
        file.write("x,z\n" + "0,0\n" * ROWS)
    return path


BOMBS: dict[str, Callable[[Path], Path]] = {
    "a.npz": npz, "a.parquet": rows_of_one, "lists.parquet": lists, "a.csv.gz": table,
    "a.tsv.gz": table,
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_a_decompression_bomb_is_rejected(tmp_path: Path, name: str) -> None:
    path = BOMBS[name](tmp_path / name)
    if name == "a.tsv.gz":
        path.write_bytes(gzip.compress(b"x\tz\n" + b"0\t0\n" * ROWS))
    assert path.stat().st_size * 100 < ROWS * 8
    with pytest.raises(DataError, match="MiB") as caught:
        read_pairs([path])
    assert name in str(caught.value)


def test_a_member_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = npz(tmp_path / "a.npz")
    tracemalloc.start()
    try:
        with pytest.raises(DataError):
            read_pairs([path])
        assert tracemalloc.get_traced_memory()[1] < FREE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("suffix", ["txt.gz", "jsonl.gz", "csv.gz"])
def test_text_that_unpacks_without_end_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    line = {"txt.gz": b"a man\n", "jsonl.gz": b'{"text": "a man"}\n', "csv.gz": b"a man\n"}[suffix]
    # concatenated gzip members form one file
    path.write_bytes(
        gzip.compress(b"text\n" * (suffix == "csv.gz")) + gzip.compress(line * ROWS) * 2
    )
    with pytest.raises(DataError, match=path.name):
        for _ in read_sentences(path, DataConfig()):
            pass


@pytest.mark.parametrize("name", ["a.npz", "noise.npz", "small.npz", "text.csv.gz", "a.npy"])
def test_uncompressed_data_is_read(tmp_path: Path, name: str) -> None:
    path, numbers = tmp_path / name, np.random.default_rng(0).normal(size=ROWS)
    match name:
        case "a.npz":
            npz(path, packed=False)
        case "noise.npz":
            np.savez_compressed(path, x=numbers, z=numbers)
        case "small.npz":
            np.savez_compressed(path, x=np.zeros(100_000), z=np.zeros(100_000))
        case "text.csv.gz":
            rows = "".join(f"{a},{a}\n" for a in numbers[:60_000].tolist())
            path.write_bytes(gzip.compress(b"x,z\n" + rows.encode()))
        case _:
            np.save(path, numbers)
            assert len(read_pairs([path, path])) == ROWS
            return
    assert len(read_pairs([path])) > 50_000


def claim(path: Path, size: int) -> None:
    """Changes the size of a zip member in both of its headers."""
    data = bytearray(path.read_bytes())
    for magic, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        place = data.find(magic)
        while place >= 0:
            data[place + offset : place + offset + 4] = struct.pack("<I", size)
            place = data.find(magic, place + 1)
    path.write_bytes(data)


@pytest.mark.parametrize("size", [0, 1000, 2**20, 2**31, 2**32 - 2])
def test_a_claimed_size_changes_nothing(tmp_path: Path, size: int) -> None:
    path = npz(tmp_path / "a.npz")
    claim(path, size)
    with pytest.raises(DataError, match=r"a\.npz"):
        read_pairs([path])


def test_an_archive_in_an_archive_is_no_array(tmp_path: Path) -> None:
    inner = npz(tmp_path / "inner.npz")
    path = tmp_path / "outer.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(inner, "x.npy")
        archive.write(inner, "z.npy")
    with pytest.raises(DataError, match=r"outer\.npz"):
        read_pairs([path])


def test_data_larger_than_memory_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mivae: Mivae
) -> None:
    path = tmp_path / "sparse.npy"
    np.save(path, np.zeros(2))
    header = path.read_bytes()[:128].replace(b"(2,), }" + b" " * 12, b"(137438953472,), }" + b" ")
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + 8 * 2**37)
    ran = mivae("estimate-mi", path, path)
    assert ran.code == 3
    assert "sparse.npy" in ran.err
    assert "memory" in ran.err
