"""One thread that owns the model: it answers requests first, and encodes the corpus in between.

Requests that wait for greedy decoding are decoded in one batch. Of live requests, such as those of a
moving pointer, only the newest of each page waits; the older ones are dropped.
"""

__all__ = ["Busy", "Decoded", "ModelWorker"]

import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from .. import limits
from ..errors import MivaeError

T = TypeVar("T")
Latents = NDArray[np.float32]
BATCH = 256  # latents decoded at once


class Busy(MivaeError):
    """Too many requests are waiting for the model."""


class Decoded(NamedTuple):
    """A decoded sentence and its token ids."""

    text: str
    ids: list[int]


Decode = Callable[[Latents, float, int], list[Decoded]]


@dataclass(eq=False)
class _Job:
    """A request: latents to decode, or a function to call."""

    latents: Latents | None = None
    temperature: float = 0.0
    seed: int = 0
    call: Callable[[], Any] | None = None
    lane: tuple[str, str] | None = None  # of live requests
    sequence: int = 0
    future: "Future[Any]" = field(default_factory=Future)

    @property
    def joins(self) -> bool:
        """Whether it can be decoded in a batch with others."""
        return self.call is None and self.temperature == 0


class ModelWorker:
    """A thread with a queue of requests.

    Arguments:
        decode: Decodes latents (M, Z) at a temperature, 0 for greedy, with a seed.
        background: Work for when no request waits, in steps.
        start: Called in the thread before all else.
    """

    def __init__(
        self,
        decode: Decode,
        background: Iterable[object] = (),
        start: Callable[[], object] = lambda: None,
    ) -> None:
        self._decode, self._background, self._start = decode, iter(background), start
        self._waiting: deque[_Job] = deque()
        self._changed = threading.Condition()  # its lock can be taken twice
        self._closed = False
        self.problem: Exception | None = None
        """The error that ended the background work, if any."""
        self.finished = threading.Event()
        """Set when the background work has ended."""
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)
        self._thread.start()

    def decode(self, latents: Latents, temperature: float = 0.0, seed: int = 0) -> list[Decoded]:
        """Returns the decoded sentences of latents (M, Z); waits for them."""
        if not len(latents):
            return []
        job = _Job(latents, temperature, seed)
        self._add(job)
        return cast("list[Decoded]", job.future.result())

    def live(
        self, page: str, kind: str, sequence: int, latent: Callable[[], Latents]
    ) -> Decoded | None:
        """Returns the decoded sentence of a live request, or None if it is superseded.

        Arguments:
            page: Identifies the page in a browser.
            kind: Requests of different kinds do not supersede each other.
            sequence: The newest request of a page has the highest number.
            latent: Returns the latent, with shape (Z,).
        """
        job = _Job(latents=latent()[None], lane=(page, kind), sequence=sequence)
        with self._changed:
            for other in list(self._waiting):
                if other.lane != job.lane:
                    continue
                if other.sequence > sequence:
                    return None
                self._waiting.remove(other)
                other.future.set_result(None)
            self._add(job)
        found = cast("list[Decoded] | None", job.future.result())
        return None if found is None else found[0]

    def call(self, function: Callable[[], T]) -> T:
        """Returns the result of a function that runs in the thread; waits for it."""
        job = _Job(call=function)
        self._add(job)
        return cast(T, job.future.result())

    def close(self) -> None:
        """Ends the thread after its current step; requests that wait fail."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(timeout=30)

    def _add(self, job: _Job) -> None:
        with self._changed:
            if self._closed:
                raise Busy("the explorer is closing")
            if len(self._waiting) >= limits.MAX_WAITING_REQUESTS:
                raise Busy("too many requests are waiting for the model; try again in a moment")
            self._waiting.append(job)
            self._changed.notify_all()

    def _run(self) -> None:
        self._start()
        more = True  # background work
        while True:
            with self._changed:
                while not (self._waiting or more or self._closed):
                    self._changed.wait()
                if self._closed:
                    break
                jobs = self._taken()
            if jobs:
                self._answer(jobs)
            else:
                more = self._step()
                if not more:
                    self.finished.set()
        self.finished.set()
        with self._changed:
            for job in self._waiting:
                job.future.set_exception(Busy("the explorer is closing"))
            self._waiting.clear()

    def _taken(self) -> list[_Job]:
        """Removes the next request, and others that can be decoded with it, from the queue."""
        if not self._waiting:
            return []
        jobs = [self._waiting.popleft()]
        if not jobs[0].joins:
            return jobs
        rows = _rows(jobs[0])
        for job in list(self._waiting):
            if job.joins and rows + _rows(job) <= BATCH:
                self._waiting.remove(job)
                jobs.append(job)
                rows += _rows(job)
        return jobs

    def _answer(self, jobs: list[_Job]) -> None:
        try:
            first = jobs[0]
            if first.call is not None:
                first.future.set_result(first.call())
                return
            latents = np.concatenate([job.latents for job in jobs if job.latents is not None])
            found = self._decode(latents, first.temperature, first.seed)
            for job in jobs:
                count = _rows(job)
                job.future.set_result(found[:count])
                found = found[count:]
        except Exception as error:  # noqa: BLE001  # whoever asked receives it
            for job in jobs:
                if not job.future.done():
                    job.future.set_exception(error)

    def _step(self) -> bool:
        """Does a step of the background work; returns whether there is more."""
        try:
            next(self._background)
        except StopIteration:
            return False
        except Exception as error:  # noqa: BLE001  # the page shows it; requests go on
            self.problem = error
            return False
        return True


def _rows(job: _Job) -> int:
    return 0 if job.latents is None else len(job.latents)
