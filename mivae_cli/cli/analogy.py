"""The 'analogy' command."""

from typing import Annotated

import typer

from ..limits import MAX_SCALE, MAX_SENTENCES, MAX_TEMPERATURE, MIN_TEMPERATURE
from .support.options import AsJSON, Beam, Device, NoRepeatNgram, RepetitionPenalty, Run, Seed


def analogy(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="[RUN] A B C",
            help="A run directory (left out, the newest under runs/), then three sentences.",
        ),
    ],
    run_option: Run = None,
    scale: Annotated[
        float,
        typer.Option(
            min=-MAX_SCALE, max=MAX_SCALE, help="How far to go from A to B; 1 is all of it."
        ),
    ] = 1.0,
    n: Annotated[
        int,
        typer.Option(
            "--n", "-n", min=1, max=MAX_SENTENCES, help="How many sentences; several are drawn."
        ),
    ] = 1,
    temperature: Annotated[
        float | None,
        typer.Option(
            min=MIN_TEMPERATURE,
            max=MAX_TEMPERATURE,
            help="Draw words, below 1 likelier ones; of several sentences, 0.8.",
        ),
    ] = None,
    beam: Beam = 1,
    no_repeat_ngram: NoRepeatNgram = 0,
    repetition_penalty: RepetitionPenalty = 1.0,
    seed: Seed = 0,
    device: Device = "auto",
    as_json: AsJSON = False,
) -> None:
    """Write what is to C as B is to A: the step from A to B in latent space, taken from C.

    Example: [bold]mivae analogy "a man runs ." "two men run ." "a dog sleeps ."[/]
    """
    from ..errors import ConfigError
    from ..generation.generate import analogous, encode_texts, generated
    from .support.console import print_json, print_line
    from .support.decoding_options import likeliest_or_drawn
    from .support.run_lookup import load_latent_model, locate_with_texts, note_unknown_words

    found, texts = locate_with_texts(arguments, run_option)
    if len(texts) != 3:
        raise ConfigError(f"analogy takes three sentences, not {len(texts)}")
    drawn = n > 1 or temperature is not None
    if drawn and beam > 1:
        raise ConfigError("--beam gives the likeliest sentence only: leave out --n, --temperature")
    if drawn and temperature is None:
        temperature = 0.8
    most = found.load_config().data.max_tokens
    decoding = likeliest_or_drawn(temperature, beam, most, no_repeat_ngram, repetition_penalty)
    model = load_latent_model(found, device)
    posterior = encode_texts(model, found.load_tokenizer(), texts, found.load_config().data)
    a, b, c = posterior.mean
    note_unknown_words(found.load_tokenizer(), texts)
    z = posterior.prior.projected(analogous(a, b, c, scale)).expand(n, -1)
    for text in generated(model, found.load_tokenizer(), z, decoding, seed):
        if as_json:
            print_json({"text": text})
        else:
            print_line(text)
