"""What an estimate of mutual information says of itself, in nats.

The fields of `Report` and of what it holds are the keys of the JSON form.
"""

__all__ = ["Estimate", "Recommendation", "Report", "clock"]

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..choices import Direction
from .intervals import Interval


@dataclass(frozen=True)
class Estimate:
    """One figure; what does not apply is None."""

    estimator: str
    value: float
    ci_low: float | None  # of a 95 % interval
    ci_high: float | None
    direction: Direction  # which way of the truth the value errs in expectation
    ceiling: float | None  # the most that it can read
    held_out: bool  # whether nothing was fitted on the samples that it is taken from
    seconds: float | None = None
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        estimator: str,
        interval: Interval,
        direction: Direction,
        ceiling: float | None,
        held_out: bool,
        seconds: float,
        warnings: list[str],
    ) -> "Estimate":
        """Takes value and interval together."""
        return cls(estimator, *interval, direction, ceiling, held_out, seconds, warnings)


@dataclass(frozen=True)
class Recommendation:
    """The figure to quote, and why this one."""

    estimator: str
    value: float
    ci_low: float | None
    ci_high: float | None
    reason: str

    @classmethod
    def of(cls, estimate: Estimate, reason: str) -> "Recommendation":
        """Recommends an estimate."""
        return cls(estimate.estimator, estimate.value, estimate.ci_low, estimate.ci_high, reason)


@dataclass(frozen=True)
class Report:
    """Estimates side by side."""

    recommended: Recommendation | None
    estimates: list[Estimate]
    n: int
    x_dim: int | None  # none where x is text
    z_dim: int
    p_value: float | None = None  # of independence
    warnings: list[str] = field(default_factory=list)  # about the samples themselves
    notes: list[str] = field(default_factory=list)  # how to read the figures
    unit: str = "nats"


@contextmanager
def clock() -> Iterator[Callable[[], float]]:
    """Gives what tells the wall seconds spent inside it."""
    start = time.perf_counter()
    end: list[float] = []
    yield lambda: (end[0] if end else time.perf_counter()) - start
    end.append(time.perf_counter())
