"""What training tells while it goes on: frozen records, and the sums that they are made from."""

__all__ = ["Meter", "Record", "SaveFailed", "Skipped", "Step", "Validation"]

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from ..data.batches import Batch
from ..evaluation.validation import HeldOut
from ..objectives.objective import Terms
from ..runs.training_state import Window


@dataclass(frozen=True)
class Step:
    """Means over the steps since the last such record, in nats a sentence."""

    step: int
    epoch: float
    loss: float
    distortion: float
    rate: float
    mi_bound: float | None  # the training batches' own bound: for watching, not for reporting
    tokens_per_second: float
    seconds_left: float


@dataclass(frozen=True)
class Validation(HeldOut):
    """An epoch's end: held-out figures, and what follows from them."""

    step: int
    epoch: int
    learning_rate: float
    best: bool
    collapsed: bool
    stopped: bool  # no further epoch follows
    seconds: float
    encoder_steps: float  # of its own, before each step of the decoder


@dataclass(frozen=True)
class SaveFailed:
    """A checkpoint could not be written; training goes on, and the next save comes sooner."""

    step: int
    reason: str


@dataclass(frozen=True)
class Skipped:
    """A batch that was passed over, because its numbers were not finite or not possible."""

    step: int
    epoch: float
    reason: str
    lines: tuple[int, ...] | None  # of its sentences in their source, where that is known
    sentences: tuple[int, ...]  # their places in the training split, in the same order


Record = Step | Validation | SaveFailed | Skipped


class Meter:
    """Sums over steps; reads them off the device once."""

    def __init__(self, before: Window | None = None) -> None:
        """Begins, or goes on from a window that was saved."""
        before = before or Window()
        self.started = time.monotonic() - before.seconds
        self.sums: Tensor = torch.tensor(before.sums)
        self.loss = before.loss
        self.steps, self.tokens = before.steps, before.tokens

    def add(self, terms: Terms, loss: float, batch: Batch) -> None:
        """Adds a step's terms and its loss."""
        values = torch.stack(
            [
                terms.distortion.mean(),
                terms.rates.sum(dim=-1).mean(),
                torch.as_tensor(terms.mutual_information).to(terms.rates.device),
            ]
        )
        self.sums = self.sums.to(values.device) + values
        self.loss += loss
        self.steps += 1
        self.tokens += int(batch.lengths.sum()) + len(batch)

    def means(self) -> list[float]:
        """Returns the means of loss, distortion, rate and bound over the steps."""
        means: list[float] = (self.sums / self.steps).tolist()
        return [self.loss / self.steps, *means]

    def window(self) -> Window:
        """Returns what to save."""
        distortion, rate, bound = self.sums.tolist()
        return Window(
            sums=(distortion, rate, bound),
            loss=self.loss,
            steps=self.steps,
            tokens=self.tokens,
            seconds=self.seconds,
        )

    @property
    def seconds(self) -> float:
        """How long the steps have taken."""
        return time.monotonic() - self.started

    @property
    def seconds_per_step(self) -> float:
        """How long one has taken on average."""
        return self.seconds / self.steps

    @property
    def tokens_per_second(self) -> float:
        """How quick they were."""
        return self.tokens / self.seconds
