"""The 'train' command."""

from pathlib import Path
from typing import Annotated

import typer

from ..limits import MAX_BATCH, MAX_LATENT, MAX_SEED, MAX_WEIGHT
from .support.options import Epochs, IWSamples, Sets
from .support.text_options import Reading, reads_text


@reads_text
def train(
    corpus: Annotated[
        str | None,
        typer.Argument(
            help="Text (.txt, .jsonl, .json, .csv, .tsv, each also .gz), a folder with train, valid "
            "and test files, or - for standard input.",
            show_default=False,
        ),
    ] = None,
    preset: Annotated[
        list[str], typer.Option(help="A method or recipe; see 'mivae presets'. Repeat to combine.")
    ] = [],
    config: Annotated[
        Path | None, typer.Option(help="A TOML file; see 'mivae config init'.")
    ] = None,
    set_: Sets = [],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The run directory; by default a new one under runs/."),
    ] = None,
    valid: Annotated[str | None, typer.Option(help="Validation text.")] = None,
    test: Annotated[str | None, typer.Option(help="Test text.")] = None,
    reading: Reading = {},
    tokenizer: Annotated[str | None, typer.Option(help="word or bpe.")] = None,
    mi_weight: Annotated[
        float | None,
        typer.Option(
            min=0, max=MAX_WEIGHT, help="Weight (lambda) of the mutual-information bound."
        ),
    ] = None,
    latent: Annotated[
        int | None, typer.Option(min=0, max=MAX_LATENT, help="Latent units.")
    ] = None,
    epochs: Epochs = None,
    batch_size: Annotated[
        int | None,
        typer.Option(min=2, max=MAX_BATCH, help="Sentences per step; --resume may change it."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=MAX_SEED, help="Seeds every random draw.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = None,
    iw_samples: IWSamples = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run that was interrupted.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the run that is there.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what the run would be and cost; write nothing.")
    ] = False,
    profile: Annotated[
        bool,
        typer.Option("--profile", help="Say where a step's time goes; write nothing."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the record as JSON.")] = False,
) -> None:
    """Train a text VAE, keep its best weights, and evaluate them.

    Example: [bold]mivae train corpus.txt --preset mine --mi-weight 1.0 --out runs/mine[/]
    """
    from ..config.epoch_budget import budget_warnings
    from ..config.resolve import read_config
    from ..config.run import RunConfig
    from ..errors import ConfigError
    from ..experiments.train_run import create_training, prepare, resume_training, unused_path
    from ..storage.manifest import MANIFEST
    from ..storage.sealed_json import claimed_kind
    from .support.console import warn
    from .support.corpus_notes import note_corpus
    from .support.dry_run import rehearse
    from .support.run_lookup import locate_interrupted
    from .support.training_output import show_training

    if corpus is not None and claimed_kind(Path(corpus) / MANIFEST) == "run":
        raise ConfigError(
            f"'{corpus}' is a run, not a text: to resume its training, run: mivae train "
            f"--resume --out {corpus}"
        )
    options = {
        "data.train": corpus,
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

    def laid_over(base: RunConfig | None) -> RunConfig:
        return read_config(preset, config, options, set_, base)

    if resume:
        if overwrite or dry_run or profile:
            raise ConfigError("--resume cannot be combined with --overwrite, --dry-run, --profile")
        training = resume_training(locate_interrupted(out), laid_over)
        for warning in budget_warnings(training.trainer.config):
            warn(warning)
        show_training(training, as_json)
        return
    settings = laid_over(None)
    if not settings.data.train:
        raise ConfigError("no corpus given. Usage: mivae train corpus.txt")
    prepared = prepare(settings)
    note_corpus(prepared)
    for warning in budget_warnings(settings):
        warn(warning)
    if dry_run or profile:
        rehearse(settings, prepared.corpus, profile, as_json)
        return
    path = out or unused_path(settings)
    show_training(create_training(settings, prepared.corpus, path, overwrite), as_json)
