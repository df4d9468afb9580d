"""The 'reconstruct' command."""

from pathlib import Path
from typing import Annotated

import typer

from ..limits import MAX_SENTENCES
from .support import options
from .support.text_options import Reading, reads_text

TEST_SENTENCES = 10  # reconstructed by default


@reads_text
def reconstruct(
    arguments: options.RunAndTexts = None,
    run_option: options.Run = None,
    data: options.Data = None,
    reading: Reading = {},
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MAX_SENTENCES,
            help="Maximum number of sentences; default: 10 for the test split, else all.",
        ),
    ] = None,
    beam: options.Beam = 1,
    temperature: options.WordTemperature = None,
    no_repeat_ngram: options.NoRepeatNgram = 0,
    repetition_penalty: options.RepetitionPenalty = 1.0,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    as_json: options.AsJSON = False,
) -> None:
    """Encode sentences and decode their posterior means.

    The sentences come from the command line, --data, standard input (-), or the run's test split.

    Example: [bold]mivae reconstruct "a man rides a horse ."[/]
    """
    from itertools import islice

    from ..errors import ConfigError, DataError
    from .support.console import print_row
    from .support.run_lookup import locate_with_texts, open_run
    from .support.text_input import check_reading, named, note_rows, note_truncated, opened_text

    found, texts = locate_with_texts(arguments, run_option)
    decoding = options.greedy_or_drawn(temperature, beam, no_repeat_ngram, repetition_penalty)
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
        note_truncated(data, codes.truncated, model.config.data.max_tokens)
    decoded = model.iter_decode(codes.mean, decoding=decoding, seed=seed)
    for text, output in zip(texts, decoded, strict=True):
        row = {"text": text, "reconstruction": output, "exact": text == output}
        print_row(row, as_json, text, f"  {output}")
