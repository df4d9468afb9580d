"""The 'report' command."""

from pathlib import Path
from typing import Annotated

import typer

from ..choices import MapMethod
from ..limits import MAX_REPORT_POINTS
from .support.options import Seed


def report(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="Run directories, or folders that contain runs. Default: the newest finished run.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="The page, an HTML file. Default: report.html in the run; for several runs, in "
            "the current folder.",
        ),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    png: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write the figures as PNG.")
    ] = None,
    svg: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write the figures as SVG.")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Text file (one per line) or table with a label for each sentence of the test "
            "split, or for each row of the text; the map can be coloured by them.",
        ),
    ] = None,
    label_column: Annotated[
        str, typer.Option(metavar="COLUMN", help="Column of the table of --labels.")
    ] = "label",
    points: Annotated[
        int,
        typer.Option(min=1, max=MAX_REPORT_POINTS, help="Maximum number of sentences on the map."),
    ] = 2000,
    method: Annotated[
        MapMethod, typer.Option("--map", help="How the map is made; umap needs umap-learn.")
    ] = "pca",
    seed: Seed = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Also print the contents as JSON, without figures.")
    ] = False,
) -> None:
    """Write a report on a run, or a comparison of several, as one HTML page with figures.

    The page needs no network and no other files. It shows what was trained, results, training,
    latent space and generated text.

    Example: [bold]mivae report runs/mine --open[/]
    """
    import webbrowser

    from ..api.report import collected_report
    from ..reports.figures import figures_of
    from ..reports.write import page_path, report_json, write_figures, write_report
    from ..stages import finish
    from .support.console import note, print_json, stderr
    from .support.run_lookup import locate

    places = runs or [locate(None, None).path]
    page = page_path(places, out)
    with stderr.status("reading the runs") as status:
        work = collected_report(
            places, labels=labels, column=label_column, points=points, map=method, seed=seed
        )
        found = finish(work, lambda stage: status.update(stage.name))
        status.update("drawing the figures")
        write_report(found, page)
        for folder, suffix in ((png, ".png"), (svg, ".svg")):
            if folder is not None:
                count = sum(1 for _ in write_figures(figures_of(found), folder, suffix))
                note(f"wrote {count} figures to {folder}")
    note(f"wrote {page}")
    if as_json:
        print_json(report_json(found), indent=2)
    if open_:
        webbrowser.open(page.resolve().as_uri())
