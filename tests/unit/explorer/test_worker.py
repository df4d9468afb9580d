"""The thread of the model: batches, superseded requests, and work in between; without timing."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mivae_cli import limits
from mivae_cli.explorer.worker import Busy, Decoded, ModelWorker

PATIENCE = 60  # seconds, after which a test fails rather than hangs


class Model:
    """Decodes a latent to its first coordinate; waits at the gate if it is closed."""

    def __init__(self) -> None:
        self.gate, self.entered = threading.Event(), threading.Event()
        self.gate.set()
        self.calls: list[tuple[list[float], float, int]] = []

    def __call__(
        self, latents: NDArray[np.float32], temperature: float, seed: int
    ) -> list[Decoded]:
        self.entered.set()
        assert self.gate.wait(PATIENCE)
        values = latents[:, 0].tolist()
        self.calls.append((values, temperature, seed))
        if any(value < 0 for value in values):
            raise ValueError("negative")
        return [Decoded(f"{value:g}", []) for value in values]


class Waiting:
    """A worker that is busy, and requests that wait for it."""

    def __init__(self, model: Model, worker: ModelWorker, threads: ThreadPoolExecutor) -> None:
        self.model, self.worker, self.threads = model, worker, threads
        self.first = self.busy()

    def busy(self) -> Future[Any]:
        self.model.gate.clear()
        self.model.entered.clear()
        future = self.threads.submit(self.worker.decode, latents(100))
        assert self.model.entered.wait(PATIENCE)
        return future

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:  # noqa: ANN401
        """Starts a request, and returns when it waits in the queue."""
        before = len(self.worker._waiting)
        future = self.threads.submit(function, *arguments)
        while len(self.worker._waiting) <= before and not future.done():
            threading.Event().wait(0.001)
        return future


def latents(*values: float) -> NDArray[np.float32]:
    return np.array([[value, 0] for value in values], np.float32)


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def worker(model: Model) -> Iterator[ModelWorker]:
    made = ModelWorker(model)
    yield made
    model.gate.set()
    made.close()


@pytest.fixture
def waiting(model: Model, worker: ModelWorker) -> Iterator[Waiting]:
    with ThreadPoolExecutor(8) as threads:
        yield Waiting(model, worker, threads)
        model.gate.set()


def texts(future: Future[Any]) -> list[str]:
    return [row.text for row in future.result(PATIENCE)]


def test_requests_that_wait_are_decoded_in_one_batch(waiting: Waiting, model: Model) -> None:
    futures = [waiting.submit(waiting.worker.decode, latents(k, k + 0.5)) for k in range(3)]
    model.gate.set()
    assert [texts(future) for future in futures] == [["0", "0.5"], ["1", "1.5"], ["2", "2.5"]]
    assert model.calls[1:] == [([0, 0.5, 1, 1.5, 2, 2.5], 0.0, 0)]


def test_drawn_words_keep_their_seed(waiting: Waiting, model: Model) -> None:
    greedy = waiting.submit(waiting.worker.decode, latents(1))
    drawn = [waiting.submit(waiting.worker.decode, latents(2), 0.8, seed) for seed in (3, 4)]
    last = waiting.submit(waiting.worker.decode, latents(5))
    model.gate.set()
    assert [texts(each) for each in (greedy, *drawn, last)] == [["1"], ["2"], ["2"], ["5"]]
    assert model.calls[1:] == [([1, 5], 0.0, 0), ([2], 0.8, 3), ([2], 0.8, 4)]


def test_only_the_newest_live_request_of_a_page_waits(waiting: Waiting, model: Model) -> None:
    def live(page: str, number: int) -> Decoded | None:
        return waiting.worker.live(page, "point", number, lambda: latents(number)[0])

    first, other = waiting.submit(live, "a", 1), waiting.submit(live, "b", 1)
    newest = waiting.threads.submit(live, "a", 3)
    assert first.result(PATIENCE) is None
    assert waiting.threads.submit(live, "a", 2).result(PATIENCE) is None  # it arrived too late
    model.gate.set()
    assert [each.result(PATIENCE) for each in (newest, other)] == [("3", []), ("1", [])]
    assert all(2.0 not in values for values, _, _ in model.calls)


def test_a_page_that_is_loaded_again_may_count_from_1_again(worker: ModelWorker) -> None:
    for number in (7, 1):
        assert worker.live("", "point", number, lambda: latents(4)[0]) == ("4", [])


def test_kinds_of_live_requests_do_not_supersede_each_other(
    waiting: Waiting, model: Model
) -> None:
    def live(kind: str, number: int) -> Decoded | None:
        return waiting.worker.live("a", kind, number, lambda: latents(number)[0])

    futures = [waiting.submit(live, kind, n) for n, kind in enumerate(("point", "units"))]
    model.gate.set()
    assert [future.result(PATIENCE).text for future in futures] == ["0", "1"]


def test_whoever_asked_receives_the_error(worker: ModelWorker) -> None:
    with pytest.raises(ValueError, match="negative"):
        worker.decode(latents(-1))
    assert worker.decode(latents(1)) == [("1", [])]
    with pytest.raises(ZeroDivisionError):
        worker.call(lambda: 1 // 0)
    assert worker.call(threading.current_thread) is not threading.current_thread()
    assert worker.decode(np.zeros((0, 2), np.float32)) == []


def test_work_in_between_ends_and_requests_come_first(model: Model) -> None:
    steps, at_two, go_on = list[int](), threading.Event(), threading.Event()

    def work() -> Iterator[int]:
        for step in range(4):
            if step == 2:
                at_two.set()
                assert go_on.wait(PATIENCE)
            steps.append(step)
            yield step

    worker = ModelWorker(model, work())
    with ThreadPoolExecutor(1) as threads:
        assert at_two.wait(PATIENCE)
        future = threads.submit(worker.call, lambda: list(steps))
        while not worker._waiting:
            threading.Event().wait(0.001)
        go_on.set()
        assert future.result(PATIENCE) == [0, 1, 2]
    worker.call(lambda: None)
    worker.close()
    assert worker.problem is None


def test_an_error_of_the_work_is_kept_and_requests_go_on(model: Model) -> None:
    def work() -> Iterator[int]:
        yield 0
        raise OSError("no space")

    worker = ModelWorker(model, work())
    while worker.problem is None:
        assert worker.decode(latents(1)) == [("1", [])]
    assert "no space" in str(worker.problem)
    worker.close()


def test_too_many_requests_are_refused(
    waiting: Waiting, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_WAITING_REQUESTS", 1)
    accepted = waiting.submit(waiting.worker.decode, latents(1))
    with pytest.raises(Busy):
        waiting.worker.decode(latents(2))
    model.gate.set()
    assert texts(accepted) == ["1"]


def test_requests_that_wait_at_the_end_fail(waiting: Waiting, model: Model) -> None:
    late = waiting.submit(waiting.worker.decode, latents(1))
    with waiting.worker._changed:
        waiting.worker._closed = True
    model.gate.set()
    with pytest.raises(Busy):
        late.result(PATIENCE)
    with pytest.raises(Busy):
        waiting.worker.decode(latents(1))
