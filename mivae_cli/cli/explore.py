"""The 'explore' command."""

from pathlib import Path
from typing import Annotated

import typer

from ..choices import MapMethod
from ..limits import MAX_EXPLORED, MAX_EXPORT_POINTS
from .support.options import Device, Run, RunArgument
from .support.text_options import Reading, reads_text


@reads_text
def explore(
    run: RunArgument = None,
    run_option: Run = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Sentences to map instead of the run's test split; - for standard input.",
        ),
    ] = None,
    reading: Reading = {},
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            metavar="FILE",
            help="Labels of the sentences, one per line, or a .csv or .tsv table, to colour the "
            "map. Columns of --data are labels, too.",
        ),
    ] = None,
    label_column: Annotated[
        str, typer.Option(metavar="COLUMN", help="Column of the table of --labels.")
    ] = "label",
    points: Annotated[
        int,
        typer.Option(
            min=1, max=MAX_EXPLORED, help="Maximum number of sentences, drawn at random."
        ),
    ] = 100_000,
    method: Annotated[
        MapMethod,
        typer.Option(
            "--map", help="pca: two principal components; umap: neighbourhoods (slower)."
        ),
    ] = "pca",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port on 127.0.0.1; 0: any free port.")
    ] = 0,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the URL without opening a browser.")
    ] = False,
    export: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write a read-only copy of the page to a folder, instead of serving it.",
        ),
    ] = None,
    export_points: Annotated[
        int,
        typer.Option(
            min=2,
            max=MAX_EXPORT_POINTS,
            help="Sentences of the copy with stored reconstructions and neighbours.",
        ),
    ] = 500,
    device: Device = "auto",
) -> None:
    """Explore the latent space of a run on a local web page, until Ctrl-C.

    The page shows the posterior means of a corpus as a map. Point anywhere to decode that place,
    type a sentence to place it, interpolate, vary, and move latent units. Nothing leaves this
    machine: the URL has a random token and works on this machine only.

    Example: [bold]mivae explore runs/mine[/]
    """
    from contextlib import closing, nullcontext

    from ..api.exploration import open_explorer
    from ..explorer.server import check_packages, listen
    from .support.console import note, stderr
    from .support.exploration import export_page, serve_page
    from .support.run_lookup import locate, open_run
    from .support.text_input import named, opened_sentences

    if export is None:
        check_packages()
    with nullcontext() if export is not None else listen(port) as listening:
        model = open_run(locate(run, run_option), device)
        with (
            stderr.status("encoding the first sentences"),
            opened_sentences(model, data, reading) as text,
        ):
            explorer = open_explorer(
                model,
                text,
                labels=labels,
                column=label_column,
                points=points,
                method=method,
                name=None if data is None else Path(named(data)).name,
            )
        with closing(explorer):
            if export is not None:
                export_page(explorer, export, export_points)
            elif listening is not None:
                serve_page(explorer, listening, not no_browser)
                note("stopped")
