"""Records as tables."""

__all__ = ["cell", "demos_table", "estimates_table", "new_table", "right"]

import math
from collections.abc import Mapping, Sequence
from functools import partial

from rich import box
from rich.console import Group, RenderableType
from rich.highlighter import ReprHighlighter
from rich.table import Column, Table
from rich.text import Text

from ...choices import Direction
from ...estimators import Report
from .console import counted, plain

HIGHLIGHTER = ReprHighlighter()
DIRECTIONS: dict[Direction, str] = {"lower": "lower", "upper": "upper", "neither": "-"}
right = partial(Column, justify="right")


def new_table(title: str, *columns: Column | str, caption: str = "") -> Table:
    """Returns a table without rows; its title may contain any text."""
    return Table(
        *columns,
        title=Text(plain(title), style="table.title"),
        caption=caption,
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )


def estimates_table(report: Report, title: str, truth: float | None = None) -> RenderableType:
    """Returns estimates of mutual information side by side, and the recommended one."""
    numbers = (right(head, no_wrap=True) for head in ("nats", "95 % interval", "bits"))
    others = ("bound", "held out", right("ceiling"), right("s", style="dim"))
    table = new_table(title, Column("estimator", no_wrap=True), *numbers, *others)
    table.padding = (0, 1, 0, 0)  # to fit into 80 columns
    recommended = report.recommended
    for row in report.estimates:
        chosen = recommended is not None and row.estimator == recommended.estimator
        table.add_row(
            cell(row.estimator),
            _nats(row.value),
            cell(_interval(row.ci_low, row.ci_high)),
            _nats(row.value / math.log(2)),
            DIRECTIONS[row.direction],
            "yes" if row.held_out else "no",
            "" if row.ceiling is None else f"{row.ceiling:.2f}",
            "" if row.seconds is None else f"{row.seconds:.1f}",
            style="bold" if chosen else None,
        )
    return Group(table, *_estimate_notes(report, truth))


def _estimate_notes(report: Report, truth: float | None) -> list[Text]:
    """Returns the lines below the estimates."""
    size = f"{report.n:,} pairs, {report.x_dim} x {report.z_dim} dimensions"
    if report.given:
        columns = f"{report.x_dim}, {report.z_dim} and {len(report.given)}"
        size = f"{report.n:,} rows; x, z and w have {columns} columns"
    if report.x_dim is None:
        size = f"{counted(report.n, 'sentence')}, {counted(report.z_dim, 'latent unit')}"
    lines = [size if truth is None else f"{size}; true value: {truth:.3f} nats"]
    if (best := report.recommended) is not None:
        interval = f" {_interval(best.ci_low, best.ci_high)}".rstrip()
        if best.at_least and best.ci_low is not None:
            lines.append(
                f"recommended: {best.estimator}, at least {_nats(best.ci_low)} nats (95 %)"
            )
        else:
            lines.append(f"recommended: {best.estimator}, {_nats(best.value)}{interval} nats")
        lines.append(f"  {best.reason}")
    if report.p_value is not None:
        lines.append(f"test of independence: p = {report.p_value:.3g}, by permutation")
    lines += [f"{row.estimator}: {text}" for row in report.estimates for text in row.warnings]
    lines += [*report.warnings, *report.notes]
    return [Text(plain(line)) for line in lines]


def demos_table(
    rows: Sequence[tuple[str, int, int, float]], descriptions: Mapping[str, str]
) -> Table:
    """Returns the demo distributions: name, dimensions and nats."""
    columns = ("name", right("x"), right("z"), right("nats"), "")
    table = new_table("pairs of known mutual information", *columns)
    for name, x_dim, z_dim, nats in rows:
        sizes = (str(x_dim), str(z_dim), f"{nats:.3f}")
        table.add_row(cell(name), *sizes, cell(descriptions[name]))
    return table


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None else f"[{_nats(low)}, {_nats(high)}]"


def _nats(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}" if abs(value) < 1e4 else f"{value:.1e}"


def cell(text: str) -> Text:
    """Returns highlighted text, without markup or control characters."""
    return HIGHLIGHTER(plain(text))
