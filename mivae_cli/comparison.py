"""Runs side by side: which settings tell them apart, and what each was found to be.

A row is one run, or several that differ in their seeds alone, as mean and standard deviation (of
a sample, n - 1) over them. All figures in nats a sentence unless their heading says otherwise.
"""

__all__ = ["COLUMNS", "Column", "Comparison", "Row", "compare"]

import re
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from .budget import shared_budget_warnings
from .collapse import COLLAPSED
from .config import EvaluationConfig, RunConfig
from .mistakes import known_keys, listed
from .outcomes import Figure, Outcome, Standing
from .resolve import flattened
from .sweeping import shortened


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
    Column("mi_dual", "MI lower", limit="ceiling"),
    Column("mi_leave_one_out", "MI upper"),
    Column("mi_batch32", "MI@32", limit="ceiling"),
    Column("active_units", "active", 0, limit="of"),
    Column("units_above", "> 0.1 nats", 0, limit="of"),
    Column("effective_units", "effective", 1, limit="of"),
    Column("parameters", "weights", 0),
    Column("minutes", "min", 1),
)


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
    outcomes = _alike_sampled(outcomes)
    tables = [_settings(outcome.config) for outcome in outcomes]
    read = [table for table in tables if table is not None]
    keys = sorted({key for table in read for key in table})
    varying = [key for key in keys if any(table.get(key) != read[0].get(key) for table in read)]
    groups: dict[object, list[tuple[Outcome, dict[str, Any]]]] = {}
    for number, (outcome, table) in enumerate(zip(outcomes, tables, strict=True)):
        chosen = {key: (table or {}).get(key) for key in varying}
        alike = (*map(repr, chosen.values()), outcome.tested, outcome.samples)
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


def _alike_sampled(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Returns the runs with records that compare, as far as there are any.

    If all runs have records of the same number of importance samples, those with the most are
    taken. Otherwise the same is tried among runs that differ in the seed alone, so that these
    still make one row, and what is left keeps the record of its own protocol.
    """
    latent = [place for place, each in enumerate(outcomes) if each.samples is not None]
    groups: dict[str, list[int]] = {}
    for place in latent:
        groups.setdefault(repr(_settings(outcomes[place].config)), []).append(place)
    chosen = list(outcomes)
    for places in (latent, *groups.values()) if latent else ():
        common = set.intersection(*(outcomes[place].evaluations.sampled for place in places))
        for place in places if common else ():
            chosen[place] = outcomes[place].sampled(max(common))
        if common and places is latent:
            break
    return chosen


def _settings(config: RunConfig | None) -> dict[str, Any] | None:
    """Returns the settings that a comparison may show.

    Its row tells the seed, and how a run is evaluated makes it no other run.
    """
    if config is None:
        return None
    plain = {"name": "", "seed": 0, "evaluation": EvaluationConfig()}
    return flattened(config.model_copy(update=plain))


def _rows(group: Sequence[tuple[Outcome, Mapping[str, Any]]]) -> Iterator[Row]:
    """Yields a group's one row, or a row a run where its seeds do not tell the runs apart."""
    members = [outcome for outcome, _ in group]
    settings = group[0][1]
    if len({outcome.seed for outcome in members}) < len(members):
        for outcome in members:
            yield _row([outcome], settings)
    else:
        yield _row(members, settings)


def _row(members: Sequence[Outcome], settings: Mapping[str, Any]) -> Row:
    first = members[0]
    found = [outcome.figures for outcome in members]
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


def _warnings(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yields what keeps the figures of some runs from being compared."""
    read = [outcome for outcome in outcomes if outcome.measured]
    if len(tests := _sets(read, lambda outcome: outcome.tested)) > 1:
        yield (
            f"not all were tested on the same sentences and tokens ({_told(tests, _size)}): figures "
            "of different test sets do not compare, and none is marked as the best"
        )
    latent = [outcome for outcome in read if outcome.samples is not None]
    if len(counts := _sets(latent, lambda outcome: outcome.samples)) > 1:
        told = _told(counts, lambda outcome: f"{outcome.samples} samples")
        yield (
            f"IW-PPL was taken with different numbers of samples ({told}), which do not compare: "
            "more give a lower figure"
        )
    collapsed = [
        outcome.name
        for outcome in latent
        if (mi := outcome.figures["mi_known_posterior"]) is not None and mi.value < COLLAPSED
    ]
    if collapsed:
        yield (
            f"the posterior has collapsed, I(x; z) is below {COLLAPSED:g} nats: {listed(collapsed)}"
        )
    yield from shared_budget_warnings(
        {outcome.name: outcome.config for outcome in read if outcome.config is not None}
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
    read = [outcome for outcome in outcomes if outcome.measured]
    if len({outcome.tested for outcome in read}) > 1:
        return {}
    samples = {outcome.samples for outcome in read} - {None}
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
