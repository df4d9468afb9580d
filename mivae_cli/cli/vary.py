"""The 'vary' command."""

from typing import Annotated

import typer

from ..limits import MAX_SEED, MAX_SENTENCES, MAX_SPREAD
from .support import options
from .support.text_options import Reading, reads_text


@reads_text
def vary(
    arguments: options.RunAndTexts = None,
    run_option: options.Run = None,
    data: options.Data = None,
    reading: Reading = {},
    limit: options.Limit = None,
    n: Annotated[
        int,
        typer.Option(
            "--n",
            "-n",
            min=1,
            max=MAX_SENTENCES,
            help="Maximum number of variations of a sentence.",
        ),
    ] = 5,
    spread: Annotated[
        float,
        typer.Option(
            min=0,
            max=MAX_SPREAD,
            help="Factor on the posterior's standard deviation; above 1: wider neighbourhoods.",
        ),
    ] = 1.0,
    beam: options.Beam = 1,
    temperature: options.WordTemperature = None,
    no_repeat_ngram: options.NoRepeatNgram = 0,
    repetition_penalty: options.RepetitionPenalty = 1.0,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    as_json: options.AsJSON = False,
) -> None:
    """Write variations of sentences, decoded from samples of their posteriors.

    Each has its distance from the mean (1: that of a typical sample of the posterior), and the
    number of samples that gave it. The sentence itself may be one of them.

    Example: [bold]mivae vary "a man rides a horse ." --n 5 --spread 1.5[/]
    """
    from .support.console import counted, print_line, print_row, warn
    from .support.run_lookup import locate_with_texts, note_unknown_words, open_run
    from .support.text_input import chosen_sentences, sentences_or_file

    found, texts = locate_with_texts(arguments, run_option)
    decoding = options.greedy_or_drawn(temperature, beam, no_repeat_ngram, repetition_penalty)
    texts, data = sentences_or_file(texts, data)
    model = open_run(found, device)
    if texts:
        note_unknown_words(model, texts)
    sentences = chosen_sentences(model, texts, data, reading, limit)
    remarks = []
    for place, text in enumerate(sentences):
        own_seed = (seed + place) % (MAX_SEED + 1)
        variations = model.vary(text, n, spread=spread, decoding=decoding, seed=own_seed)
        if not as_json:
            print_line(text)
        for each in variations:
            row = {"text": text, "variation": each.text, "exact": each.text == text}
            row |= {"distance": each.distance, "count": each.count, "samples": variations.samples}
            line = f"  {each.distance:5.2f}  {each.count:>3} of {variations.samples}  {each.text}"
            print_row(row, as_json, line)
        remarks += [variations.remark] if variations.remark else []
    if remarks:
        others = (
            f" (also for {counted(len(remarks) - 1, 'other sentence')})" if remarks[1:] else ""
        )
        warn(remarks[0] + others, style="dim")
