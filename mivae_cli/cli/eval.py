"""The 'eval' command."""

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
    seed: Seed = 0,
    device: Device = "auto",
    as_json: AsJSON = False,
) -> None:
    """Report KL, mutual information, active units and perplexity on held-out sentences.

    Example: [bold]mivae eval runs/mine --iw-samples 500[/]
    """
    from dataclasses import asdict

    from .. import evaluation
    from .console import note, print_json, stdout
    from .progress import store_evaluation
    from .runs import load_model, locate, open_split
    from .tables import evaluation_table

    found = locate(run, run_option)
    store, corpus = open_split(found, data), found.corpus
    model = load_model(found, device)
    if model.latent_size:
        note(f"{len(store):,} sentences, {iw_samples} importance samples each ...")
    record = evaluation.evaluate(
        model, store, (corpus["train"], corpus["valid"]), iw_samples, seed
    )
    if data is None and found.name == "best":  # the record that stands for the run
        store_evaluation(found, asdict(record))
    if as_json:
        print_json(asdict(record), indent=2)
    else:
        stdout.print(evaluation_table(record, f"{found.path}, {data or 'test split'}"))
