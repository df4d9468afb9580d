"""Comparisons as text: for a spreadsheet, a page and a paper.

A sheet is a comparison as people read it: digits cut, the best in bold, columns that say nothing
left out. JSON and CSV have everything, as precise as it is.
"""

__all__ = ["Cell", "Sheet", "csv_text", "latex_text", "markdown_text", "records", "sheet"]

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..comparison import Column, Comparison, Row
from ..outcomes import WORDS, Figure

MISSING = "-"
AT_CEILING = "†"
TOO_HIGH = "‡"
NOTES = {
    AT_CEILING: "at its ceiling, all that so few sentences can show: the true value may be higher",
    TOO_HIGH: "rough, and likely too high: the sentences make too few pairs for so much information",
}
SEEDS = 4  # that a cell names before it counts them
FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")  # how a spreadsheet knows one, wide forms too
MARKDOWN = re.compile(r"([\\`*_\[\]<>|&~])")
LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "±": r"$\pm$",
    AT_CEILING: r"$^\dagger$",
    TOO_HIGH: r"$^\ddagger$",
    **{char: f"\\{char}" for char in "&%$#_{}"},
}


@dataclass(frozen=True)
class Cell:
    """What stands in a cell."""

    text: str
    bold: bool = False


@dataclass(frozen=True)
class Sheet:
    """A comparison's cells; the first column names the rows."""

    headings: tuple[str, ...]
    numeric: tuple[bool, ...]  # of each column: whether it holds figures
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...]  # what stands below

    def numbered(self) -> "Sheet":
        """Returns the sheet with a first column that counts the rows."""
        return Sheet(
            headings=("#", *self.headings),
            numeric=(True, *self.numeric),
            rows=tuple((Cell(str(n)), *row) for n, row in enumerate(self.rows, start=1)),
            notes=self.notes,
        )


def sheet(comparison: Comparison) -> Sheet:
    """Returns a comparison as people read it."""
    rows = comparison.rows
    columns: list[tuple[str, bool, list[Cell]]] = [
        ("run", False, [Cell(row.name) for row in rows])
    ]
    if any(row.standing != "evaluated" for row in rows):
        columns.append(("state", False, [Cell(_standing(row)) for row in rows]))
    if len({row.seeds for row in rows}) > 1 or any(len(row.seeds) > 1 for row in rows):
        columns.append(("seed", False, [Cell(_seeds(row.seeds)) for row in rows]))
    for key, heading in comparison.settings.items():
        columns.append((heading, False, [Cell(_setting(row.settings.get(key))) for row in rows]))
    for column in comparison.columns:
        if _is_told(column, rows):
            best = comparison.best.get(column.key, frozenset())
            cells = [
                Cell(_figure(column, row.figures[column.key]), place in best)
                for place, row in enumerate(rows)
            ]
            columns.append((column.heading, True, cells))
    told = {cell.text for _, _, cells in columns for cell in cells}
    notes = [
        f"{mark} {note}" for mark, note in NOTES.items() if any(mark in text for text in told)
    ]
    if any(len(row.seeds) > 1 for row in rows):
        notes.append("± standard deviation over seeds")
    return Sheet(
        headings=tuple(heading for heading, _, _ in columns),
        numeric=tuple(numeric for _, numeric, _ in columns),
        rows=tuple(zip(*(cells for _, _, cells in columns), strict=True)),
        notes=tuple(notes),
    )


def records(comparison: Comparison) -> list[dict[str, Any]]:
    """Returns a comparison as JSON has it: a record a row, the same keys in each."""
    return [
        {
            "run": row.name,
            "paths": list(row.paths),
            "standing": row.standing,
            "problem": row.problem or None,
            "seeds": list(row.seeds),
            "settings": dict(row.settings),
            "figures": {
                key: None if figure is None else asdict(figure)
                for key, figure in row.figures.items()
            },
        }
        for row in comparison.rows
    ]


def csv_text(comparison: Comparison) -> str:
    """Returns a comparison as CSV, full precision, that is safe to open in a spreadsheet.

    What begins like a formula is text there: an apostrophe stands before it.
    """
    head = ["run", "standing", "problem", "seeds", *comparison.settings]
    for column in comparison.columns:
        head += [column.key, f"{column.key}_sd"]
        head += [f"{column.key}_{column.limit}"] if column.limit else []
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(map(_neutral, head))
    for row in comparison.rows:
        cells: list[object] = [row.name, row.standing, row.problem, " ".join(map(str, row.seeds))]
        cells += [row.settings.get(key) for key in comparison.settings]
        for column in comparison.columns:
            figure = row.figures[column.key]
            cells += [figure and figure.value, figure and figure.sd]
            cells += [figure and getattr(figure, column.limit)] if column.limit else []
        writer.writerow(map(_neutral, cells))
    return file.getvalue()


def markdown_text(comparison: Comparison) -> str:
    """Returns a comparison as a table of Markdown, the best in bold."""
    made = sheet(comparison)
    lines = [
        [_markdown(heading) for heading in made.headings],
        ["---:" if numeric else "---" for numeric in made.numeric],
        *(
            [f"**{_markdown(c.text)}**" if c.bold else _markdown(c.text) for c in row]
            for row in made.rows
        ),
    ]
    notes = "".join(f"\n{note}\n" for note in made.notes)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines) + notes


def latex_text(comparison: Comparison) -> str:
    """Returns a comparison as a tabular of LaTeX's package booktabs, the best in bold."""
    made = sheet(comparison)
    rows = [
        [f"\\textbf{{{_latex(c.text)}}}" if c.bold else _latex(c.text) for c in row]
        for row in made.rows
    ]
    span = f"\\multicolumn{{{len(made.headings)}}}{{l}}"
    lines = [
        "% needs \\usepackage{booktabs}",
        f"\\begin{{tabular}}{{{''.join('r' if n else 'l' for n in made.numeric)}}}",
        "\\toprule",
        _latex_row(_latex(heading) for heading in made.headings),
        "\\midrule",
        *map(_latex_row, rows),
        "\\bottomrule",
        *(_latex_row([f"{span}{{\\footnotesize {_latex(note)}}}"]) for note in made.notes),
        "\\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _is_told(column: Column, rows: Sequence[Row]) -> bool:
    """Tells whether a sheet has a column: where it says something of some row.

    Of an evaluation in full, those figures that have a best; the number of weights where it
    differs.
    """
    found = {figure.value for row in rows if (figure := row.figures[column.key]) is not None}
    if column.key == "parameters":
        return len(found) > 1
    return bool(found) and not (column.key.startswith("full.") and column.better is None)


def _standing(row: Row) -> str:
    return WORDS.get(row.standing, row.standing)


def _seeds(seeds: Sequence[int]) -> str:
    if len(seeds) > SEEDS:
        return f"{len(seeds)} seeds"
    return ", ".join(map(str, seeds)) or MISSING


def _setting(value: object) -> str:
    match value:
        case None:
            return MISSING
        case bool():
            return str(value).lower()  # as in TOML
        case float():
            return f"{value:.12g}"
    return str(value) or "''"


def _figure(column: Column, figure: Figure | None) -> str:
    if figure is None:
        return MISSING
    digits, margin = column.digits, ""
    if figure.sd is not None:
        digits = digits or 1  # a mean of counts is no count
        margin = f" ± {figure.sd:,.{digits}f}"
    of = "" if figure.of is None else f"/{figure.of}"
    mark = AT_CEILING if figure.at_ceiling else TOO_HIGH if figure.too_high else ""
    return f"{figure.value:z,.{digits}f}{margin}{of}{mark}"


def _neutral(value: object) -> object:
    """Returns a cell that no spreadsheet takes for a formula; a number is one."""
    if isinstance(value, str) and value.lstrip().startswith(FORMULA):
        return f"'{value}"
    return value


def _markdown(text: str) -> str:
    return MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def _latex(text: str) -> str:
    return "".join(LATEX.get(char, char) for char in " ".join(text.split()))


def _latex_row(cells: Iterable[str]) -> str:
    return f"{' & '.join(cells)} \\\\"
