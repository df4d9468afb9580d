"""The progress protocol: results, callbacks, and computations that signals stop."""

import os
import signal
from collections.abc import Generator

import pytest

from mivae_cli.signals import Interrupted, Interruption
from mivae_cli.stages import Stage, finish, interruptible

RECORDS = [Stage("work", done, 3) for done in range(3)]


def work(closed: list[str]) -> Generator[Stage, None, str]:
    try:
        yield from RECORDS
        return "result"
    finally:
        closed.append("closed")


def test_finish_passes_all_records_and_returns_the_result() -> None:
    closed: list[str] = []
    seen: list[Stage] = []
    assert finish(work(closed), seen.append) == finish(work(closed)) == "result"
    assert seen == RECORDS


def test_a_callback_that_raises_closes_the_computation() -> None:
    closed: list[str] = []
    with pytest.raises(ZeroDivisionError):
        finish(work(closed), lambda record: record.done / (record.done - record.done))
    assert closed == ["closed"]


def test_an_interruptible_computation_is_the_same_without_a_signal() -> None:
    seen: list[Stage] = []
    assert finish(interruptible(work([]), Interruption()), seen.append) == "result"
    assert seen == RECORDS


def test_a_signal_during_the_display_of_a_record_stops_before_the_next_one() -> None:
    closed: list[str] = []
    seen: list[Stage] = []

    def show(record: Stage) -> None:
        seen.append(record)
        os.kill(os.getpid(), signal.SIGTERM)

    with Interruption() as interruption, pytest.raises(Interrupted):
        finish(interruptible(work(closed), interruption), show)
    assert seen == RECORDS[:1]
    assert closed == ["closed"]
