"""The 'encode' command."""

from pathlib import Path
from typing import Annotated

import typer

from ..choices import MapMethod
from .support.options import Device, Run
from .support.text_options import Reading, reads_text


@reads_text
def encode(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="[RUN] FILE",
            help="Run directory (default: the newest under runs/), then a text file; - for "
            "standard input.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help=".npz or .safetensors (row, line, mean, and scale or concentration), .csv or "
            ".parquet (these and the other columns of the text), or .npy (mean).",
        ),
    ],
    run_option: Run = None,
    with_map: Annotated[
        bool,
        typer.Option(
            "--map",
            help="Write text, label columns, x, y, rate and vector to a .parquet file, for maps "
            "in other tools.",
        ),
    ] = False,
    method: Annotated[
        MapMethod,
        typer.Option("--map-method", help="With --map: pca or umap (slower)."),
    ] = "pca",
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="With --map: labels of the sentences, one per line, or a .csv or .tsv table.",
        ),
    ] = None,
    label_column: Annotated[
        str, typer.Option(metavar="COLUMN", help="Column of the table of --labels.")
    ] = "label",
    reading: Reading = {},
    device: Device = "auto",
) -> None:
    """Write the posterior of each sentence of a text file, one row per sentence.

    row and line are the numbers of the row and the line in the text, counted from 1. With them,
    vectors stay aligned with a parallel file of labels if empty rows are skipped.

    Example: [bold]mivae encode runs/mine sentences.txt -o vectors.npz[/]
    """
    from ..api.exploration import map_sentences
    from ..api.map_files import write_map
    from ..errors import ConfigError, DataError
    from ..generation.latent_files import TextRows, check_aligned, check_output_path
    from .support.console import counted, note
    from .support.run_lookup import locate_with_file, open_run
    from .support.text_input import named, note_rows, note_truncated, opened_text

    check_output_path(out)  # before searching for a run
    if with_map and out.suffix != ".parquet":
        raise ConfigError(f"cannot write '{out}': --map needs a .parquet file")
    if not with_map and labels is not None:
        raise ConfigError("--labels applies to --map only: add --map")
    found, files = locate_with_file(arguments, run_option)
    if len(files) != 1:
        raise ConfigError(f"encode takes one text file, not {len(files)}")
    [source] = files
    check_output_path(out, [Path(source)])
    model = open_run(found, device)
    if with_map:
        with opened_text(model, source, reading) as text:
            mapped = map_sentences(model, text, labels=labels, column=label_column, method=method)
            note_rows(source, text.counts)
        write_map(out, mapped)
        note(f"wrote {counted(len(mapped.vectors), 'row')} with a map to {out}")
        return
    with opened_text(model, source, reading) as text:
        records = list(text)
    note_rows(source, text.counts)
    if not records:
        raise DataError(f"{named(source, quoted=True)} contains no sentences")
    check_aligned(out, text.counts)
    codes = model.encode([record.text for record in records])
    note_truncated(source, codes.truncated, model.config.data.max_tokens)
    codes.save(out, TextRows.of(records, text.header))
    note(f"wrote {counted(len(codes), 'row')} of {model.latent_size} units to {out}")
