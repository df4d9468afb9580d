"""The 'analogy' command."""

from typing import Annotated

import typer

from ..limits import MAX_SCALE, MAX_SENTENCES, MAX_TEMPERATURE, MIN_TEMPERATURE
from .support.options import (
    AsJSON,
    Beam,
    Device,
    NoRepeatNgram,
    RepetitionPenalty,
    Run,
    Seed,
    greedy_or_drawn,
)


def analogy(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="[RUN] A B C",
            help="Run directory (default: the newest under runs/), then three sentences.",
        ),
    ],
    run_option: Run = None,
    scale: Annotated[
        float, typer.Option(min=-MAX_SCALE, max=MAX_SCALE, help="Factor for the step from A to B.")
    ] = 1.0,
    n: Annotated[
        int,
        typer.Option(
            "--n", "-n", min=1, max=MAX_SENTENCES, help="Number of sentences; above 1, drawn."
        ),
    ] = 1,
    temperature: Annotated[
        float | None,
        typer.Option(
            min=MIN_TEMPERATURE,
            max=MAX_TEMPERATURE,
            help="Draw words at this temperature; default with --n above 1: 0.8.",
        ),
    ] = None,
    beam: Beam = 1,
    no_repeat_ngram: NoRepeatNgram = 0,
    repetition_penalty: RepetitionPenalty = 1.0,
    seed: Seed = 0,
    device: Device = "auto",
    as_json: AsJSON = False,
) -> None:
    """Write sentences that relate to C as B relates to A: decode C + (B - A).

    Example: [bold]mivae analogy "a man runs ." "two men run ." "a dog sleeps ."[/]
    """
    from ..errors import ConfigError
    from .support.console import print_row
    from .support.run_lookup import locate_with_texts, note_unknown_words, open_run

    found, texts = locate_with_texts(arguments, run_option)
    if len(texts) != 3:
        raise ConfigError(f"analogy takes three sentences, not {len(texts)}")
    drawn = n > 1 or temperature is not None
    if drawn and beam > 1:
        raise ConfigError("--beam gives a single sentence: remove it, or --n and --temperature")
    if drawn and temperature is None:
        temperature = 0.8
    decoding = greedy_or_drawn(temperature, beam, no_repeat_ngram, repetition_penalty)
    model = open_run(found, device)
    a, b, c = texts
    latents = model.analogy_latents(a, b, c, scale, n)
    note_unknown_words(model, texts)
    for text in model.iter_decode(latents, decoding=decoding, seed=seed):
        print_row({"text": text}, as_json, text)
