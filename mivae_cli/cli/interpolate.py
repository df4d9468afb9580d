"""The 'interpolate' command."""

from typing import Annotated, Literal

import typer

from ..limits import MAX_INTERPOLATION_STEPS
from .support import options


def interpolate(
    arguments: options.RunAndTexts = None,
    run_option: options.Run = None,
    steps: Annotated[
        int,
        typer.Option(
            min=2, max=MAX_INTERPOLATION_STEPS, help="Number of sentences, both ends included."
        ),
    ] = 7,
    path: Annotated[
        Literal["slerp", "linear"], typer.Option(help="slerp: along an arc; linear: along a line.")
    ] = "slerp",
    beam: options.Beam = 1,
    temperature: options.WordTemperature = None,
    no_repeat_ngram: options.NoRepeatNgram = 0,
    repetition_penalty: options.RepetitionPenalty = 1.0,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    as_json: options.AsJSON = False,
) -> None:
    """Interpolate between two sentences, by default two from the run's test split.

    Example: [bold]mivae interpolate "a man rides a horse ." "two dogs play in the snow ."[/]
    """
    from ..errors import ConfigError
    from .support.console import note, print_row
    from .support.run_lookup import locate_with_texts, open_run

    found, texts = locate_with_texts(arguments, run_option)
    decoding = options.greedy_or_drawn(temperature, beam, no_repeat_ngram, repetition_penalty)
    if len(texts) not in (0, 2):
        raise ConfigError(f"interpolate takes two sentences or none, not {len(texts)}")
    model = open_run(found, device)
    start, end = texts or model.sentence_pair(seed)
    note(f"between: {start}")
    note(f"between: {end}")
    latents = model.interpolate_latents(start, end, steps, path)
    for step, text in enumerate(model.iter_decode(latents, decoding=decoding, seed=seed)):
        t = step / (steps - 1)
        print_row({"t": t, "text": text}, as_json, f"{t:.2f}  {text}")
