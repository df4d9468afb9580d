"""The 'explore' command."""

from pathlib import Path
from typing import Annotated

import typer

from ..choices import MapMethod
from ..limits import MAX_EXPLORED
from .support.options import Device, Run, RunArgument
from .support.text_options import Reading, reads_text


@reads_text
def explore(
    run: RunArgument = None,
    run_option: Run = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Sentences to map; default: the run's test split."),
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
    device: Device = "auto",
) -> None:
    """Explore the latent space of a run on a local web page, until Ctrl-C.

    The page shows the posterior means of a corpus as a map. Point anywhere to decode that place,
    type a sentence to place it, interpolate, vary, and move latent units. Nothing leaves this
    machine: the URL has a random token and works on this machine only.

    Example: [bold]mivae explore runs/mine[/]
    """
    import secrets
    import webbrowser

    from ..api.exploration import open_explorer
    from ..explorer.server import check_packages, listen, serve
    from .support.console import note, print_line, stderr
    from .support.run_lookup import locate, open_run
    from .support.text_input import opened_sentences

    check_packages()
    listening = listen(port)
    with listening:
        model = open_run(locate(run, run_option), device)
        with (
            stderr.status("encoding the first sentences"),
            opened_sentences(model, data, reading) as text,
        ):
            explorer = open_explorer(
                model, text, labels=labels, column=label_column, points=points, method=method
            )
        try:
            token = secrets.token_urlsafe(24)
            url = f"http://127.0.0.1:{listening.getsockname()[1]}/?token={token}"
            print_line(url)
            typer.get_text_stream("stdout").flush()
            note(f"{explorer.codes.total:,} sentences; stop with Ctrl-C")
            if not no_browser:
                webbrowser.open(url)
            serve(explorer, listening, token)
        finally:
            explorer.close()
    note("stopped")
