"""The 'estimate-mi' command."""

from .options import AsJSON, Data, Device, Run, RunArgument, Seed


def estimate_mi(
    run: RunArgument = None,
    run_option: Run = None,
    data: Data = None,
    seed: Seed = 0,
    device: Device = "auto",
    as_json: AsJSON = False,
) -> None:
    """Estimate I(x; z) on held-out sentences by several routes, side by side, in nats.

    Example: [bold]mivae estimate-mi runs/mine[/]
    """
    from dataclasses import asdict

    from .. import information
    from ..trainer import resolve_device
    from .console import print_json, stdout
    from .runs import load_latent_model, locate, open_split
    from .tables import estimates_table

    found = locate(run, run_option)
    store, corpus = open_split(found, data), found.corpus
    model = load_latent_model(found, resolve_device(device))
    report = information.report(model, store, (corpus["train"], corpus["valid"]), seed)
    if as_json:
        print_json(asdict(report), indent=2)
    else:
        stdout.print(estimates_table(report, f"{found.path}, {data or 'test split'}"))
