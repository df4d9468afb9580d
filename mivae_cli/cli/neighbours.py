"""The 'neighbours' command."""

from pathlib import Path
from typing import Annotated

import typer

from ..choices import Distance
from ..limits import MAX_SENTENCES
from .support.options import AsJSON, Device, Run
from .support.text_options import Reading, reads_text


@reads_text
def neighbours(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="[RUN] SENTENCE",
            help="Run directory (default: the newest under runs/), then a sentence.",
        ),
    ],
    run_option: Run = None,
    among: Annotated[
        Path | None,
        typer.Option(
            "--in",
            metavar="FILE",
            help="Text file to search, or - for standard input; default: the run's training split.",
        ),
    ] = None,
    reading: Reading = {},
    n: Annotated[
        int,
        typer.Option("--n", "-n", min=1, max=MAX_SENTENCES, help="Maximum number of sentences."),
    ] = 10,
    by: Annotated[
        Distance,
        typer.Option(
            help="mean: Euclidean distance of posterior means; cosine: of means; bhattacharyya: of "
            "posteriors."
        ),
    ] = "mean",
    device: Device = "auto",
    as_json: AsJSON = False,
) -> None:
    """Find the sentences nearest to a sentence in latent space, with their distances.

    The sentence itself and duplicates are left out.

    Example: [bold]mivae neighbours "a man rides a horse ." --in sentences.txt --n 5[/]
    """
    from contextlib import nullcontext

    from ..errors import ConfigError, DataError
    from .support.console import note, print_row
    from .support.run_lookup import locate_with_texts, note_unknown_words, open_run
    from .support.text_input import check_reading, named, note_rows, opened_text

    found, texts = locate_with_texts(arguments, run_option)
    if len(texts) != 1:
        raise ConfigError(f"neighbours takes one sentence, not {len(texts)}")
    [sentence] = texts
    where = "the run's training split" if among is None else named(among, quoted=True)
    model = open_run(found, device)
    if among is None:
        check_reading(reading)
    with nullcontext() if among is None else opened_text(model, among, reading) as text:
        note_unknown_words(model, texts)
        note(f"among the sentences of {where}")
        nearest = model.neighbours(sentence, n, among=text, by=by)
    if among is not None and text is not None:
        note_rows(among, text.counts)
    if not nearest:
        raise DataError(f"{where} contains no other sentence")
    for row in nearest:
        print_row(row._asdict(), as_json, f"{row.distance:7.3f}  {row.text}")
