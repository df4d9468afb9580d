"""Compare runs: the settings that differ, and the figures of each run.

A row is one run, or several runs that differ only in the seed, with the mean and the sample
standard deviation (n - 1) of each figure. Figures are in nats per sentence unless their heading
says otherwise.
"""

__all__ = ["Comparison", "Pairing", "Row", "compare", "select"]

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ..config.data import PATHS
from ..config.grid import shortened
from ..config.messages import known_keys, suggestion
from ..config.resolve import flattened
from ..config.run import EvaluationConfig, RunConfig
from ..errors import ConfigError, listing
from .columns import COLUMNS, IMPORTANCE_WEIGHTED, Column, best_rows, further_columns
from .comparability import comparability_warnings
from .seed_groups import group_name
from .summary import Figure, Outcome, Standing

NAMED_SETTINGS = 3  # settings that distinguish equal names


@dataclass(frozen=True)
class Row:
    """One run, or several that differ only in the seed."""

    name: str
    paths: tuple[str, ...]
    standing: Standing
    problem: str
    seeds: tuple[int, ...]
    settings: Mapping[str, Any]  # by dotted key, the settings that differ among all runs
    figures: Mapping[str, Figure | None]  # by column key
    members: tuple[Outcome, ...] = field(default=(), repr=False)  # its runs


@dataclass(frozen=True)
class Pairing:
    """How the differences in NLL between rows were computed."""

    baseline: str  # the name of the row that the others are compared with
    figure: Literal["iw_nll", "nll"]  # importance-weighted, or the negative ELBO
    iw_samples: int | None  # samples of the importance-weighted bound
    sentences: int

    @property
    def heading(self) -> str:
        """The heading of the differences, which says of what."""
        if self.figure == "nll":
            return "Δ(-ELBO)"
        return "ΔNLL" if self.iw_samples is None else "ΔNLL (IW)"


@dataclass(frozen=True)
class Comparison:
    """Rows, columns and warnings of a comparison."""

    rows: tuple[Row, ...]
    settings: Mapping[str, str]  # short names of the differing settings, by key
    columns: tuple[Column, ...]
    warnings: tuple[str, ...] = ()
    # indices of the best rows, by column key
    best: Mapping[str, frozenset[int]] = field(default_factory=dict)
    selected: bool = False  # whether the user chose the columns
    pairing: Pairing | None = None  # of the differences in NLL, if there are any

    def __repr__(self) -> str:
        return f"<Comparison of {listing(row.name for row in self.rows) or 'no runs'}>"


def compare(outcomes: Sequence[Outcome], fold: bool = True) -> Comparison:
    """Returns the comparison of some runs; `fold` joins those that differ only in the seed."""
    outcomes = _with_common_samples(_with_common_paths(outcomes))
    tables = [_settings(outcome.config) for outcome in outcomes]
    read = [table for table in tables if table is not None]
    keys = sorted({key for table in read for key in table})
    varying = [key for key in keys if any(table.get(key) != read[0].get(key) for table in read)]
    groups: dict[object, list[tuple[Outcome, dict[str, Any]]]] = {}
    for number, (outcome, table) in enumerate(zip(outcomes, tables, strict=True)):
        chosen = {key: (table or {}).get(key) for key in varying}
        group = (*map(repr, chosen.values()), outcome.tested, outcome.samples)
        foldable = fold and outcome.standing == "evaluated"
        groups.setdefault(group if foldable else number, []).append((outcome, chosen))
    rows = tuple(row for group in groups.values() for row in _rows(group))
    known = known_keys()
    settings = {key: shortened(key, known) for key in varying}
    columns = (*COLUMNS, *further_columns(key for row in rows for key in row.figures))
    comparison = Comparison(
        rows=tuple(
            replace(row, figures={column.key: row.figures.get(column.key) for column in columns})
            for row in _with_unique_names(rows, settings)
        ),
        settings=settings,
        columns=columns,
        warnings=tuple(comparability_warnings(outcomes)),
    )
    return replace(comparison, best=_best(comparison, outcomes))


def _with_common_paths(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Returns the runs with one path per text: a path alone does not make a run different."""
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


def _with_common_samples(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Returns the runs with records of the same number of importance samples, if possible.

    The largest number that all runs share is chosen; or else the largest shared by runs that
    differ only in the seed, so that they form one row. Other runs keep their own protocol's record.
    """
    latent = [index for index, each in enumerate(outcomes) if each.samples is not None]
    groups: dict[str, list[int]] = {}
    for index in latent:
        groups.setdefault(repr(_settings(outcomes[index].config)), []).append(index)
    chosen = list(outcomes)
    for group in (latent, *groups.values()) if latent else ():
        common = set.intersection(*(outcomes[index].evaluations.sampled for index in group))
        for index in group if common else ():
            chosen[index] = outcomes[index].sampled(max(common))
        if common and group is latent:
            break
    return chosen


def select(comparison: Comparison, keys: Sequence[str]) -> Comparison:
    """Returns a comparison with the chosen columns, figures in the order of the keys.

    Arguments:
        comparison: The comparison.
        keys: Figures and differing settings, in full or shortened; `settings` stands for all.

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
            raise ConfigError(f"no column '{key}': this setting is the same in all runs")
        else:
            known = [*figures, "settings", *comparison.settings, *shorts]
            raise ConfigError(
                f"no column '{key[:80]}'{suggestion(key, known)}; '--columns list' prints all "
                "columns"
            )
    return replace(comparison, settings=settings, columns=tuple(columns.values()), selected=True)


def _settings(config: RunConfig | None) -> dict[str, Any] | None:
    """Returns the settings that can distinguish runs: all but the seed and the evaluation."""
    if config is None:
        return None
    plain = {"name": "", "seed": 0, "evaluation": EvaluationConfig()}
    return flattened(config.model_copy(update=plain))


def _rows(group: Sequence[tuple[Outcome, Mapping[str, Any]]]) -> list[Row]:
    """Returns one row for a group of runs, or one per run if two of them have the same seed."""
    members = [outcome for outcome, _ in group]
    parts = [members]
    if len({outcome.seed for outcome in members}) < len(members):
        parts = [[outcome] for outcome in members]
    return [_row(part, group[0][1]) for part in parts]


def _row(members: Sequence[Outcome], settings: Mapping[str, Any]) -> Row:
    first = members[0]
    found = [outcome.figures for outcome in members]
    presets = {"" if outcome.config is None else outcome.config.name for outcome in members}
    preset = presets.pop() if len(presets) == 1 else ""
    return Row(
        name=group_name([outcome.name for outcome in members], preset),
        paths=tuple(outcome.path for outcome in members),
        standing=first.standing,
        problem=first.problem,
        seeds=tuple(outcome.config.seed for outcome in members if outcome.config is not None),
        settings=settings,
        figures={key: _mean([figures.get(key) for figures in found]) for key in found[0]},
        members=tuple(members),
    )


def _with_unique_names(rows: Sequence[Row], settings: Mapping[str, str]) -> tuple[Row, ...]:
    """Returns the rows with unique names: differing settings or paths are added to equal names."""
    named: dict[str, list[Row]] = {}
    for row in rows:
        named.setdefault(row.name, []).append(row)
    renamed = []
    for row in rows:
        others = [other for other in named[row.name] if other is not row]
        differing = [
            f"{short}={row.settings.get(key)}"
            for key, short in settings.items()
            if any(other.settings.get(key) != row.settings.get(key) for other in others)
        ]
        name = f"{row.name} ({', '.join(differing[:NAMED_SETTINGS])})" if differing else row.name
        renamed.append(replace(row, name=name))
    count = Counter(row.name for row in renamed)
    return tuple(
        replace(row, name=f"{row.name} ({row.paths[0]})") if count[row.name] > 1 else row
        for row in renamed
    )


def _mean(figures: Sequence[Figure | None]) -> Figure | None:
    """Returns the mean of a figure over seeds, or None if it is missing for one of them."""
    found = [figure for figure in figures if figure is not None]
    if not found or len(found) < len(figures):
        return None
    if len(found) == 1:
        return found[0]
    values = [figure.value for figure in found]
    mean, sd = statistics.fmean(values), statistics.stdev(values)
    too_high = any(figure.too_high for figure in found)
    return replace(found[0], value=mean, sd=sd, low=None, high=None, too_high=too_high)


def _best(comparison: Comparison, outcomes: Sequence[Outcome]) -> dict[str, frozenset[int]]:
    """Returns the best rows by column key; none if the runs have different test sets."""
    read = [outcome for outcome in outcomes if outcome.measured]
    if len({outcome.tested for outcome in read}) > 1:
        return {}
    samples = {outcome.samples for outcome in read} - {None}
    best = {}
    for column in comparison.columns:
        mixed = column.key in IMPORTANCE_WEIGHTED and len(samples) > 1
        if column.better is None or mixed:
            continue
        found = [row.figures[column.key] for row in comparison.rows]
        figures = {index: figure for index, figure in enumerate(found) if figure is not None}
        if indices := best_rows(figures, column):
            best[column.key] = indices
    return best
