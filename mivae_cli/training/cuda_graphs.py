r"""Training steps as CUDA graphs: one launch per step instead of hundreds.

A step of a small model consists of hundreds of short kernels, whose launch takes ten times as long
as their work. A step is therefore recorded once per batch shape, and then replayed. Its finite
checks are verified together after each replay; if one fails, all tensors that the step changed are
restored from copies. All inputs that change between steps are tensors on the device: the batch,
the weights of the objective, the learning rates, the end of the queue, and the random state.

Shapes: B sentences, T tokens.
"""

__all__ = ["Capture", "Recorder", "capture_graphs", "no_garbage_collection"]

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..choices import TrainedPart
from ..data.batches import Batch
from ..finite_checks import FiniteCheck, NonFiniteBatch, verify_all
from ..objectives.objective import Terms, Weights

if TYPE_CHECKING:
    from .train_step import Learner

MAX_RECORDINGS = 1024  # further shapes take ordinary steps

Key = tuple[torch.Size, TrainedPart, tuple[bool, ...]]  # shape, trained part, omitted weights

# Records a function, and returns a function that replays it; recording may skip the computation.
Capture = Callable[[Callable[[], None]], Callable[[], None]]


@dataclass
class Recording:
    """A recorded step for batches of one shape: its inputs and outputs."""

    batch: Batch  # overwritten before each replay
    checks: list[FiniteCheck] = field(default_factory=list)
    terms: Terms | None = None
    values: Tensor | None = None  # the loss, then the values of the checks
    replay: Callable[[], None] | None = None


class Recorder:
    """Makes the first step of each batch shape directly, and replays the others.

    Arguments:
        learner: Makes the steps to record.
        new_capture: Returns a capture function; recordings of the same one share memory.
    """

    def __init__(self, learner: "Learner", new_capture: Callable[[], Capture]) -> None:
        self.learner, self.new_capture = learner, new_capture
        self.clear()

    def clear(self) -> None:
        """Deletes all recordings, for example after tensors were replaced."""
        self._capture = self.new_capture()
        self._seen: set[Key] = set()
        self.recordings: dict[Key, Recording] = {}
        self._mutable: list[Tensor] = []  # all tensors that a step changes
        self._copies: list[Tensor] = []  # their values before the last replay
        self._weights = torch.zeros(len(Weights._fields), device=self.learner.device)
        self._host_weights: list[float] = []

    def step(self, batch: Batch, weights: Weights, part: TrainedPart) -> tuple[Terms, float]:
        """Makes a step; returns the terms, which the next step overwrites, and the loss in nats.

        Raises:
            NonFiniteBatch: A check failed. After a replayed step everything is restored, including
                the critic.
        """
        key = batch.tokens.shape, part, tuple(weight is None for weight in weights)
        if key not in self.recordings:
            full = len(self.recordings) >= MAX_RECORDINGS
            if full or key not in self._seen or not self.learner.started:
                terms, loss = self.learner.advance(batch, weights, part, verify_all)
                self._seen.add(key)
                return terms, float(loss)
            self.recordings[key] = self._record(batch, weights, part)
        return self._replay(self.recordings[key], batch, weights)

    def _record(self, batch: Batch, weights: Weights, part: TrainedPart) -> Recording:
        """Records a step without changing any tensor."""
        if not self._mutable:
            self._mutable = list(self.learner.mutable_tensors())
            self._copies = [tensor.clone() for tensor in self._mutable]
        device = self.learner.device
        recording = Recording(Batch(batch.tokens.to(device), batch.lengths.to(device)))
        on_device = [
            None if weight is None else self._weights[place]
            for place, weight in enumerate(weights)
        ]

        def work() -> None:
            _copy(self._copies, self._mutable)
            checks: list[FiniteCheck] = []
            recording.terms, loss = self.learner.advance(
                recording.batch, Weights._make(on_device), part, checks.extend
            )
            # the computation graphs would keep all of the step's memory
            recording.checks = [replace(each, value=each.value.detach()) for each in checks]
            values = [check.value.float() for check in recording.checks]
            recording.values = torch.stack([loss.float(), *values])

        recording.replay = self._capture(work)
        return recording

    def _replay(self, recording: Recording, batch: Batch, weights: Weights) -> tuple[Terms, float]:
        recording.batch.tokens.copy_(batch.tokens, non_blocking=True)
        recording.batch.lengths.copy_(batch.lengths, non_blocking=True)
        host_weights = [float(weight or 0.0) for weight in weights]
        if host_weights != self._host_weights:
            self._weights.copy_(torch.tensor(host_weights))
            self._host_weights = host_weights
        assert recording.replay is not None
        recording.replay()
        assert recording.terms is not None
        assert recording.values is not None
        loss, *values = recording.values.tolist()  # waits for the device
        try:
            for check, value in zip(recording.checks, values, strict=True):
                check.verify(value)
        except NonFiniteBatch:
            _copy(self._mutable, self._copies)
            raise
        return recording.terms, loss


def capture_graphs() -> Capture:
    """Returns a function that records CUDA graphs; they share one memory pool."""
    pool = torch.cuda.graph_pool_handle()
    stream = torch.cuda.Stream()

    def capture(work: Callable[[], None]) -> Callable[[], None]:
        graph = torch.cuda.CUDAGraph()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream), no_garbage_collection():
            # other threads may continue, such as the one that prepares batches
            graph.capture_begin(pool=pool, capture_error_mode="thread_local")
            try:
                work()
            finally:
                graph.capture_end()
        torch.cuda.current_stream().wait_stream(stream)
        return graph.replay

    return capture


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Context manager without garbage collection: freeing an old graph makes a capture fail."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _copy(to: list[Tensor], source: list[Tensor]) -> None:
    """Copies tensors into others of the same shapes, with few kernel launches."""
    for kind in {tensor.dtype for tensor in source}:
        places = [place for place, tensor in enumerate(source) if tensor.dtype == kind]
        torch._foreach_copy_([to[place] for place in places], [source[place] for place in places])
