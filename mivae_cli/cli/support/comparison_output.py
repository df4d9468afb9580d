"""Print a comparison as a table, JSON, CSV, Markdown or LaTeX."""

__all__ = ["Format", "chosen_format", "list_columns", "show_comparison"]

from typing import Literal

from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from ...errors import ConfigError
from ...experiments.comparison import Comparison
from ...experiments.export import Sheet, csv_text, markdown_text, records, sheet
from ...experiments.latex import latex_text
from .console import note, plain, print_json, print_line, print_text, stdout
from .tables import comparison_table

Format = Literal["table", "json", "csv", "markdown", "latex"]
SHORT = 20  # characters of a row name that is repeated in several tables


def chosen_format(as_json: bool, as_csv: bool, as_markdown: bool, as_latex: bool) -> Format:
    """Returns the output format that the options select.

    Raises:
        ConfigError: They select more than one.
    """
    options: dict[Format, bool] = {
        "json": as_json,
        "csv": as_csv,
        "markdown": as_markdown,
        "latex": as_latex,
    }
    forms: list[Format] = [form for form, wanted in options.items() if wanted]
    if len(forms) > 1:
        raise ConfigError(f"--{forms[0]} cannot be used with --{forms[1]}")
    return forms[0] if forms else "table"


def list_columns(comparison: Comparison) -> None:
    """Prints the keys of a comparison's columns with their headings."""
    heads = {column.key: column.heading for column in comparison.columns}
    heads |= {key: "setting" for key in comparison.settings}
    width = max(map(len, heads))
    for key, head in heads.items():
        print_line(f"{key:<{width}}  {head}")


def show_comparison(comparison: Comparison, form: Format, title: str) -> None:
    """Prints a comparison to stdout, and problems of its runs to stderr."""
    for row in comparison.rows:
        if row.problem:
            note(f"{row.name}: {row.standing}: {row.problem}")
    for warning in comparison.warnings:
        note(f"warning: {warning}")
    match form:
        case "json":
            print_json(records(comparison), indent=2)
        case "csv":
            print_text(csv_text(comparison).rstrip("\n"))
        case "markdown":
            print_text(markdown_text(comparison).rstrip("\n"))
        case "latex":
            print_text(latex_text(comparison).rstrip("\n"))
        case "table":
            _print_tables(sheet(comparison), title)


def _print_tables(made: Sheet, title: str) -> None:
    """Prints a sheet as one table, or as several if the terminal is too narrow.

    Each table starts with the names of the rows, or with their numbers if names are long.
    """
    table = comparison_table(made, range(len(made.headings)), title)
    long = max(len(row[0].text) for row in made.rows) > SHORT
    if long and _width(table) > stdout.width:
        made = made.numbered()
    block = [0]
    for column in range(1, len(made.headings)):
        wider = comparison_table(made, [*block, column], title)
        if len(block) > 1 and _width(wider) > stdout.width:
            stdout.print(comparison_table(made, block, title))
            block, title = [0], ""
        block.append(column)
    stdout.print(comparison_table(made, block, title))
    for remark in made.notes:
        stdout.print(Text(plain(remark), style="dim"))


def _width(table: Table) -> int:
    unlimited = stdout.options.update(max_width=10_000)
    return Measurement.get(stdout, unlimited, table).maximum
