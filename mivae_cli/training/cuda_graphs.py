r"""Steps of training as CUDA graphs: one launch in place of some hundreds.

A step of a small model is hundreds of short kernels, and a processor takes ten times as long to
launch them as the device to run them. So a step is recorded once for every shape of a batch, and
replayed. What the processor decides in an ordinary step waits until the replay is over: the
numbers that the step rests on are noted, and read together. Where one of them is not finite or
not possible, all that the step has moved is put back from copies that it made first.

Everything that changes from step to step lies on the device, where a recording finds it: the
batch, the weights of the objective, the learning rates, the queue's end, the random state.

Shapes: B sentences, T tokens.
"""

__all__ = ["Record", "Recorder", "Stepper", "graphs", "no_collection"]

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from ..choices import TrainedPart
from ..data.batches import Batch
from ..finite_checks import Checker, FiniteCheck, NonFiniteBatch, verify_all
from ..objectives.objective import Terms, Weights

MOST = 1024  # recordings that are kept: shapes beyond take ordinary steps

Key = tuple[torch.Size, TrainedPart, tuple[bool, ...]]  # shape, side, which weights are none

# From work to what does that work again at every call; it need not be done the first time.
Record = Callable[[Callable[[], None]], Callable[[], None]]


class Stepper(Protocol):
    """What makes steps that may be recorded: it asks the device for nothing meanwhile."""

    device: torch.device

    def advance(
        self, batch: Batch, weights: Weights, side: TrainedPart, check: Checker
    ) -> tuple[Terms, Tensor]:
        """Makes a step; returns the terms and the loss, with shape ()."""

    def moving(self) -> Iterator[Tensor]:
        """Yields all that a step moves."""

    @property
    def begun(self) -> bool:
        """Whether all that a step moves is there, and as large as it will be."""


@dataclass
class Recording:
    """A step for batches of one shape: where it finds its batch, and what it leaves."""

    batch: Batch
    checks: list[FiniteCheck] = field(default_factory=list)
    terms: Terms | None = None
    values: Tensor | None = None  # of the loss, then of the checks
    replay: Callable[[], None] | None = None


class Recorder:
    """Makes the steps of a learner: the first of a shape as it is, others by replaying it.

    Arguments:
        learner: Whose steps.
        medium: Gives what records work, for recordings that share their memory.
    """

    def __init__(self, learner: Stepper, medium: Callable[[], Record]) -> None:
        self.learner, self.medium = learner, medium
        self.clear()

    def clear(self) -> None:
        """Forgets all recordings: tensors that they read or write are others now."""
        self._record = self.medium()
        self._seen: set[Key] = set()
        self.recordings: dict[Key, Recording] = {}
        self._moving: list[Tensor] = []  # all that a step moves
        self._copies: list[Tensor] = []  # the same, before the last replay
        self._weights = torch.zeros(len(Weights._fields), device=self.learner.device)
        self._told: list[float] = []

    def step(self, batch: Batch, weights: Weights, side: TrainedPart) -> tuple[Terms, float]:
        """Moves the learner on a batch.

        Returns:
            The terms, which the next step overwrites, and the loss in nats a sentence.

        Raises:
            NonFiniteBatch: A number is not finite or not possible. Where the step was replayed nothing
                has moved, the critic included.
        """
        key = batch.tokens.shape, side, tuple(weight is None for weight in weights)
        if key not in self.recordings:
            if not self._ready(key):
                terms, loss = self.learner.advance(batch, weights, side, verify_all)
                self._seen.add(key)
                return terms, float(loss)
            self.recordings[key] = self._recorded(batch, weights, side)
        return self._replayed(self.recordings[key], batch, weights)

    def _ready(self, key: Key) -> bool:
        """Says whether a step may be recorded: such a one was made, and all it moves is there."""
        return key in self._seen and self.learner.begun and len(self.recordings) < MOST

    def _recorded(self, batch: Batch, weights: Weights, side: TrainedPart) -> Recording:
        """Records a step; nothing moves yet."""
        if not self._moving:
            self._moving = list(self.learner.moving())
            self._copies = [tensor.clone() for tensor in self._moving]
        device = self.learner.device
        recording = Recording(Batch(batch.tokens.to(device), batch.lengths.to(device)))
        there = [
            None if weight is None else self._weights[place]
            for place, weight in enumerate(weights)
        ]

        def work() -> None:
            _copy(self._copies, self._moving)
            noted: list[FiniteCheck] = []
            recording.terms, loss = self.learner.advance(
                recording.batch, Weights._make(there), side, noted.extend
            )
            # without what they were computed from, which would hold all of the step's memory
            recording.checks = [each.detached() for each in noted]
            values = [check.value.float() for check in recording.checks]
            recording.values = torch.stack([loss.float(), *values])

        recording.replay = self._record(work)
        return recording

    def _replayed(
        self, recording: Recording, batch: Batch, weights: Weights
    ) -> tuple[Terms, float]:
        recording.batch.tokens.copy_(batch.tokens, non_blocking=True)
        recording.batch.lengths.copy_(batch.lengths, non_blocking=True)
        told = [float(weight or 0.0) for weight in weights]
        if told != self._told:
            self._weights.copy_(torch.tensor(told))
            self._told = told
        assert recording.replay is not None
        recording.replay()
        assert recording.terms is not None
        assert recording.values is not None
        loss, *values = recording.values.tolist()  # the device is waited for here
        try:
            for check, value in zip(recording.checks, values, strict=True):
                check.verify(value)
        except NonFiniteBatch:
            _copy(self._moving, self._copies)
            raise
        return recording.terms, loss


def graphs() -> Record:
    """Returns what records work as CUDA graphs that share their memory."""
    pool = torch.cuda.graph_pool_handle()
    stream = torch.cuda.Stream()

    def record(work: Callable[[], None]) -> Callable[[], None]:
        graph = torch.cuda.CUDAGraph()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream), no_collection():
            # other threads may go on meanwhile, such as the one that makes the next batches
            graph.capture_begin(pool=pool, capture_error_mode="thread_local")
            try:
                work()
            finally:
                graph.capture_end()
        torch.cuda.current_stream().wait_stream(stream)
        return graph.replay

    return record


@contextmanager
def no_collection() -> Iterator[None]:
    """Context manager that keeps Python's garbage collector from running.

    The collector may find the graphs of an earlier training, and to free a graph while another
    one is captured makes the capture fail.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _copy(to: list[Tensor], source: list[Tensor]) -> None:
    """Copies tensors to others like them, in few launches."""
    kinds = {tensor.dtype for tensor in source}
    for kind in kinds:
        places = [place for place, tensor in enumerate(source) if tensor.dtype == kind]
        torch._foreach_copy_([to[place] for place in places], [source[place] for place in places])
