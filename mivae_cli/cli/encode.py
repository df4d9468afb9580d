"""The 'encode' command."""

from pathlib import Path
from typing import Annotated

import typer

from .options import Device, Run


def encode(
    arguments: Annotated[
        list[str],
        typer.Argument(metavar="[RUN] FILE", help="The run, and the sentences, one a line."),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="vectors.npz, .safetensors (mean; scale or concentration) or .npy (mean).",
        ),
    ],
    run_option: Run = None,
    device: Device = "auto",
) -> None:
    """Write the posterior of every sentence of a file, a row a sentence.

    Example: [bold]mivae encode runs/mine sentences.txt -o vectors.npz[/]
    """
    from ..data.corpus import read_sentences
    from ..errors import ConfigError, DataError
    from ..generation import VECTOR_FORMATS, encode_texts, write_vectors
    from .console import note
    from .runs import load_latent_model, locate_with_file

    if out.suffix not in VECTOR_FORMATS:
        raise ConfigError(f"cannot write '{out}': name it {', '.join(VECTOR_FORMATS)}")
    found, files = locate_with_file(arguments, run_option)
    if len(files) != 1:
        raise ConfigError(f"encode takes one file of sentences, not {len(files)}")
    texts = list(read_sentences(Path(files[0]), found.config.data))
    if not texts:
        raise DataError(f"'{files[0]}' holds no sentences")
    model = load_latent_model(found, device)
    posterior = encode_texts(model, found.tokenizer, texts, found.config.data)
    write_vectors(out, posterior)
    note(f"wrote {len(texts):,} rows of {model.latent_size} units to {out}")
