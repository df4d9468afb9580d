"""The metrics log: every line once and in order despite failures, and a verified prefix."""

import hashlib
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mivae_cli.errors import CheckpointError
from mivae_cli.storage.manifest import Entry, entry_of
from mivae_cli.storage.metrics_log import MetricsLog, check_prefix
from support.disk import full, largest_file

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
RECORDS = st.dictionaries(st.text(), st.none() | st.integers() | NUMBERS | st.text(), max_size=4)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


def lines(path: Path) -> list[Any]:
    text = path.read_text()
    assert not text or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def holds(path: Path, entry: Entry) -> None:
    """Asserts that an entry is the checksum of the file's prefix."""
    data = path.read_bytes()[: entry.size]
    assert len(data) == entry.size
    assert entry.sha256 == hashlib.sha256(data).hexdigest()


@given(st.lists(RECORDS, max_size=8), st.data())
def test_a_log_can_be_resumed_after_any_line(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, Any]], data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "metrics.jsonl"
    path.write_bytes(b"")
    journal = MetricsLog(path)
    entries = [journal.entry]
    for record in records:
        journal.append(record)
        entries.append(journal.entry)
        holds(path, journal.entry)
    assert [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]] == records

    kept = data.draw(st.integers(0, len(records)))
    resumed = MetricsLog.resume(path, entries[kept])
    assert resumed.entry == entries[kept]
    for record in records[kept:]:
        resumed.append(record)
    assert resumed.entry == entries[-1]
    holds(path, resumed.entry)


def test_the_first_line_creates_the_file(path: Path) -> None:
    MetricsLog(path).append({"step": 1})
    assert lines(path) == [{"step": 1}]


def test_a_new_log_replaces_an_old_one(path: Path) -> None:
    path.write_text("what was there\n")
    journal = MetricsLog(path)
    assert journal.entry == entry_of(b"")
    journal.append({"step": 1})
    assert lines(path) == [{"step": 1}]


def test_numbers_that_json_lacks_become_null(path: Path) -> None:
    MetricsLog(path).append({"a": math.nan, "b": math.inf, "c": -math.inf, "d": 1.5, "e": True})
    assert lines(path) == [{"a": None, "b": None, "c": None, "d": 1.5, "e": True}]


@pytest.mark.parametrize("tail", ["", "{", '{"step": 2, "lo', '{"step": 2}\n{"st', "\0" * 5000])
def test_resuming_truncates_the_log(path: Path, tail: str) -> None:
    journal = MetricsLog(path)
    journal.append({"step": 1})
    with path.open("a") as file:
        file.write(tail)
    resumed = MetricsLog.resume(path, journal.entry)
    resumed.append({"step": 2, "anew": True})
    assert lines(path) == [{"step": 1}, {"step": 2, "anew": True}]


@pytest.mark.parametrize("size", [0, 1, 13, 17, 30])
def test_a_full_disk_keeps_lines_for_later_in_order_and_once(path: Path, size: int) -> None:
    """Lines have 12 bytes; the system may write a part of a line."""
    journal = MetricsLog(path)
    with largest_file(size):
        for step in range(3, 9):
            journal.append({"step": step})
            assert lines(path) == [{"step": at} for at in range(3, 3 + journal.size // 12)]
            holds(path, journal.entry)
    assert journal.size <= size
    journal.append({"step": 9})
    assert lines(path) == [{"step": step} for step in range(3, 10)]
    assert journal.entry == entry_of(path)


def test_a_partial_line_is_removed_later_if_it_cannot_be_removed_now(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = MetricsLog(path)
    journal.append({"step": 1})
    truncations = iter([os.ftruncate, full])  # before the line is written, and after
    with monkeypatch.context() as patched, largest_file(20):
        patched.setattr(os, "ftruncate", lambda *given: next(truncations)(*given))
        journal.append({"step": 2})
    assert path.read_text().splitlines() == ['{"step": 1}', '{"step":']
    holds(path, journal.entry)
    journal.append({"step": 3})
    assert lines(path) == [{"step": 1}, {"step": 2}, {"step": 3}]


def test_waiting_lines_are_written_by_flush(path: Path) -> None:
    journal = MetricsLog(path)
    with largest_file(5):
        journal.append({"step": 1})
    assert lines(path) == []
    journal.flush()
    assert lines(path) == [{"step": 1}]
    journal.flush()
    assert lines(path) == [{"step": 1}]


def test_a_file_that_cannot_be_opened_keeps_lines_for_later(path: Path) -> None:
    journal = MetricsLog(path)
    journal.append({"step": 1})
    path.rename(path.with_name("away"))
    path.mkdir()
    journal.append({"step": 2})
    path.rmdir()
    path.with_name("away").rename(path)
    journal.append({"step": 3})
    assert lines(path) == [{"step": 1}, {"step": 2}, {"step": 3}]
    assert journal.entry == entry_of(path)


@pytest.mark.parametrize("empty", [Path.unlink, lambda path: path.write_bytes(b'{"')])
def test_a_log_truncated_by_another_program_starts_again(
    path: Path, empty: Callable[[Path], object]
) -> None:
    journal = MetricsLog(path)
    journal.append({"step": 1})
    empty(path)
    journal.append({"step": 2})
    assert lines(path) == [{"step": 2}]
    assert journal.entry == entry_of(path)


@pytest.mark.parametrize("put", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("nowhere")])
def test_a_log_that_is_not_a_file_is_not_written_and_does_not_block(
    path: Path, put: Callable[[Path], object]
) -> None:
    put(path)
    journal = MetricsLog(path)
    journal.append({"step": 1})
    assert journal.entry == entry_of(b"")
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def changed(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[3] ^= 1
    path.write_bytes(data)


def linked(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


UNFIT: dict[str, tuple[Callable[[Path], object], str]] = {
    "changed": (changed, "is damaged"),
    "shorter": (lambda path: os.truncate(path, 11), "is damaged"),
    "empty": (lambda path: os.truncate(path, 0), "is damaged"),
    "missing": (Path.unlink, "is missing"),
    "a link": (linked, "is a link"),
}


@pytest.mark.parametrize(("change", "match"), UNFIT.values(), ids=UNFIT)
def test_a_mismatched_prefix_is_rejected_and_kept(
    path: Path, change: Callable[[Path], object], match: str
) -> None:
    journal = MetricsLog(path)
    journal.append({"step": 1})
    check_prefix(path, journal.entry)
    change(path)
    before = path.read_bytes() if path.exists() else None
    for attempt in (check_prefix, MetricsLog.resume):
        with pytest.raises(CheckpointError, match=match):
            attempt(path, journal.entry)
    assert (path.read_bytes() if path.exists() else None) == before


def test_a_prefix_larger_than_memory_is_rejected(path: Path) -> None:
    path.write_bytes(b"{}\n")
    with pytest.raises(CheckpointError, match="is damaged"):
        MetricsLog.resume(path, Entry(size=2**53, sha256="0" * 64))


def test_empty_and_large_prefixes_match(path: Path) -> None:
    data = b'{"step": 1}\n' * 300_000
    path.write_bytes(data)
    for size in (0, 12, len(data)):
        resumed = MetricsLog.resume(path, entry_of(data[:size]))
        assert resumed.entry == entry_of(data[:size])
    resumed.append({"step": 2})
    assert path.read_bytes() == data + b'{"step": 2}\n'
    assert resumed.entry == entry_of(path)


@pytest.mark.parametrize("link", [os.symlink, os.link], ids=["symbolic", "hard"])
def test_a_log_replaced_by_a_link_is_not_written(
    path: Path, link: Callable[[Path, Path], None]
) -> None:
    journal = MetricsLog(path)
    journal.append({"step": 1})
    path.unlink()
    precious = path.with_name("precious")
    precious.write_text("years of work\n")
    link(precious, path)
    journal.append({"step": 2})
    assert precious.read_text() == "years of work\n"
    path.unlink()
    path.write_text('{"step": 1}\n')
    journal.append({"step": 3})
    assert lines(path) == [{"step": 1}, {"step": 2}, {"step": 3}]


@pytest.mark.parametrize("size", [10**9, 10**12])
def test_a_sparse_log_is_rejected_before_it_is_read(path: Path, size: int) -> None:
    path.write_bytes(b'{"step": 1}\n')
    os.truncate(path, size)
    with pytest.raises(CheckpointError, match="sparse"):
        check_prefix(path, Entry(size=size, sha256="0" * 64))
