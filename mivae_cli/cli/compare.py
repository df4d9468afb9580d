"""The 'compare' command."""

from pathlib import Path
from typing import Annotated

import typer

from .support.options import AsCSV, AsJSON, AsLaTeX, AsMarkdown, NoFold


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
    no_settings: Annotated[
        bool,
        typer.Option("--no-settings", help="No columns of settings: where names say enough."),
    ] = False,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="KEY,...",
            help="Show these columns only: figures, settings that differ, or 'settings' for all "
            "of these; 'list' prints the keys.",
        ),
    ] = None,
    as_json: AsJSON = False,
    as_csv: AsCSV = False,
    as_markdown: AsMarkdown = False,
    as_latex: AsLaTeX = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also draw rate against distortion, a line for each folder of runs: .png, .svg "
            "or .pdf.",
        ),
    ] = None,
) -> None:
    """Show runs side by side: the settings that differ, perplexity, information.

    Runs that differ in the seed alone become one row, mean ± standard deviation. The best is bold
    where it differs from the others by more than these.

    Example: [bold]mivae compare runs/mine runs/vae --markdown[/]
    """
    from dataclasses import replace

    from ..errors import ConfigError
    from ..experiments import comparison
    from ..experiments.status import find_runs, outcome
    from ..experiments.train_run import RUNS
    from ..report.canvas import check_figure_path
    from ..report.rate_distortion import draw_plane, plane
    from .support.comparison_output import chosen_format, list_columns, show_comparison
    from .support.console import note

    form = chosen_format(as_json, as_csv, as_markdown, as_latex)
    found = find_runs(runs or [RUNS])
    outcomes = [outcome(path, name) for name, path in found.items()]
    title = "evaluated on their test splits"
    if columns is not None and no_settings:
        raise ConfigError("--no-settings does not go with --columns")
    if plot is not None:
        check_figure_path(plot)  # before the table, which would scroll the error away
    compared = comparison.compare(outcomes, not no_fold)
    if columns == "list":
        list_columns(compared)
        return
    if columns is not None:
        compared = comparison.select(compared, [key.strip() for key in columns.split(",")])
    if no_settings:
        compared = replace(compared, settings={})
    show_comparison(compared, form, title)
    if plot is not None:
        draw_plane(plane(compared), plot)
        note(f"drew {plot}")
