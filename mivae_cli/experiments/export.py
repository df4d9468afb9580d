"""Comparisons as JSON and CSV at full precision, and as sheets for Markdown and the terminal.

A sheet is for readers: rounded, with the best figures in bold and without uninformative columns.
"""

__all__ = [
    "AT_CEILING",
    "MISSING",
    "SIGNIFICANT",
    "TOO_HIGH",
    "Cell",
    "Sheet",
    "csv_text",
    "markdown_text",
    "records",
    "setting_text",
    "sheet",
]

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..evaluation.rounding import Rounded, grouped, rounded_interval
from .columns import NLL_DIFFERENCE, Column, shown
from .comparison import Comparison, Pairing, Row
from .summary import WORDS, Figure

MISSING = "-"
AT_CEILING = "†"
TOO_HIGH = "‡"
SIGNIFICANT = "*"
NOTES = {
    AT_CEILING: "at its ceiling for this number of sentences: the true value may be higher",
    TOO_HIGH: "likely too high: too few pairs of sentences for so much information",
    SIGNIFICANT: "significant: the interval excludes 0",
}
SEEDS = 4  # seeds listed in a cell; more are counted
# first characters of a formula in a spreadsheet, with full-width forms
FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
MARKDOWN = re.compile(r"([\\`*_\[\]<>|&~])")


@dataclass(frozen=True)
class Cell:
    """The content of a cell: words, or a number with a mark."""

    words: str = ""
    number: Rounded | None = None
    mark: str = ""
    bold: bool = False
    interval: tuple[str, str] | None = None  # shown after the number

    @property
    def text(self) -> str:
        """The cell as plain text."""
        if self.number is None:
            return self.words
        value, sd, power = grouped(self.number.value), grouped(self.number.uncertainty), ""
        text = f"{value} ± {sd}" if sd else value
        if self.number.power:
            power = f"e{self.number.power}"
            text = f"({text})" if sd else text
        ends = f" [{', '.join(self.interval)}]" if self.interval else ""
        return f"{text}{power}{ends}{self.mark}"


@dataclass(frozen=True)
class Sheet:
    """The cells of a comparison; the first column contains the names of the rows."""

    headings: tuple[str, ...]
    numeric: tuple[bool, ...]  # for each column: whether it contains numbers
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...]  # footnotes

    def numbered(self) -> "Sheet":
        """Returns the sheet with row numbers as first column."""
        rows = tuple((Cell(str(n)), *row) for n, row in enumerate(self.rows, start=1))
        return Sheet(("#", *self.headings), (True, *self.numeric), rows, self.notes)


def sheet(comparison: Comparison) -> Sheet:
    """Returns the sheet of a comparison."""
    rows = comparison.rows
    columns = [("run", False, [Cell(row.name) for row in rows])]
    if any(row.standing != "evaluated" for row in rows):
        states = [Cell(WORDS.get(row.standing, row.standing)) for row in rows]
        columns.append(("state", False, states))
    if any(len(row.seeds) > 1 for row in rows):
        sizes = [len(row.seeds) for row in rows]
        counts = [Cell(number=Rounded(f"{n}", "")) if n else Cell(MISSING) for n in sizes]
        columns.append(("n", True, counts))
    elif len({row.seeds for row in rows}) > 1:
        columns.append(("seed", False, [Cell(_seeds(row.seeds)) for row in rows]))
    for key, heading in comparison.settings.items():
        values = [Cell(setting_text(row.settings.get(key))) for row in rows]
        columns.append((heading, False, values))
    columns += _figure_columns(comparison)
    marks = {cell.mark for _, _, cells in columns for cell in cells}
    notes = [f"{mark} {note}" for mark, note in NOTES.items() if mark in marks]
    spread = any(cell.number and cell.number.uncertainty for _, _, row in columns for cell in row)
    if spread:
        notes.append("± standard deviation over n seeds")
    if comparison.pairing is not None and any(
        cell.interval for _, _, row in columns for cell in row
    ):
        notes.insert(0, _pairing_note(comparison.pairing, rows))
    if any(cell.bold for _, _, cells in columns for cell in cells) and not spread:
        notes.append("bold: the best of single runs; the spread over seeds is unknown")
    headings, numeric, cells = zip(*columns, strict=True)
    return Sheet(headings, numeric, tuple(zip(*cells, strict=True)), tuple(notes))


def records(comparison: Comparison) -> list[dict[str, Any]]:
    """Returns a comparison in JSON form: one record per row, all with the same keys."""
    return [
        {
            "run": row.name,
            "paths": list(row.paths),
            "standing": row.standing,
            "problem": row.problem or None,
            "seeds": list(row.seeds),
            "settings": {key: row.settings.get(key) for key in comparison.settings},
            "pairing": None if comparison.pairing is None else asdict(comparison.pairing),
            "figures": {
                column.key: _figure_record(row.figures[column.key], column)
                for column in comparison.columns
            },
        }
        for row in comparison.rows
    ]


def _figure_record(figure: Figure | None, column: Column) -> dict[str, Any] | None:
    if figure is None:
        return None
    significant = {"significant": figure.significant} if column.interval else {}
    return asdict(figure) | significant


def csv_text(comparison: Comparison) -> str:
    """Returns a comparison as CSV at full precision, safe to open in a spreadsheet.

    Text that starts like a formula is preceded by an apostrophe.
    """
    head = ["run", "standing", "problem", "seeds", *comparison.settings]
    for column in comparison.columns:
        head += [column.key, f"{column.key}_sd"]
        head += [f"{column.key}_{column.limit}"] if column.limit else []
        if column.interval:
            head += [f"{column.key}_{end}" for end in ("low", "high", "significant", "baseline")]
    baseline = None if comparison.pairing is None else comparison.pairing.baseline
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(map(_escaped_formula, head))
    for row in comparison.rows:
        cells: list[object] = [row.name, row.standing, row.problem, " ".join(map(str, row.seeds))]
        cells += [row.settings.get(key) for key in comparison.settings]
        for column in comparison.columns:
            figure = row.figures[column.key]
            cells += [figure and figure.value, figure and figure.sd]
            cells += [figure and getattr(figure, column.limit)] if column.limit else []
            if column.interval:
                cells += [figure and figure.low, figure and figure.high]
                cells += [figure and figure.significant, figure and baseline]
        writer.writerow(map(_escaped_formula, cells))
    return file.getvalue()


def markdown_text(comparison: Comparison) -> str:
    """Returns a comparison as a Markdown table, the best figures in bold."""
    made = sheet(comparison)
    lines = [
        [_markdown(heading) for heading in made.headings],
        ["---:" if numeric else "---" for numeric in made.numeric],
        *(
            [f"**{_markdown(c.text)}**" if c.bold else _markdown(c.text) for c in row]
            for row in made.rows
        ),
    ]
    notes = "".join(f"\n{_markdown(note)}\n" for note in made.notes)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines) + notes


def _figure_columns(comparison: Comparison) -> list[tuple[str, bool, list[Cell]]]:
    """Returns the columns of figures: heading, whether numeric, and cells.

    The total of a count is part of the heading, or a column `Z` if it differs between rows.
    """
    columns, sized = [], False
    for column in comparison.columns:
        if not (comparison.selected or _is_shown(column, comparison.rows)):
            continue
        figures = [row.figures[column.key] for row in comparison.rows]
        sizes = {figure.of for figure in figures if figure is not None} - {None}
        heading = f"{column.heading} /{sizes.copy().pop()}" if len(sizes) == 1 else column.heading
        if len(sizes) > 1 and not sized:
            sized = True
            units = [MISSING if f is None or f.of is None else str(f.of) for f in figures]
            columns.append(("Z", True, [Cell(text) for text in units]))
        best = comparison.best.get(column.key, frozenset())
        cells = [_cell(column, figure, row in best) for row, figure in enumerate(figures)]
        if column.key == NLL_DIFFERENCE and comparison.pairing is not None:
            names = [row.name for row in comparison.rows]
            cells[names.index(comparison.pairing.baseline)] = Cell("baseline")
        columns.append((heading, True, cells))
    return columns


def _pairing_note(pairing: Pairing, rows: Sequence[Row]) -> str:
    figure = "the negative ELBO" if pairing.figure == "nll" else "the negative log-likelihood"
    if pairing.iw_samples is not None:
        figure += f" (importance-weighted, {pairing.iw_samples:,} samples)"
    found = [each for row in rows if (each := row.figures[NLL_DIFFERENCE]) is not None]
    seeds = "; the spread over seeds is unknown"
    if any(each.sd is not None for each in found):
        seeds = " and over seeds"
        if any(each.sd is None for each in found):
            seeds = ", and over seeds for rows with several"
    return (
        f"{pairing.heading}: {figure} minus that of {pairing.baseline}, in nats per sentence, with its paired "
        f"95 % interval over {pairing.sentences:,} sentences{seeds}"
    )


def _is_shown(column: Column, rows: Sequence[Row]) -> bool:
    """Whether a column is shown by default: of a text evaluation, only if it has a best value."""
    found = {figure.value for row in rows if (figure := row.figures[column.key]) is not None}
    if column.key == "parameters":
        return len(found) > 1
    return bool(found) and not (column.key.startswith("full.") and column.better is None)


def _seeds(seeds: Sequence[int]) -> str:
    if len(seeds) > SEEDS:
        return f"{len(seeds)} seeds"
    return ", ".join(map(str, seeds)) or MISSING


def setting_text(value: object) -> str:
    """Returns the value of a setting as text for a cell."""
    if isinstance(value, float):
        return f"{value:.12g}"
    if isinstance(value, bool):
        return str(value).lower()  # as in TOML
    return MISSING if value is None else str(value) or "''"


def _cell(column: Column, figure: Figure | None, bold: bool) -> Cell:
    if figure is None:
        return Cell(MISSING)
    if column.interval and figure.low is not None and figure.high is not None:
        number, ends = rounded_interval(figure.value, figure.low, figure.high, figure.sd)
        mark = SIGNIFICANT if figure.significant else ""
        return Cell(number=number, mark=mark, interval=ends)
    mark = AT_CEILING if figure.at_ceiling else TOO_HIGH if figure.too_high else ""
    return Cell(number=shown(figure, column), mark=mark, bold=bold)


def _escaped_formula(value: object) -> object:
    """Returns a value that a spreadsheet does not interpret as a formula."""
    if isinstance(value, str) and value.lstrip().startswith(FORMULA):
        return f"'{value}"
    return value


def _markdown(text: str) -> str:
    return MARKDOWN.sub(r"\\\1", " ".join(text.split()))
