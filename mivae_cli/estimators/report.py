"""Estimates of mutual information in nats, reports of several, and warnings about them.

The fields of `Report`, `Recommendation` and `Estimate` are the keys of the JSON form. Does not
import torch.
"""

__all__ = ["Estimate", "Recommendation", "Report", "at_ceiling", "missing_pairs", "stopwatch"]

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from ..choices import Direction
from .report_views import report_frame, report_html

CEILING_MARGIN = 0.1  # nats
MIN_EXCESS = 0.1  # nats; smaller errors due to missing product pairs cause no warning


@dataclass(frozen=True)
class Estimate:
    """One estimate of mutual information, in nats; fields that do not apply are None.

    Attributes:
        estimator: The name of the estimator.
        value: The estimate.
        ci_low: The lower end of the 95 % interval.
        ci_high: The upper end of the 95 % interval.
        direction: The side on which the estimate errs in expectation: "lower" for a lower bound,
            "upper" for an upper bound, "neither" otherwise.
        ceiling: The largest value that the estimator can return.
        held_out: Whether the samples were kept out of all fitting.
        seconds: Wall time.
        warnings: Reasons to doubt the estimate.
        sampling_low: The lower end of the interval of the sampling error alone, if the 95 %
            interval also covers other errors.
        sampling_high: The upper end of that interval.

    >>> from mivae_cli.estimators import gaussian, samplers
    >>> estimate = gaussian(*samplers.CorrelatedGaussian(dim=1, rho=0.8).draw(2_000, seed=0))
    >>> estimate.ci_low < estimate.value < estimate.ci_high
    True
    """

    estimator: str
    value: float
    ci_low: float | None
    ci_high: float | None
    direction: Direction
    ceiling: float | None
    held_out: bool
    seconds: float | None = None
    warnings: list[str] = field(default_factory=list)
    sampling_low: float | None = None
    sampling_high: float | None = None

    def at_least_zero(self) -> "Estimate":
        """Returns the estimate with a value and an interval of at least 0 nats."""

        def cut_off(value: float | None) -> float | None:
            return None if value is None else max(value, 0.0)

        return replace(
            self,
            value=max(self.value, 0.0),
            ci_low=cut_off(self.ci_low),
            ci_high=cut_off(self.ci_high),
            sampling_low=cut_off(self.sampling_low),
            sampling_high=cut_off(self.sampling_high),
        )


@dataclass(frozen=True)
class Recommendation:
    """The recommended estimate, in nats, and the reason.

    Attributes:
        estimator: The name of the recommended estimator.
        value: Its estimate.
        ci_low: The lower end of the 95 % interval.
        ci_high: The upper end of the 95 % interval.
        reason: Why this estimator is recommended.
        at_least: Whether only the lower end can be defended: the estimate is a lower bound that may
            be far below the mutual information.
        sampling_low: The lower end of the interval of the sampling error alone, if the 95 %
            interval also covers other errors.
        sampling_high: The upper end of that interval.

    >>> Recommendation("ksg", 0.5, 0.4, 0.6, "the only estimator requested").value
    0.5
    """

    estimator: str
    value: float
    ci_low: float | None
    ci_high: float | None
    reason: str
    at_least: bool = False
    sampling_low: float | None = None
    sampling_high: float | None = None

    @classmethod
    def of(cls, row: Estimate, reason: str, at_least: bool = False) -> "Recommendation":
        """Returns the recommendation of an estimate."""
        return cls(
            row.estimator,
            row.value,
            row.ci_low,
            row.ci_high,
            reason,
            at_least,
            row.sampling_low,
            row.sampling_high,
        )


@dataclass(frozen=True)
class Report:
    """Estimates of the same mutual information, side by side.

    Attributes:
        recommended: The estimate to quote.
        estimates: All estimates.
        n: The number of pairs, or of sentences of a run.
        x_dim: The number of columns of x that vary; None if x is text.
        z_dim: The number of columns of z that vary.
        p_value: The p-value of independence; None if no permutations were requested.
        warnings: Problems of the samples.
        notes: How to read the estimates.
        unit: Always "nats".
        given: The columns of w of a conditional mutual information I(x; z | w); otherwise empty.

    >>> Report(recommended=None, estimates=[], n=100, x_dim=2, z_dim=3).unit
    'nats'
    """

    recommended: Recommendation | None
    estimates: list[Estimate]
    n: int
    x_dim: int | None
    z_dim: int
    p_value: float | None = None
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unit: str = "nats"
    given: list[str] = field(default_factory=list)

    def to_frame(self) -> Any:  # noqa: ANN401  # pandas is not a dependency
        """Returns the estimates as a `pandas.DataFrame`, one row for each estimator.

        Raises:
            ConfigError: pandas is not installed.
        """
        return report_frame(self)

    def _repr_html_(self) -> str:
        """Returns the table that a notebook shows."""
        return report_html(self)


@contextmanager
def stopwatch() -> Iterator[Callable[[], float]]:
    """Context manager that yields a function returning the wall seconds spent inside it."""
    start = time.perf_counter()
    end: list[float] = []
    yield lambda: (end[0] if end else time.perf_counter()) - start
    end.append(time.perf_counter())


def at_ceiling(value: float, ceiling: float | None) -> bool:
    """Returns whether an estimate is so close to its ceiling that the true value may be higher."""
    return ceiling is not None and ceiling - value < CEILING_MARGIN


def missing_pairs(unseen: float, count: int) -> list[str]:
    """Returns a warning if an estimate from N pairs is too high for lack of product pairs.

    `unseen` is the share of joint pairs that score above every product pair (`ScoreSummary`).
    """
    excess = -math.log1p(-min(unseen, 1 - 0.5 / count, math.nextafter(1, 0)))
    if excess <= MIN_EXCESS:
        return []
    # if all joint pairs score above all product pairs, the size of the error is unknown
    error = f"about {excess:.1f} nats too high" if unseen < 1 else "only a rough guess"
    warning = (
        f"{unseen:.0%} of joint pairs score above all {count * (count - 1):,} product pairs: these "
        f"are too few, and the estimate is probably {error}"
    )
    return [warning]
