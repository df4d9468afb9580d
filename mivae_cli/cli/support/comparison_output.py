"""Print a comparison as a table, JSON, CSV, Markdown or LaTeX."""

__all__ = ["Format", "chosen_format", "list_columns", "show_comparison"]

from collections.abc import Sequence
from itertools import compress
from typing import Literal, get_args

from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from ...errors import ConfigError
from ...experiments.comparison import Comparison
from ...experiments.export import Sheet, csv_text, markdown_text, records, sheet
from ...experiments.latex import latex_text
from .console import note, plain, print_json, print_line, print_text, stdout, warn
from .tables import new_table

Format = Literal["json", "csv", "markdown", "latex", "table"]
MAX_WIDTH = 40  # characters of a column of text
SHORT = 20  # characters of a row name that is repeated in several tables


def chosen_format(as_json: bool, as_csv: bool, as_markdown: bool, as_latex: bool) -> Format:
    """Returns the output format that the options select; more than one is a ConfigError."""
    forms: tuple[Format, ...] = get_args(Format)
    chosen = list(compress(forms, (as_json, as_csv, as_markdown, as_latex)))
    if len(chosen) > 1:
        raise ConfigError(f"--{chosen[0]} cannot be used with --{chosen[1]}")
    return chosen[0] if chosen else "table"


def list_columns(comparison: Comparison) -> None:
    """Prints the keys of a comparison's columns with their headings."""
    heads = {column.key: column.heading for column in comparison.columns}
    heads |= {key: "setting" for key in comparison.settings}
    width = max(map(len, heads))
    for key, head in heads.items():
        print_line(f"{key:<{width}}  {head}")


def show_comparison(comparison: Comparison, form: Format, title: str) -> None:
    """Prints a comparison to stdout, and problems of its runs to stderr."""
    note(*(f"{row.name}: {row.standing}: {row.problem}" for row in comparison.rows if row.problem))
    warn(*comparison.warnings, style="dim")
    match form:
        case "json":
            print_json(records(comparison), indent=2)
        case "table":
            _print_tables(sheet(comparison), title)
        case _:
            text_of = {"csv": csv_text, "markdown": markdown_text, "latex": latex_text}[form]
            print_text(text_of(comparison).rstrip("\n"))


def _print_tables(made: Sheet, title: str) -> None:
    """Prints a sheet as one table, or as several if the terminal is too narrow.

    Each table starts with the names of the rows, or with their numbers if names are long.
    """
    table = _table(made, range(len(made.headings)), title)
    long = max(len(row[0].text) for row in made.rows) > SHORT
    if long and _width(table) > stdout.width:
        made = made.numbered()
    block = [0]
    for column in range(1, len(made.headings)):
        wider = _table(made, [*block, column], title)
        if len(block) > 1 and _width(wider) > stdout.width:
            stdout.print(_table(made, block, title))
            block, title = [0], ""
        block.append(column)
    stdout.print(_table(made, block, title))
    for remark in made.notes:
        stdout.print(Text(plain(remark), style="dim"))


def _table(made: Sheet, columns: Sequence[int], title: str) -> Table:
    """Returns a table of some columns of a sheet."""
    table = new_table(title)
    table.padding = (0, 1, 0, 0)  # to fit more columns side by side
    for column in columns:
        heading = Text(plain(made.headings[column]))
        if made.numeric[column]:
            table.add_column(heading, justify="right", no_wrap=True)
        else:
            table.add_column(heading, overflow="fold", max_width=MAX_WIDTH)
    for row in made.rows:
        cells = (row[column] for column in columns)
        table.add_row(*(Text(plain(cell.text), "bold" if cell.bold else "") for cell in cells))
    return table


def _width(table: Table) -> int:
    unlimited = stdout.options.update(max_width=10_000)
    return Measurement.get(stdout, unlimited, table).maximum
