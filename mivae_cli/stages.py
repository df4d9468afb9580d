"""The progress protocol of long computations.

A long computation is a generator. It yields frozen records of its progress and returns its
result:

* `Stage` (here): evaluation, text evaluation and the training of reference language models;
* the records of `training.events`: training;
* the records of `experiments.sweep`: sweeps, in addition to those of each of their runs.

Nothing is computed before the first record is requested, and closing the generator ends the
computation and removes its temporary files. `finish` runs one to its end:

    evaluated = finish(evaluate_run(run), progress=print)
"""

__all__ = ["Stage", "finish", "interruptible"]

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

from .signals import Interruption

R = TypeVar("R")
T = TypeVar("T")


@dataclass(frozen=True)
class Stage:
    """The current stage of a computation, and how much of it is done."""

    name: str
    done: int
    total: int


def finish(work: Generator[R, None, T], progress: Callable[[R], object] | None = None) -> T:
    """Runs a computation to its end and returns its result.

    Arguments:
        work: The computation. It is closed if the callback raises.
        progress: Called with each record of progress.
    """
    with closing(work):
        while True:
            try:
                record = next(work)
            except StopIteration as end:
                result: T = end.value
                return result
            if progress is not None:
                progress(record)


def interruptible(
    work: Generator[R, None, T], interruption: Interruption
) -> Generator[R, None, T]:
    """Returns the same computation, which a signal stops at once instead of at a check.

    A signal that arrives while a record is being displayed stops it at the next one.

    Raises:
        Interrupted: A signal arrived.
    """
    with closing(work):
        while True:
            with interruption.breakable():
                try:
                    record = next(work)
                except StopIteration as end:
                    result: T = end.value
                    return result
            yield record
