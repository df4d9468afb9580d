"""Records that training yields, and the sums that they are computed from."""

__all__ = [
    "Meter",
    "SaveFailed",
    "Skipped",
    "Started",
    "Step",
    "Stopped",
    "TrainingRecord",
    "Validation",
]

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..config.run import RunConfig
from ..data.batches import Batch
from ..evaluation.validation import HeldOut
from ..mi_terms.build import Term
from ..mi_terms.dual import MutualInformationTerm
from ..objectives.objective import Terms
from ..runs.training_state import Window


@dataclass(frozen=True)
class Started:
    """Training of a run starts or continues."""

    path: Path
    config: RunConfig
    parameters: int
    device: str
    step: int  # completed steps
    epoch: int  # completed epochs
    batches: int  # completed batches of the current epoch
    steps: int  # total number, if training does not stop early
    finished: bool  # no step remains
    resumed: bool
    warnings: tuple[str, ...]  # damaged files that a resume skipped
    changes: tuple[str, ...]  # settings that a resume changed


@dataclass(frozen=True)
class Step:
    """Means over the steps since the previous record, in nats per sentence."""

    step: int
    epoch: float
    loss: float
    distortion: float
    rate: float
    mi_bound: float | None  # on training batches: to monitor training, not to report
    tokens_per_second: float
    seconds_left: float
    log_xi: float | None  # of the dual bound, after the last of the steps
    multiplier: float | None  # of a constrained rate, after the last of the steps


@dataclass(frozen=True)
class Validation(HeldOut):
    """Held-out metrics at the end of an epoch, and the decisions based on them."""

    step: int
    epoch: int
    learning_rate: float
    best: bool
    collapsed: bool
    stopped: bool  # training ends with this epoch
    seconds: float
    encoder_steps: float  # encoder-only steps per decoder step
    device: str  # that trained the epoch's last step
    time: str  # of this validation: UTC, ISO 8601


@dataclass(frozen=True)
class SaveFailed:
    """A checkpoint could not be written; training continues and saves again sooner."""

    step: int
    reason: str


@dataclass(frozen=True)
class Skipped:
    """A batch that was skipped because a number computed from it was not finite or not valid."""

    step: int
    epoch: float
    reason: str
    lines: tuple[int, ...] | None  # line numbers of its sentences in their source, if known
    sentences: tuple[int, ...]  # their indices in the training split, in the same order
    files: tuple[str, ...] = ()  # their files, likewise, if the training text has several

    @property
    def places(self) -> list[str]:
        """Where the sentences are: line numbers, with their files if there are several."""
        lines = sorted(self.lines or ())
        if not self.files:
            return [str(line) for line in lines]
        pairs = sorted(zip(self.files, self.lines or (), strict=True))
        return [f"{line} of '{file}'" for file, line in pairs]


@dataclass(frozen=True)
class Stopped:
    """A signal stopped training after this step, or the evaluation that follows training."""

    step: int
    finished: bool  # training is complete


TrainingRecord = Step | Validation | SaveFailed | Skipped  # as written to metrics.jsonl


class Meter:
    """Sums over steps since those in a checkpoint, read from the device only when needed."""

    def __init__(self, before: Window | None = None) -> None:
        before = before or Window()
        self.started = time.monotonic() - before.seconds
        self.sums: Tensor = torch.tensor(before.sums)
        self.loss, self.steps, self.tokens = before.loss, before.steps, before.tokens

    def add(self, terms: Terms, loss: float, batch: Batch) -> None:
        """Adds the terms and the loss of a step."""
        bound = torch.as_tensor(terms.mutual_information).to(terms.rates.device)
        rate = terms.rates.sum(dim=-1).mean()
        values = torch.stack([terms.distortion.mean(), rate, bound])
        self.sums = self.sums.to(values.device) + values
        self.loss += loss
        self.steps += 1
        self.tokens += int(batch.lengths.sum()) + len(batch)

    def means(
        self,
        step: int,
        epoch: float,
        steps_left: int,
        term: Term | None = None,
        multiplier: float | None = None,
    ) -> Step:
        """Returns the means over the steps as a record, with figures of the MI term, if any."""
        distortion, rate, bound = (self.sums / self.steps).tolist()
        seconds = self.seconds
        return Step(
            step=step,
            epoch=epoch,
            loss=self.loss / self.steps,
            distortion=distortion,
            rate=rate,
            mi_bound=None if term is None else bound,
            tokens_per_second=self.tokens / seconds,
            seconds_left=steps_left * seconds / self.steps,
            log_xi=float(term.log_xi) if isinstance(term, MutualInformationTerm) else None,
            multiplier=multiplier,
        )

    def window(self) -> Window:
        """Returns the sums in the form that checkpoints store."""
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
        """The time that the steps have taken."""
        return time.monotonic() - self.started
