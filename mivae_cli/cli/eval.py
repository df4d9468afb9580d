"""The 'eval' command."""

from pathlib import Path
from typing import Annotated

import typer

from ..limits import MAX_SEED, MAX_SENTENCES
from .support.options import AsJSON, Data, IWSamples, Run, RunArgument
from .support.text_options import (
    BadRowsOption,
    Column,
    Delimiter,
    Field,
    Format,
    Header,
    QuotingOption,
)


def evaluate(
    run: RunArgument = None,
    run_option: Run = None,
    data: Data = None,
    text_format: Format = None,
    field: Field = None,
    column: Column = None,
    delimiter: Delimiter = None,
    quoting: QuotingOption = None,
    header: Header = None,
    bad_rows: BadRowsOption = None,
    iw_samples: IWSamples = None,
    full: Annotated[
        bool,
        typer.Option(
            "--full",
            help="Also reconstruct, sample and interpolate; trains two or three small language "
            "models to judge the samples by, which takes minutes.",
        ),
    ] = False,
    samples: Annotated[
        int | None,
        typer.Option(
            min=2,
            max=MAX_SENTENCES,
            help="Samples of --full; by default as many as training sentences, up to 10,000.",
            show_default=False,
        ),
    ] = None,
    lm: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="A language model of the same vocabulary, to take for --full instead of "
            "training one on the training split.",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=MAX_SEED,
            help="Seeds every random draw; by default the run's own (evaluation.seed).",
            show_default=False,
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            help="auto, cpu, cuda, cuda:1 or mps; by default the run's own if it is there.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Report KL, mutual information, active units and perplexity on held-out sentences.

    Example: [bold]mivae eval runs/mine --iw-samples 500[/]
    """
    from dataclasses import asdict, replace

    from ..errors import ConfigError
    from ..experiments.evaluate_run import evaluate_run
    from ..generation.evaluate_text import Plan, measure
    from ..generation.text_metrics import require_sacrebleu
    from ..signals import Interruption
    from .support.console import print_json, stdout
    from .support.evaluation_table import evaluation_table
    from .support.live_stages import stages
    from .support.live_text_evaluation import measured_in_full
    from .support.live_training import store_evaluation
    from .support.run_lookup import device_of, load_judge, load_pinned, locate, open_split
    from .support.text_input import reading_options

    if not full and (samples is not None or lm is not None):
        raise ConfigError("--samples and --lm go with --full")
    if full:
        require_sacrebleu()  # before what takes minutes
    found = locate(run, run_option)
    options = reading_options(
        format=text_format,
        field=field,
        column=column,
        delimiter=delimiter,
        quoting=quoting,
        header=header,
        bad_rows=bad_rows,
    )
    store, corpus = open_split(found, data, options), found.open_corpus()
    config = found.load_config()
    device = device or device_of(config)
    chosen, model = load_pinned(found, device)
    judge = None if lm is None else load_judge(lm, found, device)
    given = {"iw_samples": iw_samples, "seed": seed}
    protocol = config.evaluation.model_copy(
        update={name: value for name, value in given.items() if value is not None}
    )
    with stages() as show:
        record = evaluate_run(chosen, model, store, protocol, show)
    if full:
        longest, seed = config.data.max_tokens, protocol.seed
        passes = measure(model, corpus, store, longest, seed, Plan(samples), judge)
        with Interruption() as interruption:
            record = replace(record, full=measured_in_full(passes, interruption))
    table = asdict(record)
    if data is None and found.name == "best":  # the record that stands for the run
        table = store_evaluation(found, record)
    if as_json:
        print_json(table, indent=2)
    else:
        stdout.print(evaluation_table(record, f"{found.path}, {data or 'test split'}"))
