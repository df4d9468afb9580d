"""The 'encode' command."""

from pathlib import Path
from typing import Annotated

import typer

from .support.options import Device, Run
from .support.text_options import (
    BadRowsOption,
    Column,
    Delimiter,
    Field,
    Format,
    Header,
    QuotingOption,
)


def encode(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="[RUN] FILE",
            help="A run directory (left out, the newest under runs/), then the text; - for standard "
            "input.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="vectors.npz or .safetensors (row, line, mean, scale or concentration), .csv or "
            ".parquet (the same with the other columns or fields of the text), or .npy (mean).",
        ),
    ],
    run_option: Run = None,
    text_format: Format = None,
    field: Field = None,
    column: Column = None,
    delimiter: Delimiter = None,
    quoting: QuotingOption = None,
    header: Header = None,
    bad_rows: BadRowsOption = None,
    device: Device = "auto",
) -> None:
    """Write the posterior of every sentence of a text, one row for each.

    row is the number of the sentence's row in the text and line that of its line, both counted
    from 1: rows of a parallel file of labels stay aligned where a row without text is skipped.

    Example: [bold]mivae encode runs/mine sentences.txt -o vectors.npz[/]
    """
    from ..data.file_formats import text_file
    from ..data.records import TextRecords
    from ..errors import ConfigError, DataError
    from ..generation.generate import encode_texts
    from ..generation.latent_files import TextRows, check_aligned, check_place, write_vectors
    from .support.console import note
    from .support.run_lookup import load_latent_model, locate_with_file
    from .support.text_input import named, note_cut, note_rows, reading_options, text_settings

    check_place(out)  # before a run is looked for
    found, files = locate_with_file(arguments, run_option)
    if len(files) != 1:
        raise ConfigError(f"encode takes one file of sentences, not {len(files)}")
    [source] = files
    check_place(out, [Path(source)])
    options = reading_options(
        format=text_format,
        field=field,
        column=column,
        delimiter=delimiter,
        quoting=quoting,
        header=header,
        bad_rows=bad_rows,
    )
    settings = text_settings(found.load_config(), options, source)
    with text_file(source) as path:
        reader = TextRecords(path, settings)
        records = list(reader)
    note_rows(source, reader.counts)
    if not records:
        raise DataError(f"{named(source, quoted=True)} holds no sentences")
    check_aligned(out, reader.counts)
    model = load_latent_model(found, device)
    texts = [record.text for record in records]
    note_cut(source, found.load_tokenizer(), texts, settings)
    posterior = encode_texts(model, found.load_tokenizer(), texts, settings)
    write_vectors(out, posterior, TextRows.of(records, reader.header))
    rows = "1 row" if len(texts) == 1 else f"{len(texts):,} rows"
    note(f"wrote {rows} of {model.latent_size} units to {out}")
