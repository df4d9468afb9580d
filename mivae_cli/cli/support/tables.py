"""Records as tables, and an epoch's validation as a line."""

__all__ = [
    "comparison_table",
    "counted",
    "demos_table",
    "dry_run_table",
    "estimates_table",
    "new_table",
    "timing_table",
    "validation_line",
    "verification_table",
]

import math
from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.highlighter import ReprHighlighter
from rich.table import Table
from rich.text import Text

from ...choices import Direction
from ...estimators import Report
from ...evaluation.rounding import two_decimals
from ...experiments.export import Sheet
from ...experiments.verify import Verification
from ...training.events import Validation
from ...training.profiler import Timing
from .console import plain

HIGHLIGHTER = ReprHighlighter()
MAX_WIDTH = 40  # characters of a text column of a comparison
DIRECTIONS: dict[Direction, str] = {"lower": "lower", "upper": "upper", "neither": "-"}


def new_table(title: str, caption: str = "") -> Table:
    """Returns a table without rows; its title may contain any text."""
    return Table(
        title=Text(plain(title), style="table.title"),
        caption=caption,
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )


def counted(number: int, noun: str) -> str:
    """Returns a number with its noun, such as "1 sentence" or "2,000 sentences"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def estimates_table(report: Report, title: str, truth: float | None = None) -> RenderableType:
    """Returns estimates of mutual information side by side, and the recommended one."""
    table = new_table(title)
    table.padding = (0, 1, 0, 0)  # to fit into 80 columns
    table.add_column("estimator")
    table.add_column("nats", justify="right", no_wrap=True)
    table.add_column("95 % interval", justify="right", no_wrap=True)
    table.add_column("bits", justify="right", no_wrap=True)
    table.add_column("bound")
    table.add_column("held out")
    table.add_column("ceiling", justify="right")
    table.add_column("s", justify="right", style="dim")
    recommended = report.recommended
    for row in report.estimates:
        chosen = recommended is not None and row.estimator == recommended.estimator
        table.add_row(
            _cell(row.estimator),
            _nats(row.value),
            _cell(_interval(row.ci_low, row.ci_high)),
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
    if report.x_dim is None:
        size = f"{counted(report.n, 'sentence')}, {counted(report.z_dim, 'latent unit')}"
    lines = [size if truth is None else f"{size}; true value: {truth:.3f} nats"]
    if (best := report.recommended) is not None:
        interval = f" {_interval(best.ci_low, best.ci_high)}".rstrip()
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
    table = new_table("pairs of known mutual information")
    table.add_column("name")
    table.add_column("x", justify="right")
    table.add_column("z", justify="right")
    table.add_column("nats", justify="right")
    table.add_column("")
    for name, x_dim, z_dim, nats in rows:
        sizes = (str(x_dim), str(z_dim), f"{nats:.3f}")
        table.add_row(_cell(name), *sizes, _cell(descriptions[name]))
    return table


def dry_run_table(rows: Sequence[tuple[str, str]], title: str) -> Table:
    """Returns the size and cost of a run that has not been started."""
    table = new_table(title, "no files were written")
    table.add_column("quantity", style="dim")
    table.add_column("estimate")
    for name, value in rows:
        table.add_row(_cell(name), _cell(value))
    return table


def verification_table(result: Verification, title: str) -> Table:
    """Returns the files of a run, each with its problem or "ok"."""
    table = new_table(title)
    table.add_column("file", overflow="fold")
    table.add_column("status", overflow="fold")
    for finding in result.findings:
        if finding.problem:
            status = Text(plain(finding.problem), style="red")
        else:
            status = Text(plain(finding.remark) or "ok", style="dim")
        table.add_row(Text(plain(finding.what)), status)
    return table


def comparison_table(sheet: Sheet, columns: Sequence[int], title: str) -> Table:
    """Returns some columns of a comparison of runs."""
    table = new_table(title)
    table.padding = (0, 1, 0, 0)  # to fit more columns side by side
    for column in columns:
        heading = Text(plain(sheet.headings[column]))
        if sheet.numeric[column]:
            table.add_column(heading, justify="right", no_wrap=True)
        else:
            table.add_column(heading, overflow="fold", max_width=MAX_WIDTH)
    for row in sheet.rows:
        cells = (row[column] for column in columns)
        table.add_row(*(Text(plain(cell.text), "bold" if cell.bold else "") for cell in cells))
    return table


def timing_table(timing: Timing, title: str) -> Table:
    """Returns the time of each part of a training step."""
    total = timing.step_seconds
    table = new_table(title, "no files were written")
    table.add_column("part", style="dim")
    table.add_column("ms", justify="right")
    table.add_column("share", justify="right")
    for part, seconds in timing.seconds.items():
        if seconds:
            table.add_row(_cell(part), f"{1e3 * seconds:,.1f}", f"{seconds / total:.0%}")
    table.add_section()
    table.add_row("step", f"{1e3 * total:,.1f}", "")
    table.add_row("tokens/s", f"{timing.tokens_per_second:,.0f}", "")
    return table


def validation_line(record: Validation, epochs: int, latent_units: int) -> str:
    """Returns the validation after an epoch as one line of fixed columns."""
    line = (
        f"epoch {record.epoch:>3}/{epochs}  ELBO {two_decimals(record.elbo):>8}  "
        f"D {two_decimals(record.distortion):>7}"
    )
    if latent_units:
        line += (
            f"  KL {two_decimals(record.rate):>7}  MI {two_decimals(record.mi):>5}"
            f"  units {record.active_units:>3}/{latent_units} active, "
            f"{record.units_above:>3} > 0.1 nats, {record.effective_units:5.1f} effective"
        )
    if record.encoder_steps:
        line += f"  {record.encoder_steps:.0f} encoder steps per step"
    return f"{line}  {record.seconds:5.0f} s{'  best' if record.best else ''}"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None else f"[{_nats(low)}, {_nats(high)}]"


def _nats(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}" if abs(value) < 1e4 else f"{value:.1e}"


def _cell(text: str) -> Text:
    """Returns highlighted text, without markup or control characters."""
    return HIGHLIGHTER(plain(text))
