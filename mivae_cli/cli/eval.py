"""The 'eval' command."""

from pathlib import Path
from typing import Annotated

import typer

from .options import AsJSON, Data, Device, Run, RunArgument, Seed


def evaluate(
    run: RunArgument = None,
    run_option: Run = None,
    data: Data = None,
    iw_samples: Annotated[
        int, typer.Option(min=1, help="Samples of the importance-weighted bound.")
    ] = 500,
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
    seed: Seed = 0,
    device: Device = "auto",
    as_json: AsJSON = False,
) -> None:
    """Report KL, mutual information, active units and perplexity on held-out sentences.

    Example: [bold]mivae eval runs/mine --iw-samples 500[/]
    """
    from dataclasses import asdict, replace

    from .. import evaluation
    from ..errors import ConfigError
    from ..full import Plan, measure
    from ..interruption import Interruption
    from ..quality import require_sacrebleu
    from .console import print_json, stdout
    from .full import measured_in_full
    from .progress import store_evaluation
    from .runs import load_judge, load_model, locate, open_split, pinned
    from .stages import stages
    from .tables import evaluation_table

    if not full and (samples is not None or lm is not None):
        raise ConfigError("--samples and --lm go with --full")
    if full:
        require_sacrebleu()  # before what takes minutes
    found = locate(run, run_option)
    store, corpus = open_split(found, data), found.corpus
    chosen = pinned(found)
    model = load_model(chosen, device)
    judge = None if lm is None else load_judge(lm, found, device)
    checkpoint = evaluation.CheckpointName(chosen.name, chosen.checkpoint.step)
    with stages() as show:
        record = evaluation.evaluate(
            model,
            store,
            (corpus["train"], corpus["valid"]),
            iw_samples,
            seed,
            corpus.tokenizer,
            show,
        )
    record = replace(record, checkpoint=checkpoint)
    if full:
        longest = found.config.data.max_tokens
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
