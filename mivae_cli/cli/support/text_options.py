"""Options for reading text files: the file format, and where the text is in it."""

__all__ = [
    "BadRowsOption",
    "Column",
    "Delimiter",
    "Field",
    "Format",
    "Header",
    "QuotingOption",
    "Reading",
    "option_of",
    "reads_text",
]

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Annotated, Any

import typer

from ...choices import BadRows, Quoting, TextFormat

# Training stores these settings with the run; other commands use the stored ones by default.
PANEL = "Options for reading text"
Reading = Mapping[str, object]
"""Values of these options by setting, such as `data.column`; None for options not given."""
Format = Annotated[
    TextFormat | None,
    typer.Option(
        "--format",
        help="text, json (lines or one array), csv or tsv; default: by file extension.",
        rich_help_panel=PANEL,
        show_default=False,
    ),
]
Field = Annotated[
    str | None,
    typer.Option(
        help="JSON field that holds the text; use dots for nested fields, as in data.text.",
        rich_help_panel=PANEL,
    ),
]
Column = Annotated[
    str | None,
    typer.Option(
        help="Table column that holds the text: its name, or its number counted from 1.",
        rich_help_panel=PANEL,
    ),
]
Delimiter = Annotated[
    str | None,
    typer.Option(
        help="Delimiter between the cells of a table: one character, or tab.",
        rich_help_panel=PANEL,
    ),
]
QuotingOption = Annotated[
    Quoting | None,
    typer.Option(
        "--quoting",
        help="minimal: cells may be quoted; none: quotes are text. Default: minimal for .csv, none "
        "for .tsv.",
        rich_help_panel=PANEL,
        show_default=False,
    ),
]
Header = Annotated[
    bool | None,
    typer.Option(
        "--header/--no-header",
        help="Whether the first row of a table holds the column names. Default: --header.",
        rich_help_panel=PANEL,
        show_default=False,
    ),
]
BadRowsOption = Annotated[
    BadRows | None,
    typer.Option(
        "--bad-rows",
        help="Rows with a wrong number of cells, and JSON without a text: stop (default) or skip.",
        rich_help_panel=PANEL,
        show_default=False,
    ),
]
OPTIONS = {
    "format": Format,
    "field": Field,
    "column": Column,
    "delimiter": Delimiter,
    "quoting": QuotingOption,
    "header": Header,
    "bad_rows": BadRowsOption,
}


def option_of(key: str) -> str:
    """Returns the option of a setting for reading text: `--column` of `data.column`."""
    return "--" + key.removeprefix("data.").replace("_", "-")


def reads_text(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options for reading text to a command, at its parameter `reading`.

    The command receives their values as a `Reading`.
    """

    @wraps(command)
    def with_options(**arguments: Any) -> None:  # noqa: ANN401  # whatever the command takes
        reading = {f"data.{name}": arguments.pop(name) for name in OPTIONS}
        command(**arguments, reading=reading)

    signature = inspect.signature(command, eval_str=True)
    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        if parameter.name == "reading":
            parameters += [
                inspect.Parameter(
                    name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option
                )
                for name, option in OPTIONS.items()
            ]
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
    with_options.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return with_options
