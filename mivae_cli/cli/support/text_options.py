"""Options of the commands that read text: what the text is in, and how it is read."""

__all__ = [
    "BadRowsOption",
    "Column",
    "Delimiter",
    "Field",
    "Format",
    "Header",
    "QuotingOption",
]

from typing import Annotated

import typer

from ...choices import BadRows, Quoting, TextFormat

# A run keeps these settings and reads other files by them too
TEXT = "Options for reading text"
Format = Annotated[
    TextFormat | None,
    typer.Option(
        "--format",
        help="text, json (lines or one array), csv or tsv; by default, by the file's extension.",
        rich_help_panel=TEXT,
        show_default=False,
    ),
]
Field = Annotated[
    str | None,
    typer.Option(
        help="The field of JSON objects that holds the text; data.text for nested ones.",
        rich_help_panel=TEXT,
    ),
]
Column = Annotated[
    str | None,
    typer.Option(
        help="The column of a table that holds the text: its name, or its number from 1.",
        rich_help_panel=TEXT,
    ),
]
Delimiter = Annotated[
    str | None,
    typer.Option(
        help="What separates the cells of a table: a character or tab.",
        rich_help_panel=TEXT,
    ),
]
QuotingOption = Annotated[
    Quoting | None,
    typer.Option(
        "--quoting",
        help="minimal: quotes may enclose cells, as in .csv; none: they are characters, as in .tsv.",
        rich_help_panel=TEXT,
        show_default=False,
    ),
]
Header = Annotated[
    bool | None,
    typer.Option(
        "--header/--no-header",
        help="Whether the first row of a table names its columns (it does by default).",
        rich_help_panel=TEXT,
        show_default=False,
    ),
]
BadRowsOption = Annotated[
    BadRows | None,
    typer.Option(
        "--bad-rows",
        help="stop (the default) or skip and count: rows of the wrong length, JSON without a text.",
        rich_help_panel=TEXT,
        show_default=False,
    ),
]
