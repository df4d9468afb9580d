"""The 'neighbours' command."""

from pathlib import Path
from typing import Annotated

import typer

from ..limits import MOST_SENTENCES
from ..names import Distance
from .options import AsJSON, Device, Run


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
            "--in", metavar="FILE", help="Other sentences than the run's training split."
        ),
    ] = None,
    n: Annotated[
        int,
        typer.Option("--n", "-n", min=1, max=MOST_SENTENCES, help="At most so many sentences."),
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
    from ..data.corpus import read_sentences
    from ..errors import ConfigError, DataError
    from ..generation import encode_texts
    from ..nearest import as_read, encoded_blocks, nearest, stored_texts
    from .console import note, print_json, print_line
    from .runs import load_latent_model, locate_with_texts, note_unknown_words

    found, texts = locate_with_texts(arguments, run_option)
    if len(texts) != 1:
        raise ConfigError(f"neighbours takes one sentence, not {len(texts)}")
    tokenizer, config = found.tokenizer, found.config.data
    model = load_latent_model(found, device)
    query = encode_texts(model, tokenizer, texts, config)
    note_unknown_words(tokenizer, texts)
    if among is None:
        where = "the run's training split"
        sentences = stored_texts(found.corpus["train"], tokenizer)
    else:
        where = f"'{among}'"
        sentences = read_sentences(among, config)
    note(f"among the sentences of {where}")
    blocks = encoded_blocks(model, tokenizer, sentences, config)
    same = {texts[0].strip(), as_read(tokenizer, texts[0], config)}
    rows = nearest(query, blocks, by, n, same)
    if not rows:
        raise DataError(f"{where} holds no other sentence")
    for row in rows:
        if as_json:
            print_json(row._asdict())
        else:
            print_line(f"{row.distance:7.3f}  {row.text}")
