"""Settings and figures of one run, in the form that comparisons use.

A missing figure is None. Values are in nats per sentence unless a heading says otherwise.
"""

__all__ = ["WORDS", "Figure", "Outcome", "Standing"]

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeGuard

from .. import limits
from ..config.run import RunConfig
from ..estimators.report import at_ceiling, missing_pairs
from ..evaluation.metrics import effective_units, units_above
from ..evaluation.records import EvaluationRecords, samples_of

Standing = Literal["evaluated", "trained", "running", "interrupted", "failed", "damaged"]
LIKELIHOODS = ("ppl_iw", "iw_nll", "nll", "distortion")
WORDS = {"trained": "not evaluated"}  # how a standing is displayed, if not by its name


@dataclass(frozen=True)
class Figure:
    """A figure of a run, or its mean and standard deviation over seeds."""

    value: float
    sd: float | None = None
    low: float | None = None  # 95 % interval of a single run
    high: float | None = None
    ceiling: float | None = None  # the largest value that an estimate of information can take
    of: int | None = None  # the total, for a count
    too_high: bool = False  # likely overestimated, for lack of product pairs

    @property
    def half_width(self) -> float | None:
        """Half the width of the interval."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2

    @property
    def significant(self) -> bool:
        """Whether the interval of a difference excludes 0."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high

    @property
    def at_ceiling(self) -> bool:
        """Whether the true information may be higher."""
        return at_ceiling(self.value, self.ceiling)


@dataclass(frozen=True)
class Outcome:
    """The settings, status and evaluations of a run."""

    name: str
    path: str
    standing: Standing
    problem: str = ""  # why there are no figures, if so
    config: RunConfig | None = None
    evaluation: Mapping[str, Any] | None = None  # the record with its figures
    evaluations: EvaluationRecords = field(default_factory=EvaluationRecords)  # all records
    minutes: float | None = None
    parameters: int | None = None
    tested: str | None = None  # identifies the test split, as token ids
    corpus: str = ""  # identifies the text and the data settings; empty if unknown

    @property
    def measured(self) -> bool:
        """Whether the run has figures."""
        return self.standing == "evaluated" and self.evaluation is not None

    @property
    def seed(self) -> int | None:
        """The seed of training."""
        return None if self.config is None else self.config.seed

    @property
    def samples(self) -> int | None:
        """The number of importance samples; None for a language model, which needs none."""
        return samples_of(self.evaluation or {})

    def sampled(self, samples: int) -> "Outcome":
        """Returns the outcome with its record of a number of importance samples, if it has one."""
        if self.config is None or samples not in self.evaluations.sampled:
            return self
        seed = self.config.evaluation.seed
        return replace(self, evaluation=self.evaluations.best(samples, seed))

    @property
    def figures(self) -> dict[str, Figure | None]:
        """All figures, by the keys of comparison columns."""
        if not self.measured:
            return {}
        record = self.evaluation or {}
        mi = record.get("mi")
        latent = bool(record.get("latent_units"))
        figures: dict[str, Figure | None] = {
            **{key: _figure(record.get(key)) for key in LIKELIHOODS},
            "rate": _figure(record.get("rate")) if latent else None,
            "active_units": _count(record.get("active_units"), record.get("latent_units")),
            **_unit_figures(record),
            "parameters": _figure(self.parameters),
            "minutes": _figure(self.minutes),
        }
        for key in ("known_posterior", "dual", "leave_one_out", "batch32"):
            estimate = mi.get(key) if isinstance(mi, Mapping) else None
            figures[f"mi_{key}"] = _estimate(estimate) if isinstance(estimate, Mapping) else None
        figures |= {key: _figure(value) for key, value in _leaves("full", record.get("full"))}
        return figures


def _leaves(path: str, value: object) -> Iterator[tuple[str, float]]:
    """Yields the figures of a text evaluation: floats. Integers describe its protocol."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(f"{path}.{key}", inner)
    elif isinstance(value, float):
        yield path, value


def _figure(value: object, ceiling: object = None) -> Figure | None:
    if not _is_number(value):
        return None
    return Figure(float(value), ceiling=float(ceiling) if _is_number(ceiling) else None)


def _estimate(record: Mapping[str, Any]) -> Figure | None:
    figure = _figure(record.get("value"), record.get("ceiling"))
    low, high = record.get("ci_low"), record.get("ci_high")
    if figure is not None and _is_number(low) and _is_number(high):
        figure = replace(figure, low=float(low), high=float(high))
    unseen, count = record.get("unseen"), record.get("n")
    if figure is None or not (_is_number(unseen) and _is_number(count)):
        return figure
    valid = 0 <= unseen <= 1 <= count <= limits.MAX_SUMMARY_PAIRS
    return replace(figure, too_high=valid and bool(missing_pairs(unseen, int(count))))


def _count(value: object, of: object) -> Figure | None:
    """Returns a count, or None if its total is zero."""
    if not (_is_number(value) and _is_number(of) and of):
        return None
    return Figure(float(value), of=int(of))


def _unit_figures(record: Mapping[str, Any]) -> dict[str, Figure | None]:
    """Returns the counts of units that carry information.

    Records of earlier versions have only the rates of the units, or a single rate on the sphere.
    """
    of, rates = record.get("latent_units"), record.get("rates")
    above, effective = record.get("units_above"), record.get("effective_units")
    complete = isinstance(rates, list) and len(rates) == of and all(map(_is_number, rates))
    if above is None and effective is None and complete and isinstance(rates, list):
        above, effective = units_above(rates), effective_units(rates)
    return {"units_above": _count(above, of), "effective_units": _count(effective, of)}


def _is_number(value: object) -> TypeGuard[float]:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) <= limits.MAX_SUMMARY_VALUE  # false for NaN
