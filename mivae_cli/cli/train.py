"""The 'train' command."""

from pathlib import Path
from typing import Annotated

import typer

from ..limits import MAX_BATCH, MAX_LATENT, MAX_SEED, MAX_WEIGHT
from .support.options import Epochs, IWSamples, Sets, Track, TrackDir
from .support.text_options import Reading, reads_text


@reads_text
def train(
    corpus: Annotated[
        list[str] | None,
        typer.Argument(
            help="Text files (.txt, .jsonl, .json, .csv or .tsv, also with .gz), a pattern such as "
            "'shards/*.txt', a folder, or - for standard input."
        ),
    ] = None,
    preset: Annotated[
        list[str], typer.Option(help="Method or recipe; see 'mivae presets'. May be repeated.")
    ] = [],
    config: Annotated[
        Path | None, typer.Option(help="TOML file of settings; see 'mivae config init'.")
    ] = None,
    set_: Sets = [],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Run directory; default: a new one in runs/."),
    ] = None,
    valid: Annotated[
        str | None, typer.Option(help="Validation text; default: part of the corpus.")
    ] = None,
    test: Annotated[
        str | None, typer.Option(help="Test text; default: part of the corpus.")
    ] = None,
    reading: Reading = {},
    tokenizer: Annotated[str | None, typer.Option(help="Tokenizer: word or bpe.")] = None,
    mi_weight: Annotated[
        float | None,
        typer.Option(
            min=0, max=MAX_WEIGHT, help="Weight (lambda) of the mutual-information bound."
        ),
    ] = None,
    latent: Annotated[
        int | None,
        typer.Option(min=0, max=MAX_LATENT, help="Number of latent units; 0: a language model."),
    ] = None,
    epochs: Epochs = None,
    batch_size: Annotated[
        int | None,
        typer.Option(min=2, max=MAX_BATCH, help="Sentences per step; can be changed on --resume."),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=MAX_SEED, help="Random seed.")] = None,
    device: Annotated[
        str | None, typer.Option(help="Device: auto, cpu, cuda, cuda:1 or mps.")
    ] = None,
    iw_samples: IWSamples = None,
    track: Track = [],
    track_dir: TrackDir = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Continue an interrupted run: that of --out, or the newest."
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing run in --out.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Estimate time, memory and disk space; write no run.")
    ] = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="Time the parts of a training step; write no run.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the evaluation as JSON.")] = False,
) -> None:
    """Train a text VAE and evaluate its best checkpoint on the test split.

    Example: [bold]mivae train corpus.txt --preset mine --mi-weight 1.0 --out runs/mine[/]
    """
    from ..config.epoch_budget import budget_warnings
    from ..config.resolve import read_config
    from ..config.run import RunConfig
    from ..errors import ConfigError
    from ..experiments.train_run import create_training, preparing, resume_training, unused_path
    from ..runs.latest import newest_interrupted
    from ..stages import finish
    from ..storage.manifest import MANIFEST
    from ..storage.sealed_json import claimed_kind
    from ..tracking.trackers import Tracking
    from .support.console import warn
    from .support.preparation_progress import PreparationProgress
    from .support.run_lookup import locate
    from .support.training_output import note_corpus, show_cost, show_profile, show_training

    tracking = Tracking.of(track, track_dir)
    for text in corpus or ():
        if claimed_kind(Path(text) / MANIFEST) == "run":
            raise ConfigError(
                f"'{text}' is a run, not a text. To resume it: mivae train --resume --out {text}"
            )
    options = {
        "data.train": corpus or None,
        "data.valid": valid,
        "data.test": test,
        "data.tokenizer": None if tokenizer is None else {"kind": tokenizer},
        "objective.mi_weight": mi_weight,
        "model.latent_size": latent,
        "training.epochs": epochs,
        "training.batch_size": batch_size,
        "evaluation.iw_samples": iw_samples,
        "seed": seed,
        "device": device,
        **reading,
    }

    def with_options(base: RunConfig | None) -> RunConfig:
        return read_config(preset, config, options, set_, base)

    if resume:
        if overwrite or dry_run or profile:
            raise ConfigError("--resume cannot be combined with --overwrite, --dry-run, --profile")
        training = resume_training(locate(None, out, newest_interrupted), with_options)
        warn(*budget_warnings(training.trainer.config))
        return show_training(training, as_json, tracking)
    settings = with_options(None)
    if not settings.data.train:
        raise ConfigError("no corpus given. Usage: mivae train corpus.txt")
    with PreparationProgress() as progress:
        prepared = finish(preparing(settings), progress)
    note_corpus(prepared)
    warn(*budget_warnings(settings))
    if dry_run:
        return show_cost(settings, prepared.corpus)
    if profile:
        return show_profile(settings, prepared.corpus, as_json)
    path = out or unused_path(settings)
    training = create_training(settings, prepared.corpus, path, overwrite)
    return show_training(training, as_json, tracking)
