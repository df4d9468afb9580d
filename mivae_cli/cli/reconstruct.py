"""The 'reconstruct' command."""

from .support import options
from .support.text_options import Reading, reads_text


@reads_text
def reconstruct(
    arguments: options.RunAndTexts = None,
    run_option: options.Run = None,
    data: options.Data = None,
    reading: Reading = {},
    limit: options.Limit = None,
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
    from .support.console import print_row
    from .support.run_lookup import locate_with_texts, open_run
    from .support.text_input import chosen_sentences, sentences_or_file

    found, texts = locate_with_texts(arguments, run_option)
    decoding = options.greedy_or_drawn(temperature, beam, no_repeat_ngram, repetition_penalty)
    texts, data = sentences_or_file(texts, data)
    model = open_run(found, device)
    texts = chosen_sentences(model, texts, data, reading, limit)
    decoded = model.iter_decode(model.encode(texts).mean, decoding=decoding, seed=seed)
    for text, output in zip(texts, decoded, strict=True):
        row = {"text": text, "reconstruction": output, "exact": text == output}
        print_row(row, as_json, text, f"  {output}")
