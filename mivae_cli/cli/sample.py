"""The 'sample' command."""

from typing import Annotated

import typer

from ..limits import (
    MAX_BEAM,
    MAX_SENTENCES,
    MAX_TEMPERATURE,
    MAX_VOCABULARY,
    MIN_TEMPERATURE,
)
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
        int, typer.Option("--n", "-n", min=1, max=MAX_SENTENCES, help="How many sentences.")
    ] = 10,
    temperature: Annotated[
        float | None,
        typer.Option(
            min=MIN_TEMPERATURE,
            max=MAX_TEMPERATURE,
            help="Below 1: likelier words; above: bolder ones; by default 0.8.",
            show_default=False,
        ),
    ] = None,
    top_k: Annotated[
        int, typer.Option(min=0, max=MAX_VOCABULARY, help="Keep the k likeliest words; 0: all.")
    ] = 0,
    top_p: Annotated[
        float, typer.Option(min=0, max=1, help="Keep the words that make up this share.")
    ] = 1.0,
    greedy: Annotated[
        bool, typer.Option("--greedy", help="Always take the likeliest word.")
    ] = False,
    beam: Annotated[
        int, typer.Option(min=0, max=MAX_BEAM, help="Beam search with so many hypotheses.")
    ] = 0,
    no_repeat_ngram: NoRepeatNgram = 0,
    repetition_penalty: RepetitionPenalty = 1.0,
    seed: Seed = 0,
    device: Device = "auto",
    as_json: AsJSON = False,
) -> None:
    """Write sentences from latents drawn from the prior, one a line.

    Example: [bold]mivae sample --n 10 --temperature 0.8[/]
    """
    from ..errors import ConfigError
    from ..generation.decoding import Decoding
    from ..generation.generate import generated, prior_samples
    from .support.console import print_json, print_line
    from .support.run_lookup import load_model, locate

    if greedy and beam:
        raise ConfigError("--greedy and --beam exclude each other")
    drawing = {"--temperature": temperature is not None, "--top-k": top_k, "--top-p": top_p < 1}
    if ignored := [option for option, given in drawing.items() if given and (greedy or beam)]:
        raise ConfigError(
            f"{'--greedy' if greedy else '--beam'} writes the likeliest words, {ignored[0]} draws "
            "them: leave out one of them"
        )
    found = locate(run, run_option)
    decoding = Decoding(
        0.8 if temperature is None else temperature,
        top_k,
        top_p,
        1 if greedy else beam,
        found.load_config().data.max_tokens,
        no_repeat_ngram=no_repeat_ngram,
        repetition_penalty=repetition_penalty,
    )
    model = load_model(found, device)
    z = prior_samples(n, model.prior, seed)
    for text in generated(model, found.load_tokenizer(), z, decoding, seed):
        if as_json:
            print_json({"text": text})
        else:
            print_line(text)
