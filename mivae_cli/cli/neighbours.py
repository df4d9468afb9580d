"""The 'neighbours' command."""

from pathlib import Path
from typing import Annotated

import typer

from ..choices import Distance
from ..limits import MAX_SENTENCES
from .support.options import AsJSON, Device, Run
from .support.text_options import (
    BadRowsOption,
    Column,
    Delimiter,
    Field,
    Format,
    Header,
    QuotingOption,
)


def neighbours(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="[RUN] SENTENCE",
            help="A run directory (left out, the newest under runs/), then the sentence.",
        ),
    ],
    run_option: Run = None,
    among: Annotated[
        Path | None,
        typer.Option(
            "--in",
            metavar="FILE",
            help="Other sentences than the run's training split; - for standard input.",
        ),
    ] = None,
    text_format: Format = None,
    field: Field = None,
    column: Column = None,
    delimiter: Delimiter = None,
    quoting: QuotingOption = None,
    header: Header = None,
    bad_rows: BadRowsOption = None,
    n: Annotated[
        int,
        typer.Option("--n", "-n", min=1, max=MAX_SENTENCES, help="Maximum number of sentences."),
    ] = 10,
    by: Annotated[
        Distance, typer.Option(help="Between posterior means, or whole posteriors.")
    ] = "mean",
    device: Device = "auto",
    as_json: AsJSON = False,
) -> None:
    """Find the sentences that are nearest to one in latent space, each after its distance.

    They come from the run's training split, or with --in from a file of any size.

    The sentence itself is passed over; one that stands there twice is shown once.

    Example: [bold]mivae neighbours "a man rides a horse ." --in sentences.txt --n 5[/]
    """
    from contextlib import nullcontext

    from ..data.corpus import read_sentences
    from ..data.file_formats import text_file
    from ..data.records import RowCounts
    from ..errors import ConfigError, DataError
    from ..generation.generate import encode_texts
    from ..generation.neighbours import as_read, encoded_blocks, nearest, stored_texts
    from .support.console import note, print_json, print_line
    from .support.run_lookup import load_latent_model, locate_with_texts, note_unknown_words
    from .support.text_input import note_rows, reading_options, text_settings

    found, texts = locate_with_texts(arguments, run_option)
    if len(texts) != 1:
        raise ConfigError(f"neighbours takes one sentence, not {len(texts)}")
    options = reading_options(
        format=text_format,
        field=field,
        column=column,
        delimiter=delimiter,
        quoting=quoting,
        header=header,
        bad_rows=bad_rows,
    )
    tokenizer, config = found.load_tokenizer(), text_settings(found.load_config(), options, among)
    model = load_latent_model(found, device)
    query = encode_texts(model, tokenizer, texts, config)
    note_unknown_words(tokenizer, texts)
    rows = RowCounts()
    with nullcontext() if among is None else text_file(among) as path:
        if path is None:
            where = "the run's training split"
            sentences = stored_texts(found.open_corpus()["train"], tokenizer)
        else:
            where = "standard input" if str(among) == "-" else f"'{among}'"
            sentences = read_sentences(path, config, rows)
        note(f"among the sentences of {where}")
        blocks = encoded_blocks(model, tokenizer, sentences, config)
        same = {texts[0].strip(), as_read(tokenizer, texts[0], config)}
        found_nearest = nearest(query, blocks, by, n, same)
    if among is not None:
        note_rows(among, rows)
    if not found_nearest:
        raise DataError(f"{where} holds no other sentence")
    for row in found_nearest:
        if as_json:
            print_json(row._asdict())
        else:
            print_line(f"{row.distance:7.3f}  {row.text}")
