"""Shows a training run while it goes on, and what came of it."""

__all__ = [
    "listening",
    "minutes",
    "run_training",
    "say_how_to_go_on",
    "store_evaluation",
    "train_and_evaluate",
]

import errno
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn

from ...errors import MivaeError, is_out_of_memory
from ...evaluation.evaluate import Evaluation
from ...evaluation.records import samples_of
from ...experiments.evaluate_run import evaluate_run
from ...generation.evaluate_text import Plan, measure
from ...runs.directory import RunDirectory
from ...signals import Interrupted, Interruption
from ...training.collapse import COLLAPSED, remedies
from ...training.trainer import SaveFailed, Skipped, Step, Trainer, Validation
from .console import note, print_json, stderr, stdout, warn
from .evaluation_table import evaluation_table
from .live_stages import stages
from .live_text_evaluation import measured_in_full
from .run_lookup import load_judge, load_pinned
from .tables import validation_line

LINES = 5  # that a warning names; metrics.jsonl has all
SMALLEST_BATCH = 2  # a sentence alone has no other to be told from


def run_training(run: RunDirectory, trainer: Trainer, as_json: bool) -> None:
    """Trains to the end, evaluates the best weights on the test split, and shows both."""
    try:
        with listening() as interruption:
            record = train_and_evaluate(run, trainer, interruption)
    except Interrupted:
        resume = f"mivae train --resume --out {run.path}"
        say_how_to_go_on(trainer, resume, f"mivae eval {run.path}")
        raise
    except (MemoryError, RuntimeError) as error:
        size = trainer.config.training.batch_size // 2
        if trainer.finished or size < SMALLEST_BATCH or not is_out_of_memory(error):
            raise
        raise MivaeError(
            f"not enough memory for batches of {trainer.config.training.batch_size:,} sentences. "
            "Resume with smaller batches: mivae train --resume --out "
            f"{shlex.quote(str(run.path))} --batch-size {size}"
        ) from error
    table = store_evaluation(run, record)
    if as_json:
        print_json(table, indent=2)
    else:
        stdout.print(evaluation_table(record, f"{run.path}, test split"))
        mi = None if record.mi is None else record.mi.known_posterior.value
        if mi is not None and mi < COLLAPSED:
            note(
                f"warning: the posterior has collapsed: I(x; z) is {mi:.2f} nats on the test split"
            )
        note("next: mivae sample, mivae interpolate, mivae estimate-mi")


def train_and_evaluate(
    run: RunDirectory,
    trainer: Trainer,
    interruption: Interruption,
    full: bool = False,
    lm: Path | None = None,
) -> Evaluation:
    """Trains to the end, which it shows, and evaluates the best weights on the test split.

    Arguments:
        run: Where it trains.
        trainer: The run's trainer.
        interruption: Tells when to stop.
        full: Whether to evaluate in full.
        lm: The run of a language model to judge by then; by default one is trained.

    Raises:
        Interrupted: A signal asked to stop.
        MivaeError: What `Trainer.fit` raises; the best checkpoint cannot be read.
    """
    config = trainer.config
    note(
        f"run: {run.path} ({config.name}, {trainer.parameters / 1e6:.1f} M weights, "
        f"{trainer.device})"
    )
    if trainer.finished:
        note("this run is complete; evaluating it")
    _show(trainer, run, interruption)
    note("evaluating the best checkpoint on the test split ...")
    corpus = trainer.corpus
    with interruption.breakable(), stages() as show:
        best, model = load_pinned(run, str(trainer.device))
        record = evaluate_run(best, model, watch=show)
    if full:
        longest, seed = config.data.max_tokens, config.evaluation.seed
        judge = None if lm is None else load_judge(lm, run, config.device)
        passes = measure(model, corpus, corpus["test"], longest, seed, Plan(), judge)
        record = replace(record, full=measured_in_full(passes, interruption))
    return record


def listening() -> Interruption:
    """Answers signals with words on stderr, while it is entered."""
    return Interruption(_waiting, _leaving)


def store_evaluation(run: RunDirectory, record: Evaluation) -> dict[str, Any]:
    """Adds a record to eval.json, and says what else is there.

    If it cannot be written, a warning says so and the figures are shown all the same.

    Returns:
        The record's JSON form, with what an evaluation in full has found of the same checkpoint.
    """
    table = asdict(record)
    try:
        found = run.write_evaluation(table)
    except MivaeError as error:
        note(f"warning: eval.json is not written: {error}")
        return table
    found = found.about(record.checkpoint and record.checkpoint.name)
    others = [each for each in found.records[:-1] if samples_of(each) is not None]
    if others:
        told = (f"{samples_of(each)} samples, seed {each.get('seed')}" for each in others)
        note(f"eval.json also keeps the records of: {'; '.join(told)}")
    if record.full is None:
        table["full"] = (found.exactly(record.iw_samples, record.seed) or {}).get("full")
        if table["full"] is not None:
            note("eval.json keeps the figures of 'mivae eval --full'")
    return table


def _show(trainer: Trainer, run: RunDirectory, interruption: Interruption) -> None:
    epochs = trainer.config.training.epochs
    total = trainer.state.step + trainer.steps_left
    columns = BarColumn(bar_width=10), TextColumn("{task.description}")
    warned, units = False, ""
    # on a pipe or in a log file, lines that overwrite themselves are noise
    live = Progress(*columns, console=stderr, disable=not sys.stderr.isatty(), transient=True)
    live.start()
    try:
        task = live.add_task("", total=total, completed=trainer.state.step)
        for record in trainer.fit(run, interruption):
            live.update(task, completed=record.step)
            match record:
                case Step():
                    live.update(task, description=_description(record) + units)
                case Skipped():
                    note(f"warning: step {record.step}: {record.reason}; {_where(record)}")
                case SaveFailed():
                    warn(
                        f"step {record.step:,} could not be saved ({record.reason}); what was "
                        "saved before is whole, training goes on, and saving is tried again"
                    )
                case Validation():
                    if trainer.config.model.latent_size:
                        units = f"  {record.active_units} units"
                        units += f" ({record.effective_units:.1f} effective)"
                    line = validation_line(record, epochs, trainer.config.model.latent_size)
                    stderr.print(line, markup=False, soft_wrap=True)
                    if record.collapsed and not warned:
                        warned = True
                        warn(
                            f"the posterior has collapsed: I(x; z) is {record.mi:.2f} nats, so z "
                            "says almost nothing about a sentence. Train another run with "
                            + ", or ".join(remedies(trainer.config))
                            + ". These costs were measured on image captions (docs/methods.md)."
                        )
                    if record.stopped and record.epoch < epochs:
                        note("validation no longer improves: stopping early")
    finally:
        with _listened_to():
            live.stop()


@contextmanager
def _listened_to() -> Iterator[None]:
    """Lets training go on when the terminal has gone: what is said from then on is lost."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stderr.fileno())
        os.close(nowhere)


def _where(skipped: Skipped) -> str:
    numbers = sorted(skipped.lines or skipped.sentences)
    listed = ", ".join(map(str, numbers[:LINES])) + (", ..." if len(numbers) > LINES else "")
    named = f"lines {listed}" if skipped.lines else f"sentences {listed} of the training split"
    return f"its batch ({named}) was passed over"


def _waiting() -> None:
    with _listened_to():
        note("stopping after this step (once more to leave at once, without saving) ...")


def _leaving() -> None:
    stderr.show_cursor()  # which a progress bar has hidden


def say_how_to_go_on(trainer: Trainer, resume: str, evaluate: str) -> None:
    """Says what an interrupted training has come to, and which command goes on with it."""
    step = trainer.state.step
    with _listened_to():
        if trainer.finished:
            note(f"training is complete; evaluate it with: {evaluate}")
        elif not step:
            note(f"stopped before the first step; start it with: {resume}")
        else:
            note(f"stopped after step {step:,} and saved; go on with: {resume}")


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
