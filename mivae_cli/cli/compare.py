"""The 'compare' command."""

from pathlib import Path
from typing import Annotated

import typer

from .options import AsCSV, AsJSON, AsLaTeX, AsMarkdown, NoFold


def compare(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="Run directories, or folders that hold runs; left out, all under runs/.",
            show_default=False,
        ),
    ] = None,
    no_fold: NoFold = False,
    as_json: AsJSON = False,
    as_csv: AsCSV = False,
    as_markdown: AsMarkdown = False,
    as_latex: AsLaTeX = False,
) -> None:
    """Show runs side by side: the settings that differ, perplexity, information.

    Runs that differ in the seed alone become one row, mean ± standard deviation.

    Example: [bold]mivae compare runs/mine runs/vae --markdown[/]
    """
    from .. import comparison
    from ..standing import find_runs, outcome
    from .begin import RUNS
    from .comparing import chosen_format, show_comparison

    form = chosen_format(as_json, as_csv, as_markdown, as_latex)
    found = find_runs(runs or [RUNS])
    outcomes = [outcome(path, name) for name, path in found.items()]
    title = "evaluated on their test splits"
    show_comparison(comparison.compare(outcomes, not no_fold), form, title)
