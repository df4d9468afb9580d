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
            help="Run directories, or folders that contain runs. Default: all runs in runs/.",
        ),
    ] = None,
    no_fold: NoFold = False,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="The row, by its name or the path of a run, that the differences in NLL refer to. "
            "Default: the row with the lowest NLL.",
        ),
    ] = None,
    no_settings: Annotated[
        bool, typer.Option("--no-settings", help="Omit the columns of settings.")
    ] = False,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="KEY,...",
            help="Show only these columns: figures, differing settings, or 'settings' for all "
            "differing settings. 'list' prints the keys.",
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
            help="Plot rate against distortion to a .png, .svg or .pdf file, with one line per "
            "folder of runs.",
        ),
    ] = None,
) -> None:
    """Compare runs: differing settings, perplexity and mutual information.

    Runs that differ only in the seed form one row, with mean ± standard deviation. The best figure
    is bold if it differs from the others by more than their spread.

    Example: [bold]mivae compare runs/mine runs/vae --markdown[/]
    """
    from dataclasses import replace

    from ..errors import ConfigError
    from ..experiments import comparison
    from ..experiments.paired import compare_paired
    from ..experiments.status import find_runs, outcome
    from ..experiments.train_run import RUNS
    from ..reports.charts.plane import draw_plane, plane
    from ..reports.export import check_figure_path
    from .support.comparison_output import chosen_format, list_columns, show_comparison
    from .support.console import note

    form = chosen_format(as_json, as_csv, as_markdown, as_latex)
    found = find_runs(runs or [RUNS])
    outcomes = [outcome(path, name) for name, path in found.items()]
    title = "evaluated on their test splits"
    if columns is not None and no_settings:
        raise ConfigError("--no-settings cannot be used with --columns")
    if plot is not None:
        check_figure_path(plot)  # before the table, which would hide the error
    compared = compare_paired(outcomes, not no_fold, baseline)
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
        note(f"wrote {plot}")
