"""Runs side by side: which settings tell them apart, and what each was found to be.

A row is one run, or several that differ in their seeds alone, as mean and standard deviation (of
a sample, n - 1) over them. All figures in nats a sentence unless their heading says otherwise.
"""

__all__ = ["Comparison", "Row", "compare", "select"]

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..config.data import PATHS
from ..config.grid import shortened
from ..config.messages import known_keys, suggestion
from ..config.resolve import flattened
from ..config.run import EvaluationConfig, RunConfig
from ..errors import ConfigError
from .columns import COLUMNS, Column, best_places, further_columns
from .comparability import comparability_warnings
from .seed_groups import folded_name
from .summary import Figure, Outcome, Standing

TELLING = 3  # settings that a name has beside it


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
    selected: bool = False  # whether somebody asked for these columns


def compare(outcomes: Sequence[Outcome], fold: bool = True) -> Comparison:
    """Returns runs as rows.

    Arguments:
        outcomes: The runs.
        fold: Whether those that differ in the seed alone become one row.
    """
    outcomes = _alike_sampled(_with_one_path(outcomes))
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
    settings = {key: shortened(key, known) for key in varying}
    columns = (*COLUMNS, *further_columns(key for row in rows for key in row.figures))
    comparison = Comparison(
        rows=tuple(
            replace(row, figures={column.key: row.figures.get(column.key) for column in columns})
            for row in _told_apart(rows, settings)
        ),
        settings=settings,
        columns=columns,
        warnings=tuple(comparability_warnings(outcomes)),
    )
    return replace(comparison, best=_best(comparison, outcomes))


def _with_one_path(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Returns the runs, those on the same text with the paths of the first: it makes no other run."""
    first: dict[str, RunConfig] = {}
    found = []
    for outcome in outcomes:
        if (config := outcome.config) is not None and outcome.corpus:
            data = first.setdefault(outcome.corpus, config).data
            paths = {key: getattr(data, key) for key in PATHS}
            data = config.data.model_copy(update=paths)
            outcome = replace(outcome, config=config.model_copy(update={"data": data}))
        found.append(outcome)
    return found


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


def select(comparison: Comparison, keys: Sequence[str]) -> Comparison:
    """Returns a comparison with some of its columns, figures in the order of their keys.

    Arguments:
        comparison: The comparison.
        keys: Keys of figures and of settings that differ, in full or shortened; `settings` is
            all of these.

    Raises:
        ConfigError: There is no such column.
    """
    figures = {column.key: column for column in comparison.columns}
    shorts = {short: key for key, short in comparison.settings.items()}
    settings: dict[str, str] = {}
    columns: dict[str, Column] = {}
    for key in keys:
        if key in figures:
            columns[key] = figures[key]
        elif key == "settings":
            settings |= comparison.settings
        elif (full := shorts.get(key, key)) in comparison.settings:
            settings[full] = comparison.settings[full]
        elif key in known_keys():
            raise ConfigError(f"--columns {key}: this setting is the same in all runs")
        else:
            known = [*figures, "settings", *comparison.settings, *shorts]
            raise ConfigError(
                f"--columns: there is no column '{key[:80]}'{suggestion(key, known)}; "
                "'--columns list' shows those that there are"
            )
    return replace(comparison, settings=settings, columns=tuple(columns.values()), selected=True)


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
        name=folded_name([outcome.name for outcome in members], _preset(members)),
        paths=tuple(outcome.path for outcome in members),
        standing=first.standing,
        problem=first.problem,
        seeds=tuple(outcome.config.seed for outcome in members if outcome.config is not None),
        settings=settings,
        figures={key: _mean([figures.get(key) for figures in found]) for key in found[0]},
    )


def _preset(members: Sequence[Outcome]) -> str:
    """Returns what the configurations of some runs are called, if they are called the same."""
    names = {"" if outcome.config is None else outcome.config.name for outcome in members}
    return names.pop() if len(names) == 1 else ""


def _told_apart(rows: Sequence[Row], settings: Mapping[str, str]) -> tuple[Row, ...]:
    """Returns rows of which no two have the same name: their settings are added, or their runs."""
    named: dict[str, list[Row]] = {}
    for row in rows:
        named.setdefault(row.name, []).append(row)
    told = []
    for row in rows:
        others = [other for other in named[row.name] if other is not row]
        differing = [
            f"{short}={row.settings.get(key)}"
            for key, short in settings.items()
            if any(other.settings.get(key) != row.settings.get(key) for other in others)
        ]
        name = f"{row.name} ({', '.join(differing[:TELLING])})" if differing else row.name
        told.append(replace(row, name=name))
    count = Counter(row.name for row in told)
    return tuple(
        replace(row, name=f"{row.name} ({row.paths[0]})") if count[row.name] > 1 else row
        for row in told
    )


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
    mean = statistics.fmean(values)
    return replace(found[0], value=mean, sd=sd, low=None, high=None, too_high=too_high)


def _best(comparison: Comparison, outcomes: Sequence[Outcome]) -> dict[str, frozenset[int]]:
    """Returns the best rows of each column that has a best; of other tests, none is."""
    read = [outcome for outcome in outcomes if outcome.measured]
    if len({outcome.tested for outcome in read}) > 1:
        return {}
    samples = {outcome.samples for outcome in read} - {None}
    best = {}
    for column in comparison.columns:
        if column.better is None or (column.key == "ppl_iw" and len(samples) > 1):
            continue
        found = [row.figures[column.key] for row in comparison.rows]
        figures = {place: figure for place, figure in enumerate(found) if figure is not None}
        if places := best_places(figures, column):
            best[column.key] = places
    return best
