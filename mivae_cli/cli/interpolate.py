"""The 'interpolate' command."""

from typing import Annotated, Literal

import typer

from ..limits import MAX_INTERPOLATION_STEPS
from .support.options import (
    AsJSON,
    Beam,
    Device,
    NoRepeatNgram,
    RepetitionPenalty,
    Run,
    RunAndTexts,
    Seed,
    WordTemperature,
)


def interpolate(
    arguments: RunAndTexts = None,
    run_option: Run = None,
    steps: Annotated[
        int,
        typer.Option(min=2, max=MAX_INTERPOLATION_STEPS, help="Sentences, both ends among them."),
    ] = 7,
    path: Annotated[
        Literal["slerp", "linear"], typer.Option(help="Along an arc or a line.")
    ] = "slerp",
    beam: Beam = 1,
    temperature: WordTemperature = None,
    no_repeat_ngram: NoRepeatNgram = 0,
    repetition_penalty: RepetitionPenalty = 1.0,
    seed: Seed = 0,
    device: Device = "auto",
    as_json: AsJSON = False,
) -> None:
    """Walk between two sentences; without any, between two of the run's test split.

    Example: [bold]mivae interpolate "a man rides a horse ." "two dogs play in the snow ."[/]
    """
    from ..errors import ConfigError
    from ..generation.generate import encode_texts, generated, interpolation, sentence_pair
    from .support.console import note, print_json, print_line
    from .support.decoding_options import likeliest_or_drawn
    from .support.run_lookup import load_latent_model, locate_with_texts

    found, texts = locate_with_texts(arguments, run_option)
    decoding = likeliest_or_drawn(
        temperature, beam, found.load_config().data.max_tokens, no_repeat_ngram, repetition_penalty
    )
    if len(texts) not in (0, 2):
        raise ConfigError(f"interpolate takes two sentences or none, not {len(texts)}")
    if not texts:
        texts = sentence_pair(found.open_corpus()["test"], found.load_tokenizer(), seed)
    model = load_latent_model(found, device)
    for text in texts:
        note(f"between: {text}")
    start, end = encode_texts(model, found.load_tokenizer(), texts, found.load_config().data).mean
    z = model.prior.projected(interpolation(start, end, steps, path))
    for place, text in enumerate(generated(model, found.load_tokenizer(), z, decoding, seed)):
        t = place / (steps - 1)
        if as_json:
            print_json({"t": t, "text": text})
        else:
            print_line(f"{t:.2f}  {text}")
