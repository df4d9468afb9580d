"""The 'sample' command."""

from typing import Annotated

import typer

from ..limits import MAX_BEAM, MAX_SENTENCES, MAX_TEMPERATURE, MAX_VOCABULARY, MIN_TEMPERATURE
from .support.options import (
    AsJSON,
    Device,
    NoRepeatNgram,
    RepetitionPenalty,
    Run,
    RunArgument,
    Seed,
)


def sample(
    run: RunArgument = None,
    run_option: Run = None,
    n: Annotated[
        int, typer.Option("--n", "-n", min=1, max=MAX_SENTENCES, help="Number of sentences.")
    ] = 10,
    temperature: Annotated[
        float | None,
        typer.Option(
            min=MIN_TEMPERATURE,
            max=MAX_TEMPERATURE,
            help="Temperature at which words are drawn; default: 0.8. Lower values favour likely words.",
        ),
    ] = None,
    top_k: Annotated[
        int,
        typer.Option(min=0, max=MAX_VOCABULARY, help="Draw from the k likeliest words; 0: all."),
    ] = 0,
    top_p: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Draw from the likeliest words with this total probability."
        ),
    ] = 1.0,
    greedy: Annotated[
        bool, typer.Option("--greedy", help="Always choose the likeliest word.")
    ] = False,
    beam: Annotated[
        int, typer.Option(min=0, max=MAX_BEAM, help="Beam width; 0: no beam search.")
    ] = 0,
    no_repeat_ngram: NoRepeatNgram = 0,
    repetition_penalty: RepetitionPenalty = 1.0,
    seed: Seed = 0,
    device: Device = "auto",
    as_json: AsJSON = False,
) -> None:
    """Generate sentences from latents drawn from the prior.

    Example: [bold]mivae sample --n 10 --temperature 0.8[/]
    """
    from ..errors import ConfigError
    from ..generation.decoding import Decoding
    from .support.console import print_row
    from .support.run_lookup import locate, open_run

    if greedy and beam:
        raise ConfigError("--greedy and --beam exclude each other: remove one of them")
    drawing = {"--temperature": temperature is not None, "--top-k": top_k, "--top-p": top_p < 1}
    if ignored := [option for option, given in drawing.items() if given and (greedy or beam)]:
        chosen = "--greedy" if greedy else "--beam"
        raise ConfigError(f"{chosen} and {ignored[0]} exclude each other: remove one of them")
    found = locate(run, run_option)
    decoding = Decoding(
        temperature=0.8 if temperature is None else temperature,
        top_k=top_k,
        top_p=top_p,
        beam=1 if greedy else beam,
        no_repeat_ngram=no_repeat_ngram,
        repetition_penalty=repetition_penalty,
    )
    model = open_run(found, device)
    latents = model.sample_latents(n, seed)
    for text in model.iter_decode(latents, decoding=decoding, seed=seed):
        print_row({"text": text}, as_json, text)
