"""Reading the metrics log: what was written, without what is unknown, partial or damaged."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mivae_cli import limits
from mivae_cli.errors import CheckpointError
from mivae_cli.storage.metrics_log import (
    LoggedStep,
    LoggedValidation,
    Metrics,
    MetricsLog,
    read_metrics,
)

RUNS = Path(__file__).parents[2] / "integration" / "runs"
STEP = {"kind": "step", "step": 20, "epoch": 0.25, "loss": 3.5, "mi_bound": None}
VALIDATION = {"kind": "validation", "step": 80, "epoch": 1, "elbo": -4.25, "best": True}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


def text(*records: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def test_written_records_are_read_in_order(path: Path) -> None:
    log = MetricsLog(path)
    for record in (STEP, STEP | {"step": 40, "loss": float("nan")}, VALIDATION):
        log.append(record)
    log.append(VALIDATION | {"rates": (0.5, 1)})
    assert read_metrics(path) == Metrics(
        (LoggedStep(20, 0.25, loss=3.5), LoggedStep(40, 0.25, loss=None)),
        (
            LoggedValidation(80, 1, elbo=-4.25, best=True),
            LoggedValidation(80, 1, elbo=-4.25, best=True, rates=(0.5, 1.0)),
        ),
    )


def test_unknown_kinds_and_keys_are_skipped(path: Path) -> None:
    others: list[dict[str, Any]] = [{"kind": "skipped", "step": 1, "reason": "x"}]
    others.append({"kind": "later", "step": "no"})
    path.write_bytes(text(STEP | {"later": {"deep": [1]}}, *others, VALIDATION))
    found = read_metrics(path)
    assert found == Metrics(
        (LoggedStep(20, 0.25, loss=3.5),), (LoggedValidation(80, 1, elbo=-4.25, best=True),)
    )


@pytest.mark.parametrize("end", [1, 10, len(text(STEP)) - 1])
def test_a_partial_last_line_is_skipped(path: Path, end: int) -> None:
    path.write_bytes(text(STEP) + text(STEP)[:end])
    assert len(read_metrics(path).steps) == 1


def test_an_empty_log_has_no_records(path: Path) -> None:
    path.touch()
    assert read_metrics(path) == Metrics()


DAMAGED = {
    "not JSON": b"what was there",
    "not UTF-8": b'{"kind": "step", "step": 1, "epoch": 1, "x": "\xff"}',
    "zeros": b"\0" * 50,
    "blank": b"",
    "no object": b"[1]",
    "no kind": b'{"step": 1, "epoch": 1}',
    "no step": b'{"kind": "step", "epoch": 1}',
    "text for a number": b'{"kind": "step", "step": 1, "epoch": 1, "loss": "3"}',
    "a truth value for a number": b'{"kind": "step", "step": true, "epoch": 1}',
    "infinite": b'{"kind": "step", "step": 1, "epoch": 1, "loss": 1e999}',
    "NaN": b'{"kind": "step", "step": 1, "epoch": 1, "loss": NaN}',
    "a huge number": b'{"kind": "step", "step": 1, "epoch": 1, "loss": 1' + b"0" * 5000 + b"}",
    "too many rates": b'{"kind": "validation", "step": 1, "epoch": 1, "rates": [0'
    + b", 0" * 256
    + b"]}",
    "a huge step": b'{"kind": "validation", "step": 9007199254740993, "epoch": 1}',
    "nested deeply": b'{"kind": "step", "step": 1, "epoch": 1, "x": ' + b"[" * 10**5 + b"}",
}


@pytest.mark.parametrize("line", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_line_is_named(path: Path, line: bytes) -> None:
    path.write_bytes(text(STEP) + line + b"\n" + text(STEP))
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl' is damaged: line 2: ") as caught:
        read_metrics(path)
    assert len(str(caught.value)) < len(str(path)) + 200


PUT: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: None,
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "link": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("put", PUT.values(), ids=PUT)
def test_what_is_not_a_file_is_rejected(path: Path, put: Callable[[Path], object]) -> None:
    put(path)
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl'"):
        read_metrics(path)


def test_sizes_are_limited(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_bytes(text(STEP, STEP, VALIDATION))
    size, longest = path.stat().st_size, len(text(STEP))
    for name, limit in (
        ("MAX_METRICS_BYTES", size),
        ("MAX_METRICS_LINE", longest),
        ("MAX_METRICS_RECORDS", 3),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(limits, name, limit)
            assert len(read_metrics(path).steps) == 2
            patched.setattr(limits, name, limit - 1)
            with pytest.raises(CheckpointError, match=r"metrics\.jsonl'"):
                read_metrics(path)


def test_a_sparse_log_is_rejected(path: Path) -> None:
    path.write_bytes(text(STEP))
    os.truncate(path, limits.MAX_METRICS_BYTES)
    with pytest.raises(CheckpointError, match="sparse"):
        read_metrics(path)


@pytest.mark.parametrize("name", ["format-1", "format-2"])
def test_logs_of_earlier_versions_are_read(name: str) -> None:
    found = read_metrics(RUNS / name / "metrics.jsonl")
    assert found.steps
    assert found.validations
    assert all(each.loss is not None for each in found.steps)
    assert all(each.elbo is not None and each.mi is not None for each in found.validations)
    assert (found.validations[0].units_above is None) == (name == "format-1")  # added later
