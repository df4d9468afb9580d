"""A training whose records are also written to trackers.

Trackers see the records after the caller has, and change nothing: not the random state, not the
losses, not the run directory. If one fails, the training continues without it.
"""

__all__ = ["TrackerFailed", "TrackerStarted", "follow"]

from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import TypeVar

from ..choices import TrackerName
from ..config.resolve import flattened
from ..devices import kept_torch_state
from ..errors import ConfigError, reason
from ..evaluation.evaluate import Evaluation
from ..runs.directory import RunDirectory
from ..training.collapse import collapse_warning
from ..training.events import Step, Validation
from ..training.trainer import Trainer
from .figures import Examples, test_figures, training_figures, validation_figures
from .trackers import Tracking, default_folder, open_writer
from .writer import TrackedRun, Writer

R = TypeVar("R")
T = TypeVar("T")


@dataclass(frozen=True)
class TrackerStarted:
    """A tracker is ready."""

    name: TrackerName
    view: str  # the command, or the address, that shows its curves


@dataclass(frozen=True)
class TrackerFailed:
    """A tracker failed, and receives no more records."""

    name: TrackerName
    reason: str


def follow(
    work: Generator[R, None, T],
    tracking: Tracking,
    run: RunDirectory,
    trainer: Trainer,
    evaluation: Callable[[T], Evaluation | None] = lambda _: None,
) -> Generator[R | TrackerStarted | TrackerFailed, None, T]:
    """Yields the records of a training and its evaluation, and writes them to trackers.

    Arguments:
        work: The training.
        tracking: The trackers.
        run: The run directory.
        trainer: The trainer, whose model is used at each validation.
        evaluation: Returns the evaluation record of the result of `work`, if there is one.

    Raises:
        ConfigError: A tracker cannot be started.
        Exception: What `work` raises.
    """
    completed = False
    with closing(work):
        trackers = _Trackers(tracking, run, trainer)
        try:
            for name, writer in trackers.writers.items():
                yield TrackerStarted(name, writer.view)
            while True:
                try:
                    record = next(work)
                except StopIteration as end:
                    result: T = end.value
                    break
                yield record
                yield from trackers.write(record)
            if (found := evaluation(result)) is not None:
                yield from trackers.write(found)
            completed = True
            yield from trackers.close(completed)
            return result
        finally:
            if not completed:
                with suppress(Exception):
                    list(trackers.close(completed))


@dataclass
class _Trackers:
    """The writers that have not failed."""

    tracking: Tracking
    run: RunDirectory
    trainer: Trainer
    writers: dict[TrackerName, Writer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        config, place = self.trainer.config, self.run.path
        self._examples = Examples(self.trainer.corpus, config)
        self._collapsed = False
        tracked = TrackedRun(
            name=place.absolute().name,
            id=self.run.id,
            folder=self.tracking.folder or default_folder(place),
            settings=flattened(config),
            step=self.trainer.state.step,
        )
        for name in self.tracking.names:
            try:
                self.writers[name] = open_writer(name, tracked)
            except Exception as error:
                list(self.close(completed=False))
                raise ConfigError(
                    f"tracking with {name} could not start: {reason(error)}. To start this run "
                    f"without it: mivae train --resume --out {place}"
                ) from error

    def write(self, record: object) -> Iterator[TrackerFailed]:
        """Writes a record to all trackers; yields those that fail."""
        failed: list[TrackerFailed] = []
        with kept_torch_state():
            try:
                for write in self._actions(record):
                    failed += self._each(write)
            except Exception as error:  # noqa: BLE001  # in the decoding of examples
                failed += [self._drop(name, error) for name in list(self.writers)]
        yield from failed

    def close(self, completed: bool) -> Iterator[TrackerFailed]:
        """Closes all trackers; yields those that fail."""
        yield from self._each(lambda writer: writer.close(completed))
        self.writers.clear()

    def _actions(self, record: object) -> Iterator[Callable[[Writer], None]]:
        """Yields what a record means for a writer."""
        if not self.writers:
            return
        config, model = self.trainer.config, self.trainer.model
        match record:
            case Step(step=step):
                figures = training_figures(record, config)
                yield lambda writer: writer.scalars(step, figures)
            case Validation(step=step):
                figures = validation_figures(record)
                yield lambda writer: writer.scalars(step, figures)
                if model.latent_size:
                    pairs = self._examples.reconstructions(model)
                    heads = ("sentence", "reconstruction")
                    yield lambda writer: writer.table(step, "reconstructions", heads, pairs)
                samples = self._examples.samples(model)
                yield lambda writer: writer.table(step, "samples", ("sample",), samples)
                if record.collapsed and not self._collapsed:
                    self._collapsed = True
                    text = collapse_warning(record.mi, config)
                    yield lambda writer: writer.warning(step, "posterior collapse", text)
            case Evaluation():
                step, figures = self.trainer.state.step, test_figures(record)
                yield lambda writer: writer.scalars(step, figures)

    def _each(self, write: Callable[[Writer], None]) -> Iterator[TrackerFailed]:
        for name, writer in list(self.writers.items()):
            try:
                write(writer)
            except Exception as error:  # noqa: BLE001  # a tracker must not end a training
                yield self._drop(name, error)

    def _drop(self, name: TrackerName, error: Exception) -> TrackerFailed:
        writer = self.writers.pop(name)
        with suppress(Exception):
            writer.close(completed=False)
        return TrackerFailed(name, reason(error))
