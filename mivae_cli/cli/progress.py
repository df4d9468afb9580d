"""Shows a training run while it goes on, and what came of it."""

__all__ = ["minutes", "run_training"]

import sys
from dataclasses import asdict

from rich.progress import BarColumn, Progress, TextColumn

from ..checkpoint import RunDirectory
from ..evaluation import evaluate
from ..trainer import Step, Trainer
from .console import note, print_json, stderr, stdout
from .tables import evaluation_table, validation_line

COLLAPSE_ADVICE = (
    "z tells sentences hardly apart. If this does not change, try a larger --mi-weight, "
    "--set model.encoder.pooling=max, --set model.decoder.word_dropout=0.3, or a slower rise of "
    "beta (objective.beta_schedule)"
)


def run_training(run: RunDirectory, trainer: Trainer, iw_samples: int, as_json: bool) -> None:
    """Trains to the end, evaluates the best weights on the test split, and shows both."""
    config = trainer.config
    note(
        f"run: {run.path} ({config.name}, {trainer.parameters / 1e6:.1f} M weights, "
        f"{trainer.device})"
    )
    if trainer.state.finished:
        note("this run is complete; evaluating it")
    try:
        _show(trainer, run)
    except KeyboardInterrupt:
        if (run.path / "checkpoints" / "last").is_dir():
            note(f"stopped; go on with: mivae train --resume --out {run.path}")
        else:
            note("stopped before the first checkpoint: nothing to go on from")
        raise
    note("evaluating the best checkpoint on the test split ...")
    corpus = trainer.corpus
    model = run.load_model(trainer.device)
    record = evaluate(
        model, corpus["test"], (corpus["train"], corpus["valid"]), iw_samples, config.seed
    )
    run.write_evaluation(asdict(record))
    if as_json:
        print_json(asdict(record), indent=2)
    else:
        stdout.print(evaluation_table(record, f"{run.path}, test split"))
        note("next: mivae sample, mivae interpolate, mivae estimate-mi")


def _show(trainer: Trainer, run: RunDirectory) -> None:
    epochs = trainer.config.training.epochs
    total = len(trainer.sampler) * epochs
    columns = BarColumn(bar_width=10), TextColumn("{task.description}")
    warned, units = False, ""
    # on a pipe or in a log file, lines that overwrite themselves are noise
    live = Progress(*columns, console=stderr, disable=not sys.stderr.isatty(), transient=True)
    with live:
        task = live.add_task("", total=total, completed=trainer.state.step)
        for record in trainer.fit(run):
            live.update(task, completed=record.step)
            if isinstance(record, Step):
                live.update(task, description=_description(record) + units)
                continue
            if trainer.config.model.latent_size:
                units = f"  {record.active_units} units"
            line = validation_line(record, epochs, trainer.config.model.latent_size)
            stderr.print(line, markup=False, soft_wrap=True)
            if record.collapsed and not warned:
                warned = True
                found = f"warning: the posterior has collapsed, I(x; z) is {record.mi:.2f} nats: "
                stderr.print(found + COLLAPSE_ADVICE, style="yellow", markup=False, soft_wrap=True)
            if record.stopped and record.epoch < epochs:
                note("validation no longer improves: stopping early")


def _description(record: Step) -> str:
    bound = "" if record.mi_bound is None else f"  MI bound {record.mi_bound:.2f}"
    return (
        f"{record.epoch:.1f}  {minutes(record.seconds_left)} left  "
        f"{record.tokens_per_second:,.0f} tokens/s  D {record.distortion:.1f}  "
        f"KL {record.rate:.2f}{bound}"
    )


def minutes(seconds: float) -> str:
    """Returns a duration as people say it."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
