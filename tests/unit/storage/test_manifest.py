"""Manifests: only listed and unchanged files are read."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mivae_cli.errors import CheckpointError
from mivae_cli.storage.manifest import MANIFEST, Entry, Manifest, entry_of, write_manifest
from mivae_cli.storage.sealed_json import write_sealed

DATA = b"some weights"


def write(folder: Path) -> Path:
    """Writes a folder with one file and its manifest."""
    folder.mkdir(exist_ok=True)
    (folder / "w").write_bytes(DATA)
    write_manifest(folder, "checkpoint", {"w": entry_of(DATA)}, {"step": 3})
    return folder


def write_entries(folder: Path, entries: object) -> Path:
    """Writes a manifest with arbitrary entries."""
    folder.mkdir(exist_ok=True)
    write_sealed(folder / MANIFEST, "checkpoint", {"files": entries})
    return folder


def path_of(folder: Path, name: str = "w") -> Path:
    return Manifest.read(folder, "checkpoint").checked_path(name)


def test_an_entry_is_the_size_and_the_sha256_of_bytes_and_of_files(tmp_path: Path) -> None:
    # of FIPS 180-2, appendix B.1, and of no bytes at all
    assert entry_of(b"abc").sha256 == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    assert entry_of(b"").sha256 == (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )
    for data in (b"", b"abc", os.urandom(3_000_000)):
        (tmp_path / "x").write_bytes(data)
        assert entry_of(tmp_path / "x") == entry_of(data)
        assert entry_of(data).size == len(data)


def test_listed_files_are_found(tmp_path: Path) -> None:
    manifest = Manifest.read(write(tmp_path / "c"), "checkpoint")
    assert manifest.checked_path("w") == tmp_path / "c" / "w"
    assert manifest.files == {"w": entry_of(DATA)}
    assert manifest.body["step"] == 3


def test_unlisted_files_are_not_read(tmp_path: Path) -> None:
    folder = write(tmp_path / "c")
    (folder / "other").write_bytes(DATA)
    for name in ("other", MANIFEST, "../c/w", ".", ""):
        with pytest.raises(CheckpointError, match="manifest"):
            path_of(folder, name)


@given(st.data())
def test_any_changed_byte_is_detected(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = write(tmp_path_factory.getbasetemp() / "bytes")
    changed = bytearray(DATA)
    changed[data.draw(st.integers(0, len(DATA) - 1))] ^= data.draw(st.integers(1, 255))
    (folder / "w").write_bytes(changed)
    with pytest.raises(CheckpointError, match=r"w' is damaged: checksum"):
        path_of(folder)


def replaced_by(put: Callable[[Path], object]) -> Callable[[Path], object]:
    def replace(path: Path) -> None:
        path.unlink()
        put(path)

    return replace


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "shorter": (lambda path: path.write_bytes(DATA[:-1]), "it has 11 bytes instead of 12"),
    "empty": (lambda path: path.write_bytes(b""), "it has 0 bytes instead of 12"),
    "longer": (lambda path: path.write_bytes(DATA + b"\0"), "it has 13 bytes instead of 12"),
    "other bytes": (lambda path: path.write_bytes(DATA[::-1]), "checksum"),
    "missing": (Path.unlink, "is missing"),
    "a folder": (replaced_by(Path.mkdir), "not a regular file"),
    "a pipe": (replaced_by(os.mkfifo), "not a regular file"),
    "a link": (replaced_by(lambda path: path.symlink_to("/etc/passwd")), "is a link"),
}


@pytest.mark.parametrize(("damage", "match"), DAMAGE.values(), ids=DAMAGE)
def test_an_error_names_a_damaged_file(
    tmp_path: Path, damage: Callable[[Path], object], match: str
) -> None:
    folder = write(tmp_path / "c")
    damage(folder / "w")
    with pytest.raises(CheckpointError, match=match) as caught:
        path_of(folder)
    assert f"'{folder / 'w'}'" in str(caught.value)


def test_a_file_is_read_again_only_if_it_has_changed(tmp_path: Path) -> None:
    path = write(tmp_path / "c") / "w"
    manifest = Manifest.read(path.parent, "checkpoint")
    manifest.checked_path("w")
    time = path.stat().st_mtime_ns
    path.write_bytes(DATA[::-1])
    os.utime(path, ns=(time, time))  # as if it had not changed
    manifest.checked_path("w")
    os.utime(path, ns=(time, time + 1))
    for _ in range(2):
        with pytest.raises(CheckpointError, match="checksum"):
            manifest.checked_path("w")


@pytest.mark.parametrize(
    "name",
    ["../w", "/etc/passwd", "a/w", ".", "..", "", ".hidden", "-w", "w\n", "a b", "ü", "a\\b"],
)
def test_names_outside_the_folder_are_rejected(tmp_path: Path, name: str) -> None:
    (tmp_path / "w").write_bytes(DATA)
    folder = write_entries(tmp_path / "c", {name: entry_of(DATA).model_dump()})
    with pytest.raises(CheckpointError, match=r"manifest\.json"):
        Manifest.read(folder, "checkpoint")


@pytest.mark.parametrize("name", ["w" * 300, "W.1-x_y"])
def test_an_unusual_name_is_a_missing_file(tmp_path: Path, name: str) -> None:
    folder = write_entries(tmp_path / "c", {name: entry_of(DATA).model_dump()})
    with pytest.raises(CheckpointError, match=r"missing|too long"):
        path_of(folder, name)


GOOD: dict[str, Any] = {"size": 12, "sha256": "0" * 64}
NO_ENTRIES: list[object] = [
    None,
    [],
    "w",
    3,
    {"w": None},
    {"w": []},
    {"w": 12},
    {"w": {}},
    {"w": {"size": 12}},
    {"w": {"sha256": "0" * 64}},
    {"w": {**GOOD, "mode": 0o777}},
    {"w": {**GOOD, "size": -1}},
    {"w": {**GOOD, "size": 12.0}},
    {"w": {**GOOD, "size": "12"}},
    {"w": {**GOOD, "size": True}},
    {"w": {**GOOD, "size": None}},
    {"w": {**GOOD, "sha256": "0" * 63}},
    {"w": {**GOOD, "sha256": "0" * 65}},
    {"w": {**GOOD, "sha256": "A" * 64}},
    {"w": {**GOOD, "sha256": "0" * 64 + "\n"}},
    {"w": {**GOOD, "sha256": "0" * 63 + "\u0660"}},
    {"w": {**GOOD, "sha256": 0}},
    {"w": {**GOOD, "sha256": None}},
    {"good": GOOD, "w": {**GOOD, "size": -1}},
]


@pytest.mark.parametrize("entries", NO_ENTRIES, ids=str)
def test_invalid_entries_of_a_sealed_manifest_are_rejected(
    tmp_path: Path, entries: object
) -> None:
    folder = write_entries(tmp_path / "c", entries)
    with pytest.raises(CheckpointError, match=r"manifest\.json' is damaged"):
        Manifest.read(folder, "checkpoint")


@pytest.mark.parametrize("size", [2**63, 10**30])
def test_an_enormous_size_is_a_mismatch(tmp_path: Path, size: int) -> None:
    folder = write(tmp_path / "c")
    write_entries(folder, {"w": {**GOOD, "size": size}})
    with pytest.raises(CheckpointError, match=r"manifest\.json' is damaged"):
        path_of(folder)


def refuse_unread(path: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists a sparse file in a manifest, and asserts that it is not read."""
    os.truncate(path, size)
    folder = path.parent
    write_entries(folder, {path.name: {**GOOD, "size": size}})

    def read(*_: object) -> object:
        pytest.fail("it was hashed")

    with monkeypatch.context() as patched:
        patched.setattr("hashlib.file_digest", read)
        with pytest.raises(CheckpointError, match=f"'{path}' is damaged"):
            path_of(folder, path.name)


@pytest.mark.parametrize("name", ["model.safetensors", "state.json", "train.tokens", "x.npy"])
@pytest.mark.parametrize("size", [2**27, 10**12, 2**43])
@pytest.mark.parametrize("start", [0, 2**20])
def test_a_sparse_file_is_rejected_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, size: int, start: int
) -> None:
    path = write(tmp_path / "c") / name
    path.write_bytes(os.urandom(start))
    refuse_unread(path, size, monkeypatch)


@pytest.mark.parametrize(("name", "size"), [("a.json", 2**26 + 1), ("w", 2**30 + 1)])
def test_a_file_above_its_size_limit_is_rejected_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, size: int
) -> None:
    monkeypatch.setattr("mivae_cli.limits.MAX_SPARSE_RATIO", 10**9)
    path = write(tmp_path / "c") / name
    path.write_bytes(DATA)
    refuse_unread(path, size, monkeypatch)


def test_a_small_or_mostly_allocated_sparse_file_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "c") / "w"
    for size in (2**20, 2**26, 2**26 + 2**12):
        path.write_bytes(os.urandom(2**21))
        os.truncate(path, size)
        write_manifest(path.parent, "checkpoint", {"w": entry_of(path)}, {})
        assert path_of(path.parent).stat().st_size == size


def test_too_many_files_are_rejected(tmp_path: Path) -> None:
    started = time.process_time()
    folder = write_entries(tmp_path / "c", {f"w{index}": GOOD for index in range(20_000)})
    with pytest.raises(CheckpointError, match="20,000 files"):
        Manifest.read(folder, "checkpoint")
    assert time.process_time() - started < 10
    write_entries(folder, {f"w{index}": GOOD for index in range(1000)})
    assert len(Manifest.read(folder, "checkpoint").files) == 1000


def test_a_folder_without_a_manifest_is_incomplete(tmp_path: Path) -> None:
    folder = write(tmp_path / "c")
    (folder / MANIFEST).unlink()
    with pytest.raises(CheckpointError, match=r"manifest\.json' is missing"):
        Manifest.read(folder, "checkpoint")
    with pytest.raises(CheckpointError, match=r"manifest\.json' is missing"):
        Manifest.read(tmp_path / "nothing", "checkpoint")


def test_links_and_files_instead_of_a_folder_are_rejected(tmp_path: Path) -> None:
    write(tmp_path / "c")
    (tmp_path / "link").symlink_to(tmp_path / "c")
    with pytest.raises(CheckpointError, match="is a link"):
        Manifest.read(tmp_path / "link", "checkpoint")
    with pytest.raises(CheckpointError, match="w' is damaged"):
        Manifest.read(tmp_path / "c" / "w", "checkpoint")


def test_a_manifest_of_another_kind_is_rejected(tmp_path: Path) -> None:
    folder = write(tmp_path / "c")
    with pytest.raises(CheckpointError, match="kind"):
        Manifest.read(folder, "run")
    write_manifest(folder, "corpus", {}, {"files": "no entry of ours", "x": 1}, "corpus.json")
    found = Manifest.read(folder, "corpus", "corpus.json")
    assert (found.files, found.body["x"]) == ({}, 1)


def test_an_entry_validates_its_fields() -> None:
    with pytest.raises(ValueError, match="size"):
        Entry(size=-1, sha256="0" * 64)
