"""The 'reconstruct' command."""

from pathlib import Path
from typing import Annotated

import typer

from ..limits import MAX_SENTENCES
from .support.options import (
    AsJSON,
    Beam,
    Data,
    Device,
    NoRepeatNgram,
    RepetitionPenalty,
    Run,
    RunAndTexts,
    Seed,
    WordTemperature,
)
from .support.text_options import Reading, reads_text

TEST_SENTENCES = 10  # reconstructed by default


@reads_text
def reconstruct(
    arguments: RunAndTexts = None,
    run_option: Run = None,
    data: Data = None,
    reading: Reading = {},
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MAX_SENTENCES,
            help="Maximum number of sentences; default: 10 for the test split, else all.",
            show_default=False,
        ),
    ] = None,
    beam: Beam = 1,
    temperature: WordTemperature = None,
    no_repeat_ngram: NoRepeatNgram = 0,
    repetition_penalty: RepetitionPenalty = 1.0,
    seed: Seed = 0,
    device: Device = "auto",
    as_json: AsJSON = False,
) -> None:
    """Encode sentences and decode their posterior means.

    The sentences come from the command line, --data, standard input (-), or the run's test split.

    Example: [bold]mivae reconstruct "a man rides a horse ."[/]
    """
    from itertools import islice

    from ..errors import ConfigError, DataError
    from .support.console import print_json, print_line
    from .support.decoding_options import greedy_or_drawn
    from .support.run_lookup import locate_with_texts, open_run
    from .support.text_input import check_reading, named, note_rows, note_truncated, opened_text

    found, texts = locate_with_texts(arguments, run_option)
    decoding = greedy_or_drawn(temperature, beam, no_repeat_ngram, repetition_penalty)
    if texts == ["-"]:
        texts, data = [], data or Path("-")
    if texts and data is not None:
        raise ConfigError("sentences and --data exclude each other: remove one of them")
    model = open_run(found, device)
    if data is None:
        check_reading(reading)
        texts = texts or list(islice(model.sentences("test"), limit or TEST_SENTENCES))
    else:
        with opened_text(model, data, reading) as file:
            texts = [record.text for record in islice(file, limit)]
        note_rows(data, file.counts)
        if not texts:
            raise DataError(f"{named(data, quoted=True)} contains no sentences")
    codes = model.encode(texts)
    if data is not None:
        note_truncated(data, codes.truncated, model)
    decoded = model.iter_decode(codes.mean, decoding=decoding, seed=seed)
    for text, output in zip(texts, decoded, strict=True):
        if as_json:
            print_json({"text": text, "reconstruction": output, "exact": text == output})
        else:
            print_line(text)
            print_line(f"  {output}")
