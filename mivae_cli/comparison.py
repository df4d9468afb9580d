"""Runs side by side: which settings tell them apart, and what each was found to be.

An outcome is what one run says of itself; a row is one run, or several that differ in their
seeds alone, as mean and standard deviation (of a sample, n - 1) over them. All figures in nats
a sentence unless their heading says otherwise. Evaluations are read as what JSON holds: a figure
that is not there is None.
"""

__all__ = [
    "COLUMNS",
    "Column",
    "Comparison",
    "Figure",
    "Outcome",
    "Row",
    "Standing",
    "compare",
]

import math
import re
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeGuard

from .config import RunConfig
from .doubts import at_ceiling, missing_pairs
from .resolve import flattened, known_keys
from .sweeping import shortened

Standing = Literal["evaluated", "trained", "running", "interrupted", "failed", "damaged"]
WORDS = {"trained": "not evaluated"}  # where the name alone says too little


@dataclass(frozen=True)
class Outcome:
    """What a run says of itself."""

    name: str
    path: str
    standing: Standing
    problem: str = ""  # what is wrong with it, if anything
    config: RunConfig | None = None
    evaluation: Mapping[str, Any] | None = None
    minutes: float | None = None
    parameters: int | None = None
    tested: str | None = None  # tells test splits apart, as tokens


@dataclass(frozen=True)
class Column:
    """A figure's key, heading and digits, and which end of its scale is the better one."""

    key: str
    heading: str
    digits: int = 2
    better: Literal["low", "high"] | None = None
    limit: Literal["ceiling", "of"] | None = None  # which limit its figures have


# Neither rate, distortion nor information is good by itself, so none has a best; nor has the ELBO,
# which charges the whole rate: its best is the run that collapsed.
COLUMNS = (
    Column("ppl_iw", "IW-PPL", better="low"),
    Column("nll", "-ELBO"),
    Column("distortion", "D"),
    Column("rate", "KL"),
    Column("mi_known_posterior", "MI", limit="ceiling"),
    Column("mi_dual", "MI lower"),
    Column("mi_leave_one_out", "MI upper"),
    Column("mi_batch32", "MI@32", limit="ceiling"),
    Column("active_units", "units", 0, limit="of"),
    Column("parameters", "weights", 0),
    Column("minutes", "min", 1),
)


@dataclass(frozen=True)
class Figure:
    """A figure of a row, and its standard deviation over seeds."""

    value: float
    sd: float | None = None
    ceiling: float | None = None  # log N, of an estimate of information
    of: int | None = None  # of how many, for a count
    too_high: bool = False  # likely, for lack of product pairs

    @property
    def at_ceiling(self) -> bool:
        """Whether the true information may be higher."""
        return at_ceiling(self.value, self.ceiling)


@dataclass(frozen=True)
class Row:
    """One run, or several that differ in the seed alone."""

    name: str
    paths: tuple[str, ...]
    standing: Standing
    problem: str
    seeds: tuple[int, ...]
    settings: Mapping[str, Any]  # by dotted key, those that differ among the rows' runs
    figures: Mapping[str, Figure | None]  # by the keys of the columns


@dataclass(frozen=True)
class Comparison:
    """Rows, the columns that they have figures for, and what stands in the comparison's way."""

    rows: tuple[Row, ...]
    settings: Mapping[str, str]  # short names of the keys that differ
    columns: tuple[Column, ...]
    warnings: tuple[str, ...] = ()
    best: Mapping[str, frozenset[int]] = field(default_factory=dict)  # rows, by a column's key


def compare(outcomes: Sequence[Outcome], fold: bool = True) -> Comparison:
    """Returns runs as rows.

    Arguments:
        outcomes: The runs.
        fold: Whether those that differ in the seed alone become one row.
    """
    tables = [_settings(outcome.config) for outcome in outcomes]
    read = [table for table in tables if table is not None]
    keys = sorted({key for table in read for key in table})
    varying = [key for key in keys if any(table.get(key) != read[0].get(key) for table in read)]
    groups: dict[object, list[tuple[Outcome, dict[str, Any]]]] = {}
    for number, (outcome, table) in enumerate(zip(outcomes, tables, strict=True)):
        chosen = {key: (table or {}).get(key) for key in varying}
        alike = (*map(repr, chosen.values()), outcome.tested, _samples(outcome))
        whole = fold and outcome.standing == "evaluated"
        groups.setdefault(alike if whole else number, []).append((outcome, chosen))
    rows = tuple(row for group in groups.values() for row in _rows(group))
    known = [*known_keys()]
    columns = (*COLUMNS, *_further(rows))
    comparison = Comparison(
        rows=tuple(
            replace(row, figures={column.key: row.figures.get(column.key) for column in columns})
            for row in rows
        ),
        settings={key: shortened(key, known) for key in varying},
        columns=columns,
        warnings=tuple(_warnings(outcomes)),
    )
    return replace(comparison, best=_best(comparison, outcomes))


def _settings(config: RunConfig | None) -> dict[str, Any] | None:
    """Returns the settings that a comparison may show; of a seed's, its row tells."""
    return None if config is None else flattened(config.model_copy(update={"name": "", "seed": 0}))


def _rows(group: Sequence[tuple[Outcome, Mapping[str, Any]]]) -> Iterator[Row]:
    """Yields a group's one row, or a row a run where its seeds do not tell the runs apart."""
    members = [outcome for outcome, _ in group]
    settings = group[0][1]
    if len({_seed(outcome) for outcome in members}) < len(members):
        for outcome in members:
            yield _row([outcome], settings)
    else:
        yield _row(members, settings)


def _row(members: Sequence[Outcome], settings: Mapping[str, Any]) -> Row:
    first = members[0]
    found = [_figures(outcome) if _has_figures(outcome) else {} for outcome in members]
    return Row(
        name=_common_name([outcome.name for outcome in members]),
        paths=tuple(outcome.path for outcome in members),
        standing=first.standing,
        problem=first.problem,
        seeds=tuple(outcome.config.seed for outcome in members if outcome.config is not None),
        settings=settings,
        figures={key: _mean([figures.get(key) for figures in found]) for key in found[0]},
    )


def _common_name(names: Sequence[str]) -> str:
    """Returns the name of a row: its run's, or what is left of several without their seeds."""
    if len(names) == 1:
        return names[0]
    left = {re.sub(r"(^|,)seed=\d+", "", name).rstrip("/") for name in names}
    if len(left) == 1 and (name := left.pop()):
        return name
    return f"{names[0]} and {len(names) - 1} more"


def _mean(figures: Sequence[Figure | None]) -> Figure | None:
    """Returns a figure over seeds; it must be there for each of them."""
    found = [figure for figure in figures if figure is not None]
    if not found or len(found) < len(figures):
        return None
    if len(found) == 1:
        return found[0]
    values = [figure.value for figure in found]
    too_high = any(figure.too_high for figure in found)
    sd = statistics.stdev(values)
    return replace(found[0], value=statistics.fmean(values), sd=sd, too_high=too_high)


def _has_figures(outcome: Outcome) -> bool:
    return outcome.standing == "evaluated" and outcome.evaluation is not None


def _figures(outcome: Outcome) -> dict[str, Figure | None]:
    """Returns all figures of a run that was evaluated."""
    record = outcome.evaluation or {}
    mi = record.get("mi")
    latent = bool(record.get("latent_units"))
    figures: dict[str, Figure | None] = {
        "ppl_iw": _figure(record.get("ppl_iw")),
        "nll": _figure(record.get("nll")),
        "distortion": _figure(record.get("distortion")),
        "rate": _figure(record.get("rate")) if latent else None,
        "active_units": _count(record.get("active_units"), record.get("latent_units")),
        "parameters": _figure(outcome.parameters),
        "minutes": _figure(outcome.minutes),
    }
    for key in ("known_posterior", "dual", "leave_one_out", "batch32"):
        estimate = mi.get(key) if isinstance(mi, Mapping) else None
        figures[f"mi_{key}"] = _estimate(estimate) if isinstance(estimate, Mapping) else None
    figures |= {key: _figure(value) for key, value in _leaves("full", record.get("full"))}
    return figures


def _leaves(path: str, value: object) -> Iterator[tuple[str, float]]:
    """Yields the figures of an evaluation in full; its whole numbers are how it was made."""
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
    unseen, count = record.get("unseen"), record.get("n")
    if figure is None or not (_is_number(unseen) and _is_number(count) and count >= 1):
        return figure
    return replace(figure, too_high=bool(missing_pairs(unseen, int(count))))


def _count(value: object, of: object) -> Figure | None:
    """Returns a count; where there is nothing to count there is no figure."""
    if not (_is_number(value) and _is_number(of) and of):
        return None
    return Figure(float(value), of=int(of))


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _further(rows: Sequence[Row]) -> list[Column]:
    """Returns the columns that some evaluation in full asks for."""
    known = {column.key for column in COLUMNS}
    keys = dict.fromkeys(key for row in rows for key in row.figures if key not in known)
    return [Column(key, _heading(key), better=_better(key)) for key in keys]


def _heading(key: str) -> str:
    words = key.removeprefix("full.").replace("_", " ").replace(".", " ")
    words = words.removeprefix("generation ").replace("perplexity", "PPL").replace("ppl", "PPL")
    return words.replace("bleu", "BLEU")


def _better(key: str) -> Literal["low", "high"] | None:
    """Returns which end is the better one, where the field agrees on it."""
    name = key.lower()
    if name.endswith("real"):  # of text that people wrote, for comparison
        return None
    if "bleu" in name and "self" not in name:
        return "high"
    return "low" if "reverse" in name and ("ppl" in name or "perplexity" in name) else None


def _seed(outcome: Outcome) -> int | None:
    return None if outcome.config is None else outcome.config.seed


def _samples(outcome: Outcome) -> object:
    """Returns how many samples the importance-weighted bound took; a language model needs none."""
    record = outcome.evaluation or {}
    return record.get("iw_samples") if record.get("latent_units") else None


def _warnings(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yields what keeps the figures of some runs from being compared."""
    read = [outcome for outcome in outcomes if _has_figures(outcome)]
    if len(tests := _sets(read, lambda outcome: outcome.tested)) > 1:
        yield (
            f"not all were tested on the same sentences and tokens ({_told(tests, _size)}): figures "
            "of different test sets do not compare, and none is marked as the best"
        )
    latent = [outcome for outcome in read if _samples(outcome) is not None]
    if len(counts := _sets(latent, _samples)) > 1:
        told = _told(counts, lambda outcome: f"{_samples(outcome)} samples")
        yield (
            f"IW-PPL was taken with different numbers of samples ({told}), which do not compare: "
            "more give a lower figure"
        )


def _sets(
    outcomes: Sequence[Outcome], key: Callable[[Outcome], object]
) -> dict[object, list[Outcome]]:
    sets: dict[object, list[Outcome]] = {}
    for outcome in outcomes:
        sets.setdefault(key(outcome), []).append(outcome)
    return sets


def _told(sets: Mapping[object, Sequence[Outcome]], say: Callable[[Outcome], str]) -> str:
    """Returns of some sets what they have in common, each with a run to look at."""
    several = [
        f"{say(members[0])}: {members[0].name}"
        + (f" and {len(members) - 1} more" if len(members) > 1 else "")
        for members in sets.values()
    ]
    more = f"; and {len(several) - 3} others" if len(several) > 3 else ""
    return "; ".join(several[:3]) + more


def _size(outcome: Outcome) -> str:
    record = outcome.evaluation or {}
    return f"{record.get('sentences')} sentences, {record.get('tokens')} tokens"


def _best(comparison: Comparison, outcomes: Sequence[Outcome]) -> dict[str, frozenset[int]]:
    """Returns the best rows of each column that has a best; as far as its digits tell."""
    read = [outcome for outcome in outcomes if _has_figures(outcome)]
    if len({outcome.tested for outcome in read}) > 1:
        return {}
    samples = {_samples(outcome) for outcome in read} - {None}
    best = {}
    for column in comparison.columns:
        if column.better is None or (column.key == "ppl_iw" and len(samples) > 1):
            continue
        figures = ((place, row.figures[column.key]) for place, row in enumerate(comparison.rows))
        shown = {
            place: round(figure.value, column.digits)
            for place, figure in figures
            if figure is not None
        }
        if len(shown) > 1:
            end = (min if column.better == "low" else max)(shown.values())
            best[column.key] = frozenset(place for place in shown if shown[place] == end)
    return best
