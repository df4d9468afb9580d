"""The progress protocol of long computations: generators of frozen records that return a result.

Records are `Stage` (evaluations, reference language models), those of `training.events`, and those
of `experiments.sweep`. Nothing is computed before the first record is requested, and closing the
generator ends the computation and removes its temporary files. `finish` runs one to its end:

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
    """Runs a computation to its end and returns its result; closes it if the callback raises."""
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
    """Returns the same computation, which a signal stops at once by raising Interrupted.

    A signal that arrives while a record is being displayed stops it at the next one.
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
