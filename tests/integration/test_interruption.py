"""Signals: the first waits until it suits, the second does not, and what was before is restored."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from mivae_cli.cli.support import console
from mivae_cli.cli.support.training_output import show_training
from mivae_cli.data.prepared_corpus import prepare_corpus
from mivae_cli.experiments.train_run import create_training
from mivae_cli.runs.directory import RunDirectory
from mivae_cli.signals import SIGNALS, Interrupted, Interruption
from mivae_cli.training.trainer import Trainer
from support.small import small_config, train_to_end, write_scenes

CODES = {signal.SIGHUP: 129, signal.SIGINT: 130, signal.SIGTERM: 143}
each_signal = pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)


@pytest.fixture(autouse=True)
def answered() -> Iterator[None]:
    """A suite that runs in the background inherits an ignored SIGINT, one under nohup a SIGHUP."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(0)  # the interpreter answers between two instructions


def fails() -> None:
    raise OSError("the terminal has gone")


def exit_code(body: Callable[[], None]) -> int:
    """Runs something in a child and returns how it ended: 99 where it simply returned."""
    child = os.fork()
    if not child:
        code = 98
        try:
            body()
            code = 99
        except Interrupted as stop:
            code = stop.exit_code
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_the_signals_are_those_that_ask_a_program_to_stop() -> None:
    assert set(SIGNALS) == set(CODES)


@each_signal
def test_a_signal_waits_until_the_program_looks(number: signal.Signals) -> None:
    said: list[str] = []
    with Interruption(lambda: said.append("first")) as interruption:
        interruption.check()
        send(number)
        assert said == ["first"]
        with pytest.raises(Interrupted, match=number.name) as caught:
            interruption.check()
    assert caught.value.exit_code == CODES[number]


@each_signal
def test_it_does_not_wait_for_what_may_be_broken_off(number: signal.Signals) -> None:
    said: list[str] = []

    def long() -> None:
        send(number)
        time.sleep(600)
        said.append("not broken off")

    with Interruption(lambda: said.append("first")) as interruption:
        with pytest.raises(Interrupted), interruption.breakable():
            long()
        assert said == []


def test_what_may_be_broken_off_is_not_begun_after_a_signal() -> None:
    with Interruption() as interruption:
        send(signal.SIGTERM)
        with pytest.raises(Interrupted), interruption.breakable():
            pytest.fail("it was begun")


def test_after_what_may_be_broken_off_signals_wait_again() -> None:
    with Interruption() as interruption:
        with interruption.breakable():
            pass
        with pytest.raises(OSError, match="terminal"), interruption.breakable():
            fails()
        send(signal.SIGTERM)
        with pytest.raises(Interrupted):
            interruption.check()


def test_a_signal_breaks_off_a_wait_of_the_system() -> None:
    with Interruption() as interruption:
        timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM))
        timer.start()
        started = time.monotonic()
        with pytest.raises(Interrupted), interruption.breakable():
            time.sleep(600)
        assert time.monotonic() - started < 300
        timer.join()


def test_an_interruption_is_no_error_that_a_handler_of_errors_swallows() -> None:
    assert not issubclass(Interrupted, Exception)


def test_handlers_are_restored_whatever_happens() -> None:
    def other(number: int, frame: FrameType | None) -> None: ...

    handlers: list[Any] = [signal.SIG_DFL, signal.SIG_IGN, other, signal.default_int_handler]
    for handler in handlers:
        for number in SIGNALS:
            signal.signal(number, handler)
        with pytest.raises(OSError, match="terminal"), Interruption():
            fails()
        assert [signal.getsignal(number) for number in SIGNALS] == [handler] * len(SIGNALS)


def test_interruptions_nest_and_the_inner_one_answers() -> None:
    with Interruption() as outer:
        with Interruption() as inner:
            send(signal.SIGTERM)
            with pytest.raises(Interrupted):
                inner.check()
        outer.check()
        send(signal.SIGTERM)
        with pytest.raises(Interrupted):
            outer.check()


@each_signal
def test_a_signal_that_is_ignored_stays_ignored(number: signal.Signals) -> None:
    """With nohup a closed terminal is to change nothing; the other signals still count."""
    signal.signal(number, signal.SIG_IGN)
    with Interruption(pytest.fail, pytest.fail) as interruption:
        assert signal.getsignal(number) is signal.SIG_IGN
        send(number)
        send(number)
        interruption.check()
    assert signal.getsignal(number) is signal.SIG_IGN
    other = next(other for other in SIGNALS if other is not number)
    with Interruption() as interruption:
        send(other)
        with pytest.raises(Interrupted):
            interruption.check()


def test_a_handler_that_is_not_pythons_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that embeds Python may have one, which Python could not put back."""
    installed: list[int] = []
    monkeypatch.setattr(signal, "getsignal", lambda number: None)
    monkeypatch.setattr(signal, "signal", lambda number, _: installed.append(number))
    with Interruption():
        assert installed == []
    assert installed == []


@each_signal
@pytest.mark.parametrize("second", SIGNALS, ids=lambda number: number.name)
def test_a_second_signal_leaves_at_once_with_its_own_code(
    number: signal.Signals, second: signal.Signals
) -> None:
    reading, writing = os.pipe()

    def body() -> None:
        def leaving() -> None:
            os.write(writing, b"leaving")

        with Interruption(on_second=leaving):
            send(number)
            try:
                send(second)
            finally:
                os.write(writing, b"cleaned up")  # which may take long: nothing of the kind runs

    assert exit_code(body) == CODES[second]
    assert os.read(reading, 100) == b"leaving"
    os.close(reading)
    os.close(writing)


def test_a_second_signal_leaves_at_once_whatever_it_interrupts() -> None:
    def in_what_was_broken_off() -> None:
        with Interruption() as interruption:
            try:
                with interruption.breakable():
                    send(signal.SIGTERM)
            except Interrupted:  # saving, say
                send(signal.SIGINT)
                raise

    assert exit_code(in_what_was_broken_off) == 130


def test_a_terminal_that_has_gone_does_not_keep_a_first_signal_from_being_kept() -> None:
    with Interruption(on_first=fails) as interruption:
        send(signal.SIGHUP)
        with pytest.raises(Interrupted):
            interruption.check()


def test_a_terminal_that_has_gone_does_not_keep_a_second_signal_from_leaving() -> None:
    def body() -> None:
        with Interruption(on_second=fails):
            send(signal.SIGHUP)
            send(signal.SIGHUP)

    assert exit_code(body) == 129


@each_signal
def test_the_exit_code_is_what_shells_expect(number: signal.Signals) -> None:
    def body() -> None:
        with Interruption() as interruption:
            send(number)
            interruption.check()

    assert exit_code(body) == CODES[number] == 128 + number


def in_a_thread(body: Callable[[], object]) -> None:
    """Runs something in another thread; what it raises is raised here."""
    raised: list[BaseException] = []

    def guarded() -> None:
        try:
            body()
        except BaseException as error:  # noqa: BLE001  # raised again below
            raised.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]


def test_in_another_thread_no_signal_is_answered_and_none_is_touched() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]

    def body() -> None:
        with Interruption() as interruption:
            assert [signal.getsignal(number) for number in SIGNALS] == before
            interruption.check()
            with interruption.breakable():
                pass

    in_a_thread(body)
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_a_library_user_may_train_in_a_thread(tmp_path: Path) -> None:
    text = write_scenes(tmp_path / "scenes.txt", count=200)
    config = small_config(text, training={"epochs": 1})
    in_a_thread(lambda: train_to_end(config, tmp_path / "run"))
    assert (tmp_path / "run" / "checkpoints" / "epoch-0001" / "manifest.json").exists()


def test_a_terminal_that_closes_lets_training_save(tmp_path: Path) -> None:
    """A real one: once it has gone, every attempt to write to it is an error."""
    text, place = write_scenes(tmp_path / "scenes.txt", count=300), tmp_path / "run"
    config = small_config(text, training={"epochs": 10_000, "log_every": 1})
    corpus = prepare_corpus(config.data)
    child, terminal = os.forkpty()
    if not child:
        code = 98
        try:
            for number in SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            sys.stderr = sys.stdout = os.fdopen(2, "w")
            console.stderr.file = sys.stderr
            show_training(create_training(config, corpus, place), as_json=True)
        except Interrupted as stop:
            code = stop.exit_code
        finally:
            os._exit(code)
    seen = b""
    while b"epoch   2/" not in seen:
        seen += os.read(terminal, 1000)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 129
    assert not (place / "lock.json").exists()
    newest, trouble = RunDirectory.open(place).checkpoints.newest()
    lines = (place / "metrics.jsonl").read_text().splitlines()
    assert trouble == []
    assert newest.step == json.loads(lines[-1])["step"] >= 2 * len(Trainer(config, corpus).sampler)
