"""Options for reading text files: the file format, and where the text is in it."""

__all__ = ["OPTIONS", "Reading", "option_of", "reads_text"]

import inspect
from collections.abc import Callable, Mapping
from functools import partial, wraps
from typing import Annotated, Any

import typer

from ...choices import BadRows, Quoting, TextFormat

# Training stores these settings with the run; other commands use the stored ones by default.
Reading = Mapping[str, object]
"""Values of these options by setting, such as `data.column`; None for options not given."""
option = partial(typer.Option, rich_help_panel="Options for reading text")
OPTIONS = {
    "format": Annotated[
        TextFormat | None,
        option(help="text, json (lines or one array), csv or tsv; default: by file extension."),
    ],
    "field": Annotated[
        str | None,
        option(
            help="JSON field that holds the text; use dots for nested fields, as in data.text."
        ),
    ],
    "column": Annotated[
        str | None,
        option(help="Table column that holds the text: its name, or its number counted from 1."),
    ],
    "delimiter": Annotated[
        str | None, option(help="Delimiter between the cells of a table: one character, or tab.")
    ],
    "quoting": Annotated[
        Quoting | None,
        option(
            help="minimal: cells may be quoted; none: quotes are text. Default: minimal for .csv, "
            "none for .tsv."
        ),
    ],
    "header": Annotated[
        bool | None,
        option(
            help="Whether the first row of a table holds the column names. Default: --header; "
            "for a table of pairs, detected."
        ),
    ],
    "bad_rows": Annotated[
        BadRows | None,
        option(
            help="Rows with a wrong number of cells, and JSON without a text: stop (default) or "
            "skip."
        ),
    ],
}


def option_of(key: str) -> str:
    """Returns the option of a setting for reading text: `--column` of `data.column`."""
    return "--" + key.removeprefix("data.").replace("_", "-")


def reads_text(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options for reading text to a command, which receives them as `reading`."""

    @wraps(command)
    def with_options(**arguments: Any) -> None:  # noqa: ANN401  # whatever the command takes
        reading = {f"data.{name}": arguments.pop(name) for name in OPTIONS}
        command(**arguments, reading=reading)

    keyword = inspect.Parameter.KEYWORD_ONLY
    added = [inspect.Parameter(n, keyword, default=None, annotation=OPTIONS[n]) for n in OPTIONS]
    signature = inspect.signature(command, eval_str=True)
    parameters = [parameter.replace(kind=keyword) for parameter in signature.parameters.values()]
    place = list(signature.parameters).index("reading")
    parameters[place : place + 1] = added
    with_options.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return with_options
