"""The 'reconstruct' command."""

from typing import Annotated

import typer

from ..limits import MOST_SENTENCES
from .options import AsJSON, Beam, Data, Device, Run, RunAndTexts


def reconstruct(
    arguments: RunAndTexts = None,
    run_option: Run = None,
    data: Data = None,
    limit: Annotated[
        int,
        typer.Option(
            min=1, max=MOST_SENTENCES, help="At most so many sentences of the test split."
        ),
    ] = 10,
    beam: Beam = 1,
    device: Device = "auto",
    as_json: AsJSON = False,
) -> None:
    """Encode sentences and decode their posterior means: what z remembers of them.

    Sentences come from the command line, from --data, or from the run's test split.

    Example: [bold]mivae reconstruct "a man rides a horse ."[/]
    """
    from ..data.corpus import read_sentences
    from ..decoding import Decoding
    from ..errors import ConfigError
    from ..generation import encode_texts, generated
    from .console import print_json, print_line
    from .runs import load_latent_model, locate_with_texts

    found, texts = locate_with_texts(arguments, run_option)
    if texts and data is not None:
        raise ConfigError("give sentences or --data, not both")
    tokenizer, settings = found.tokenizer, found.config.data
    if data is not None:
        texts = list(read_sentences(data, settings))
    elif not texts:
        test = found.corpus["test"]
        texts = [tokenizer.decode(test.sentence(place)) for place in range(min(limit, len(test)))]
    model = load_latent_model(found, device)
    means = encode_texts(model, tokenizer, texts, settings).mean
    decoding = Decoding(beam=beam, max_tokens=settings.max_tokens)
    for text, again in zip(texts, generated(model, tokenizer, means, decoding), strict=True):
        if as_json:
            print_json({"text": text, "reconstruction": again, "exact": text == again})
        else:
            print_line(text)
            print_line(f"  {again}")
