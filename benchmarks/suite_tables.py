"""Summaries of the measurements of the task suite, as Markdown tables."""

__all__ = [
    "Measured",
    "by_kind",
    "by_peer",
    "by_profile",
    "by_rows",
    "by_size",
    "by_task",
    "covered",
    "reasons",
    "targets",
    "too_high",
]

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from cells import Record, table
from suite_truths import Task

SIZES = ((500, "100 to 500"), (2_000, "1,000 and 2,000"), (10_000, "4,000 and 10,000"))
LARGEST = "50,000 and 100,000"
COLUMNS = 25  # of each side, for the target of the issue
ROUNDING = 1e-9
TARGETS = {
    "mean absolute error: 4,000 rows or more, at most 25 columns on each side, not independent": "0.03",
    "mean absolute error: the same, numbers only": "0.03",
    "mean absolute error: embeddings, 1,000 rows or more": "0.25",
    "truth in the interval": "88 to 98 %",
    "too high by more than the width": "by chance",
    "CPU-seconds at 10,000 rows": "20",
}


@dataclass(frozen=True)
class Measured:
    """The measurements of a task: one record per seed."""

    name: str
    task: Task
    records: list[Record]

    @property
    def errors(self) -> list[float]:
        """Returns value minus truth of each record with a figure."""
        return [r["value"] - r["truth"] for r in self.records if r.get("value") is not None]

    @property
    def kind(self) -> str:
        """Returns the kind of data, apart for the tasks that were added after the first run."""
        return f"{self.task.kind}, added later" if self.task.later else self.task.kind

    @property
    def columns(self) -> int:
        """Returns the number of columns of the wider side."""
        return max(map(int, self.records[0]["columns"]))


Few = Sequence[Measured]


def covered(record: Record) -> bool:
    """Returns whether the interval contains the truth; of "at least", whether its lower end is below."""
    if record.get("value") is None:
        return False
    low, high = record["ci"]
    above = record.get("at_least", False) or record["truth"] <= high + ROUNDING
    return bool(low - ROUNDING <= record["truth"] and above)


def in_sampling_interval(record: Record) -> bool:
    """Returns whether the interval of the sampling error alone contains the truth."""
    low, high = record.get("sampling") or record["ci"]
    if low is None or high is None:
        low, high = record["ci"]
    return bool(low - ROUNDING <= record["truth"] <= high + ROUNDING)


def too_high(record: Record) -> bool:
    """Returns whether the figure exceeds the truth by more than the width of the interval."""
    if record.get("value") is None:
        return False
    low, high = record["ci"]
    return bool(record["value"] - record["truth"] > high - low + ROUNDING)


def _all(found: Iterable[Measured]) -> list[Record]:
    return [record for each in found for record in each.records]


def _mean_error(found: Iterable[Measured]) -> str:
    errors = [abs(error) for each in found for error in each.errors]
    return f"{fmean(errors):.3f}" if errors else "-"


def _of(found: Iterable[Record], test: Callable[[Record], bool]) -> str:
    records = list(found)
    count = sum(map(test, records))
    return f"{count} of {len(records)} ({count / len(records):.0%})"


def _seconds(found: Iterable[Measured]) -> str:
    return f"{fmean(record['cpu_seconds'] for record in _all(found)):.1f}"


def _at_least(record: Record) -> bool:
    return bool(record.get("at_least"))


def _figure(record: Record) -> str:
    """Returns the figure of a record; of "at least", the lower limit with the figure in brackets."""
    if record.get("value") is None:
        return "error"
    if _at_least(record):
        return f"≥ {record['ci'][0]:.3f} ({record['value']:.3f})"
    return f"{record['value']:.3f}"


def by_task(found: Few) -> None:
    """Prints one row per task."""
    head = ["task", "rows", "columns", "truth", "figures", "mean abs. error", "in interval"]
    rows = []
    for each in found:
        figures = ", ".join(map(_figure, each.records))
        widths = " x ".join(map(str, each.records[0]["columns"]))
        names = dict.fromkeys(str(r.get("estimator")) for r in each.records)
        rows.append(
            [
                each.name,
                f"{each.task.rows:,}",
                widths,
                f"{each.records[0]['truth']:.3f}",
                figures,
                _mean_error([each]),
                f"{sum(map(covered, each.records))} of {len(each.records)}",
                ", ".join(f"`{name}`" for name in names),
                _seconds([each]),
            ]
        )
    table([*head, "estimator", "CPU-s"], rows)


def _summary(name: str, found: Few) -> list[object]:
    errors = [error for each in found for error in each.errors]
    records = _all(found)
    failed = sum(r.get("value") is None for r in records)
    sided = [r for r in records if r.get("value") is not None and not _at_least(r)]
    lower = [record for record in records if _at_least(record)]
    return [
        name if not failed else f"{name} ({failed} without a figure)",
        len(found),
        _mean_error(found),
        f"{fmean(errors):+.3f}" if errors else "-",
        f"{max(map(abs, errors)):.3f}" if errors else "-",
        _of(sided, covered) if sided else "-",
        _of(lower, covered) if lower else "-",
        f"{sum(map(in_sampling_interval, sided)) / len(sided):.0%}" if sided else "-",
        f"{median(r['ci'][1] - r['ci'][0] for r in sided):.3f}" if sided else "-",
        sum(map(too_high, records)),
        _seconds(found),
    ]


SUMMARY = [
    *("tasks", "mean abs. error", "mean error", "largest", "truth in the interval"),
    *("'at least' below the truth", "in the sampling interval", "median width"),
    *("too high by more than the width", "CPU-s"),
]


def by_kind(found: Few) -> None:
    """Prints one row per kind, and those of the tasks of the first run and of the later ones."""
    kinds = dict.fromkeys(each.kind for each in found)
    rows = [_summary(kind, [e for e in found if e.kind == kind]) for kind in kinds]
    groups = _runs(found)
    table(["kind", *SUMMARY], [*rows, *(_summary(name, group) for name, group in groups)])


def _runs(found: Few) -> list[tuple[str, Few]]:
    """Returns the tasks of the first run and those added later, if there are both, and all tasks."""
    first, later = ([e for e in found if e.task.later == added] for added in (False, True))
    parts: list[tuple[str, Few]] = [("first run", first), ("added later", later)]
    return [*(parts if first and later else []), ("all", found)]


def _size(rows: int) -> str:
    return next((name for most, name in SIZES if rows <= most), LARGEST)


def by_size(found: Few) -> None:
    """Prints one row per class of sizes."""
    names = [*(name for _, name in SIZES), LARGEST]
    groups = [(name, [e for e in found if _size(e.task.rows) == name]) for name in names]
    table(["rows", *SUMMARY], [_summary(name, group) for name, group in groups if group])


def targets(found: Few) -> None:
    """Prints the figures that were required beforehand, with the measured ones."""
    runs = _runs(found)
    measures = [_measures(group) for _, group in runs]
    rows = []
    for name, target in TARGETS.items():
        cells = [each.get(name, "-") for each in measures]
        if any(cell != "-" for cell in cells):
            rows.append([name, target, *cells])
    table(["measure", "target", *(name for name, _ in runs)], rows)


def _measures(found: Few) -> dict[str, str]:
    """Returns the measured value of each target."""
    dependent = [each for each in found if each.task.kind != "null"]
    many = [e for e in dependent if e.task.rows >= 4_000 and e.columns <= COLUMNS]
    numbers = [e for e in many if not e.task.labels and e.task.kind not in ("mixed", "ties")]
    wide = [e for e in dependent if e.task.kind == "embedding"]
    records = _all(found)
    shares = [_of(records, covered), _of(records, too_high)]
    values = [*map(_mean_error, (many, numbers, wide)), *shares]
    ten = [r["cpu_seconds"] for r in _all(e for e in found if e.task.rows == 10_000)]
    if ten:
        values.append(f"{fmean(ten):.1f}; most {max(ten):.1f}")
    return dict(zip(TARGETS, values, strict=False))


def by_rows(found: Few) -> None:
    """Prints the mean absolute error of each row of the report, by kind."""
    kinds = dict.fromkeys(each.kind for each in found)
    names = list(dict.fromkeys(name for record in _all(found) for name in record.get("rows", {})))
    rows = []
    for kind in kinds:
        records = [r for r in _all(e for e in found if e.kind == kind) if r.get("rows")]
        cells = []
        for name in names:
            errors = [abs(r["rows"][name][0] - r["truth"]) for r in records if name in r["rows"]]
            whole = len(errors) == len(records)
            cells.append(f"{fmean(errors):.3f}{'' if whole else '*'}" if errors else "")
        rows.append([kind, _mean_error([e for e in found if e.kind == kind]), *cells])
    table(["kind", "recommended", *(f"`{name}`" for name in names)], rows)


def reasons(found: Few) -> None:
    """Prints how often each reason was given, with the mean absolute error."""
    texts: Counter[str] = Counter()
    errors: dict[str, list[float]] = {}
    for record in _all(found):
        text = str(record.get("reason", record.get("error"))).split(";")[0].split(":")[0]
        text = re.sub(r" \(.*?\)", "", text)
        texts[text] += 1
        if record.get("value") is not None:
            errors.setdefault(text, []).append(abs(record["value"] - record["truth"]))
    table(
        ["reason", "draws", "mean abs. error"],
        [
            [text, count, f"{fmean(errors[text]):.3f}" if text in errors else "-"]
            for text, count in texts.most_common()
        ],
    )


def by_profile(found: Mapping[str, Few]) -> None:
    """Prints the mean absolute error and CPU-seconds of each profile on the same draws."""
    names = [each.name for each in next(iter(found.values()))]
    rows = []
    for place, name in enumerate(names):
        cells = [
            f"{_mean_error([few[place]])} ({_seconds([few[place]])})" for few in found.values()
        ]
        rows.append([name, *cells])
    whole = [f"{_mean_error(few)} ({_seconds(few)})" for few in found.values()]
    table(["task", *found], [*rows, ["all", *whole]])


def by_peer(peer: str, theirs: Few, ours: Few) -> None:
    """Prints the errors of a package and of mivae on the same draws, by kind."""
    if not theirs:
        return
    kinds = dict.fromkeys(each.kind for each in theirs)
    rows = []
    for kind in [*kinds, "all"]:
        row: list[object] = [kind, 0]
        for group in (theirs, ours):
            few = [each for each in group if kind in (each.kind, "all")]
            records = [record for record in _all(few) if "ci" in record]
            row[1] = len(few)
            row += [_mean_error(few), _of(records, covered) if records else "-", _seconds(few)]
        rows.append(row)
    table(
        [
            *("kind", "tasks", peer, "in its interval", "CPU-s"),
            *("mivae", "in its interval", "CPU-s"),
        ],
        rows,
    )
