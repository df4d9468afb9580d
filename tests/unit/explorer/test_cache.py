"""Cached maps: stored, read, and ignored if they are damaged."""

import os
from pathlib import Path

import numpy as np
import pytest

from mivae_cli import limits
from mivae_cli.explorer.cache import CachedArrays, cache_key, load_arrays, store_arrays

SHAPES = {"rates": (3,), "vectors": (3, 2)}
KEY = cache_key("weights", 1)


def arrays() -> CachedArrays:
    vectors = np.arange(6, dtype=np.float32).reshape(3, 2)
    return {"rates": np.ones(3, np.float32), "vectors": vectors}


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    assert store_arrays(tmp_path / "explorer", KEY, arrays())
    [path] = (tmp_path / "explorer").iterdir()
    return path


def test_arrays_are_read_as_they_were_stored(stored: Path) -> None:
    found = load_arrays(stored.parent, KEY, SHAPES)
    assert found is not None
    np.testing.assert_array_equal(found["vectors"], arrays()["vectors"])
    assert load_arrays(stored.parent, cache_key("weights", 2), SHAPES) is None


def test_arrays_of_another_shape_are_ignored(stored: Path) -> None:
    assert load_arrays(stored.parent, KEY, {**SHAPES, "rates": (4,)}) is None
    assert load_arrays(stored.parent, KEY, {"rates": (3,)}) is None


@pytest.mark.parametrize("place", [0, 40, -1])
def test_a_changed_byte_is_noticed(stored: Path, place: int) -> None:
    data = bytearray(stored.read_bytes())
    data[place] ^= 1
    stored.write_bytes(bytes(data))
    assert load_arrays(stored.parent, KEY, SHAPES) is None


@pytest.mark.parametrize("data", [b"", b"x" * 31, b"x" * 100])
def test_other_content_is_ignored_and_replaced(stored: Path, data: bytes) -> None:
    stored.write_bytes(data)
    assert load_arrays(stored.parent, KEY, SHAPES) is None
    assert store_arrays(stored.parent, KEY, arrays())
    assert load_arrays(stored.parent, KEY, SHAPES) is not None


def test_numbers_that_are_not_finite_are_ignored(tmp_path: Path) -> None:
    assert store_arrays(tmp_path, KEY, {**arrays(), "rates": np.full(3, np.nan, np.float32)})
    assert load_arrays(tmp_path, KEY, SHAPES) is None


def test_links_are_not_followed(stored: Path) -> None:
    target = stored.with_name("target")
    stored.rename(target)
    stored.symlink_to(target)
    assert load_arrays(stored.parent, KEY, SHAPES) is None


def test_the_files_used_least_recently_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_MAP_FILES", 2)
    (tmp_path / "notes.txt").write_text("of the user")
    keys = [cache_key(number) for number in range(3)]
    for age, key in zip((300, 200), keys[:2], strict=True):
        store_arrays(tmp_path, key, arrays())
        path = tmp_path / f"{key}.map"
        os.utime(path, (path.stat().st_mtime - age,) * 2)
    assert load_arrays(tmp_path, keys[0], SHAPES) is not None  # now it is the newest
    store_arrays(tmp_path, keys[2], arrays())
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"notes.txt", f"{keys[0]}.map", f"{keys[2]}.map"}


def test_drafts_of_killed_processes_are_removed(stored: Path) -> None:
    old, new = (stored.with_name(f".draft-{name * 12}-{stored.name}") for name in "ab")
    old.write_bytes(b"")
    new.write_bytes(b"")
    os.utime(old, (0, 0))
    assert store_arrays(stored.parent, cache_key("other"), arrays())
    assert not old.exists()
    assert new.exists()  # perhaps of a process that is running


def test_a_cache_that_cannot_be_written_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    assert not store_arrays(tmp_path / "file" / "explorer", KEY, arrays())
    monkeypatch.setattr(limits, "MAX_MAP_FILE_BYTES", 10)
    assert not store_arrays(tmp_path / "explorer", KEY, arrays())
    assert not (tmp_path / "explorer").exists()
