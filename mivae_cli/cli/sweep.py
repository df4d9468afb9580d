"""The 'sweep' command."""

import os
from pathlib import Path
from typing import Annotated

import typer

from .support.options import (
    AsCSV,
    AsJSON,
    AsLaTeX,
    AsMarkdown,
    Epochs,
    IWSamples,
    NoFold,
    Track,
    TrackDir,
)
from .support.text_options import Reading, option_of, reads_text


@reads_text
def sweep(
    corpus: Annotated[
        list[str] | None,
        typer.Argument(help="Text, as for 'mivae train'; prepared once for all runs."),
    ] = None,
    set_: Annotated[
        list[str],
        typer.Option(
            "--set",
            metavar="KEY=VALUE,...",
            help="Values to try for a setting, e.g. objective.mi_weight=0,0.5,1. May be repeated: "
            "all combinations are run. Quote a value with a comma: KEY='\"a,b\",c'; write a "
            "list in brackets.",
        ),
    ] = [],
    preset: Annotated[
        list[str],
        typer.Option(
            metavar="NAME,...",
            help="Presets to try, e.g. mine,vae. May be repeated to combine them: --preset mine,vae "
            "--preset ptb runs mine+ptb and vae+ptb.",
        ),
    ] = [],
    seeds: Annotated[
        str | None, typer.Option(metavar="SEED,...", help="Random seeds, like --set seed=0,1,2.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="TOML file of settings for all runs; see 'mivae config init'."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder for the runs; default: a new one in runs/. An existing sweep is continued.",
        ),
    ] = None,
    reading: Reading = {},
    epochs: Epochs = None,
    device: Annotated[
        str | None, typer.Option(help="Device: auto, cpu, cuda, cuda:1 or mps.")
    ] = None,
    iw_samples: IWSamples = None,
    full: Annotated[
        bool, typer.Option("--full", help="Evaluate generated text too, like 'mivae eval --full'.")
    ] = False,
    lm: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Language model with the same vocabulary, for --full; default: train one per run.",
        ),
    ] = None,
    track: Track = [],
    track_dir: TrackDir = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="List the runs, their state and their commands; write nothing."
        ),
    ] = False,
    no_fold: NoFold = False,
    as_json: AsJSON = False,
    as_csv: AsCSV = False,
    as_markdown: AsMarkdown = False,
    as_latex: AsLaTeX = False,
) -> None:
    """Train and evaluate a run for every combination of settings, and compare them.

    Each run gets its own directory in OUT. To continue an interrupted sweep, repeat the command
    with the same OUT. A failed run does not stop the sweep.

    Example: [bold]mivae sweep corpus.txt --set objective.mi_weight=0,1,2 --seeds 0,1[/]
    """
    from ..config.epoch_budget import shared_budget_warnings
    from ..config.grid import configurations, expand
    from ..errors import ConfigError, MivaeError
    from ..experiments.paired import compare_paired
    from ..experiments.sweep import PlannedRun, prepare_corpora, run_sweep
    from ..experiments.train_run import unused_path
    from ..generation.evaluate_text import Plan
    from ..generation.text_metrics import require_sacrebleu
    from ..runs.directory import RunDirectory
    from ..stages import finish
    from ..storage.manifest import MANIFEST
    from ..tracking.trackers import Tracking
    from .support.comparison_output import chosen_format, show_comparison
    from .support.console import note, warn
    from .support.live_progress import LiveProgress, listening
    from .support.sweep_listing import list_sweep
    from .support.training_output import note_corpus

    if lm is not None and not full:
        raise ConfigError("--lm requires --full")
    if full:
        require_sacrebleu()  # before hours of computing
    tracking = Tracking.of(track, track_dir)
    form = chosen_format(as_json, as_csv, as_markdown, as_latex)
    options = {
        "data.train": corpus or None,
        "training.epochs": epochs,
        "device": device,
        "evaluation.iw_samples": iw_samples,
        **reading,
    }
    members = expand(preset, set_, seeds)
    configs = configurations(members, config, options)
    if not all(settings.data.train for settings in configs):
        raise ConfigError("no corpus given. Usage: mivae sweep corpus.txt")
    place = out or unused_path(configs[0], "sweep-{corpus}")
    if (place / MANIFEST).exists():
        raise ConfigError(f"'{place}' is a run: --out must name a folder for several runs")
    if os.path.lexists(place) and not place.is_dir():
        raise ConfigError(f"'{place}' is not a folder: choose another one with --out")
    planned = [
        PlannedRun(member.name, settings, place / member.name)
        for member, settings in zip(members, configs, strict=True)
    ]
    warn(*shared_budget_warnings({plan.name: plan.config for plan in planned}))
    if dry_run:
        given = {
            "--config": config,
            "--epochs": epochs,
            "--device": device,
            "--iw-samples": iw_samples,
            **{option_of(key): value for key, value in reading.items()},
        }
        list_sweep(planned, members, corpus or [], given, full, lm, as_json)
        return
    corpora = finish(prepare_corpora(planned), note_corpus)
    note(f"sweep: {place}, {len(planned)} runs")
    again = "the same command" + ("" if out else f" and --out {place}")
    with listening() as interruption, LiveProgress(again) as show:
        work = run_sweep(
            planned,
            corpora,
            full=Plan() if full else None,
            lm=None if lm is None else RunDirectory.open(lm),
            interruption=interruption,
            tracking=tracking,
        )
        outcomes = finish(work, show)
    show_comparison(compare_paired(outcomes, not no_fold), form, f"{place}, test split")
    failed = [found.name for found in outcomes if found.standing != "evaluated"]
    if failed:
        raise MivaeError(
            f"{len(failed)} of {len(planned)} runs failed ({', '.join(failed[:5])}"
            f"{', ...' if len(failed) > 5 else ''}); to retry them, run {again}"
        )
    note(f"next: mivae compare {place}")
