"""The 'sweep' command."""

import os
from pathlib import Path
from typing import Annotated

import typer

from .support.options import AsCSV, AsJSON, AsLaTeX, AsMarkdown, Epochs, IWSamples, NoFold
from .support.text_options import (
    BadRowsOption,
    Column,
    Delimiter,
    Field,
    Format,
    Header,
    QuotingOption,
)


def sweep(
    corpus: Annotated[
        str | None,
        typer.Argument(
            help="Text, as for 'mivae train'; it is prepared once.", show_default=False
        ),
    ] = None,
    set_: Annotated[
        list[str],
        typer.Option(
            "--set",
            metavar="KEY=VALUE,...",
            help="Alternatives of any key, e.g. objective.mi_weight=0,0.5,1. Repeat to cross. A "
            "text with a comma stands in quotes, a list in brackets: KEY='\"a,b\",c'.",
        ),
    ] = [],
    preset: Annotated[
        list[str],
        typer.Option(
            metavar="NAME,...",
            help="Alternative presets, e.g. mine,vae. Repeat to combine: --preset mine,vae "
            "--preset ptb is mine+ptb and vae+ptb.",
        ),
    ] = [],
    seeds: Annotated[
        str | None, typer.Option(metavar="SEED,...", help="Short for --set seed=0,1,2.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="A TOML file under all runs; see 'mivae config init'.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="The folder of the runs; by default a new one under runs/. Where some of them "
            "are there, the sweep goes on.",
        ),
    ] = None,
    text_format: Format = None,
    field: Field = None,
    column: Column = None,
    delimiter: Delimiter = None,
    quoting: QuotingOption = None,
    header: Header = None,
    bad_rows: BadRowsOption = None,
    epochs: Epochs = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = None,
    iw_samples: IWSamples = None,
    full: Annotated[
        bool, typer.Option("--full", help="Evaluate in full, as 'mivae eval --full' does.")
    ] = False,
    lm: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="A language model of the same vocabulary, to judge samples by with --full.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="List the runs, what is done, and the commands of each."),
    ] = False,
    no_fold: NoFold = False,
    as_json: AsJSON = False,
    as_csv: AsCSV = False,
    as_markdown: AsMarkdown = False,
    as_latex: AsLaTeX = False,
) -> None:
    """Train and evaluate a run for every combination of settings, and compare them.

    Runs go one after another, each into its own directory in OUT. Stopped and started again with
    the same OUT, the sweep goes on where it was; a run that fails does not keep the others.

    Example: [bold]mivae sweep corpus.txt --set objective.mi_weight=0,1,2 --seeds 0,1[/]
    """
    from ..config.epoch_budget import shared_budget_warnings
    from ..config.grid import configurations, expand
    from ..errors import ConfigError, MivaeError
    from ..experiments.comparison import compare
    from ..generation.text_metrics import require_sacrebleu
    from ..storage.manifest import MANIFEST
    from .support.comparison_output import chosen_format, show_comparison
    from .support.console import note, warn
    from .support.new_run import fresh_place
    from .support.sweep_runs import Measures, Planned, list_all, prepare_all, run_all
    from .support.text_input import reading_options

    if lm is not None and not full:
        raise ConfigError("--lm goes with --full")
    if full:
        require_sacrebleu()  # before what takes hours
    measures = Measures(full, lm)
    form = chosen_format(as_json, as_csv, as_markdown, as_latex)
    reading = reading_options(
        format=text_format,
        field=field,
        column=column,
        delimiter=delimiter,
        quoting=quoting,
        header=header,
        bad_rows=bad_rows,
    )
    options = {
        "data.train": corpus,
        "training.epochs": epochs,
        "device": device,
        "evaluation.iw_samples": iw_samples,
        **reading,
    }
    members = expand(preset, set_, seeds)
    configs = configurations(members, config, options)
    if not all(settings.data.train for settings in configs):
        raise ConfigError("which text? Name it: mivae sweep corpus.txt")
    place = out or fresh_place(configs[0], "sweep-{corpus}")
    if (place / MANIFEST).exists():
        raise ConfigError(f"'{place}' is a run itself: a sweep takes a folder of runs")
    if os.path.lexists(place) and not place.is_dir():
        raise ConfigError(f"'{place}' is no folder: name another place for the runs with --out")
    planned = [
        Planned(member, settings, place / member.name)
        for member, settings in zip(members, configs, strict=True)
    ]
    for warning in shared_budget_warnings({plan.member.name: plan.config for plan in planned}):
        warn(warning)
    if dry_run:
        given = {
            "--config": config,
            "--epochs": epochs,
            "--device": device,
            "--iw-samples": iw_samples,
            "--format": text_format,
            "--field": field,
            "--column": column,
            "--delimiter": delimiter,
            "--quoting": quoting,
            "--header": header,
            "--bad-rows": bad_rows,
        }
        list_all(planned, corpus, given, measures, as_json)
        return
    corpora = prepare_all(planned)
    note(f"sweep: {place}, {len(planned)} runs")
    again = "the same command" + ("" if out else f" and --out {place}")
    outcomes = run_all(planned, corpora, measures, again)
    show_comparison(compare(outcomes, not no_fold), form, f"{place}, test split")
    failed = [found.name for found in outcomes if found.standing != "evaluated"]
    if failed:
        raise MivaeError(
            f"{len(failed)} of {len(planned)} runs failed ({', '.join(failed[:5])}"
            f"{', ...' if len(failed) > 5 else ''}); to try them again: {again}"
        )
    note(f"next: mivae compare {place}")
