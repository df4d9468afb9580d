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
from .support.text_options import (
    BadRowsOption,
    Column,
    Delimiter,
    Field,
    Format,
    Header,
    QuotingOption,
)

DEFAULT = 10  # sentences of the test split


def reconstruct(
    arguments: RunAndTexts = None,
    run_option: Run = None,
    data: Data = None,
    text_format: Format = None,
    field: Field = None,
    column: Column = None,
    delimiter: Delimiter = None,
    quoting: QuotingOption = None,
    header: Header = None,
    bad_rows: BadRowsOption = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MAX_SENTENCES,
            help="Maximum number of sentences; 10 by default for the test split.",
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
    """Encode sentences and decode their posterior means: what z remembers of them.

    Sentences come from the command line, from --data, from standard input (-), or from the run's
    test split.

    Example: [bold]mivae reconstruct "a man rides a horse ."[/]
    """
    from itertools import islice

    from ..data.corpus import read_sentences
    from ..data.file_formats import text_file
    from ..data.records import RowCounts
    from ..errors import ConfigError, DataError
    from ..generation.generate import encode_texts, generated
    from .support.console import print_json, print_line
    from .support.decoding_options import likeliest_or_drawn
    from .support.run_lookup import load_latent_model, locate_with_texts
    from .support.text_input import named, note_cut, note_rows, reading_options, text_settings

    found, texts = locate_with_texts(arguments, run_option)
    if texts == ["-"]:
        texts, data = [], data or Path("-")
    if texts and data is not None:
        raise ConfigError("give sentences or --data, not both")
    options = reading_options(
        format=text_format,
        field=field,
        column=column,
        delimiter=delimiter,
        quoting=quoting,
        header=header,
        bad_rows=bad_rows,
    )
    tokenizer, settings = found.load_tokenizer(), text_settings(found.load_config(), options, data)
    if data is not None:
        rows = RowCounts()
        with text_file(data) as path:
            texts = list(islice(read_sentences(path, settings, rows), limit))
        note_rows(data, rows)
        if not texts:
            raise DataError(f"{named(data, quoted=True)} holds no sentences")
        note_cut(data, tokenizer, texts, settings)
    elif not texts:
        test = found.open_corpus()["test"]
        texts = [
            tokenizer.decode(test.sentence(place))
            for place in range(min(limit or DEFAULT, len(test)))
        ]
    decoding = likeliest_or_drawn(
        temperature, beam, settings.max_tokens, no_repeat_ngram, repetition_penalty
    )
    model = load_latent_model(found, device)
    means = encode_texts(model, tokenizer, texts, settings).mean
    for text, again in zip(texts, generated(model, tokenizer, means, decoding, seed), strict=True):
        if as_json:
            print_json({"text": text, "reconstruction": again, "exact": text == again})
        else:
            print_line(text)
            print_line(f"  {again}")
