"""Output of train: the corpus, the cost of a run or the time of its steps, and its training."""

__all__ = ["note_corpus", "show_cost", "show_profile", "show_training"]

import shlex
from collections.abc import Callable
from typing import TypeVar

from rich.table import Column, Table

from ...config.run import RunConfig
from ...data.corpus import locate_splits
from ...data.prepared_corpus import Corpus
from ...errors import MivaeError, is_out_of_memory
from ...experiments.cost import estimate_cost
from ...experiments.train_run import CorpusPrepared, RunInTraining, train_run
from ...finite_checks import NonFiniteBatch
from ...reports.run_report import write_run_report
from ...stages import finish
from ...tracking.trackers import Tracking
from ...training.collapse import COLLAPSED
from ...training.divergence import with_advice
from ...training.profiler import Timing, profile
from ...training.trainer import Trainer
from .console import note, print_json, stderr, stdout, warn
from .evaluation_table import show_evaluation
from .live_progress import LiveProgress, listening, minutes
from .tables import cell, new_table, right
from .text_input import note_rows

NO_FILES = "no files were written"
SMALLEST_BATCH = 2  # the critic needs a second sentence to compare with
T = TypeVar("T")


def note_corpus(prepared: CorpusPrepared) -> None:
    """Prints rows read, sentences, tokens and unknown words of each split."""
    data, corpus = prepared.config.data, prepared.corpus
    warn(*corpus.warnings, style="dim")
    files = {} if data.train == "-" else locate_splits(data)
    for split, rows in corpus.rows.items():
        paths = files.get(split, ("-",))
        note_rows(paths[0] if len(paths) == 1 else f"{len(paths):,} files", rows)
    for split, summary in corpus.summaries.items():
        remarks = [f"{summary.sentences:,} sentences", f"{summary.tokens:,} tokens"]
        if summary.unknown:
            remarks.append(f"{summary.unknown_share:.1%} unknown")
        if summary.truncated:
            remarks.append(f"{summary.truncated:,} cut to {data.max_tokens} tokens")
        if summary.skipped:
            remarks.append(f"{summary.skipped:,} longer than {data.max_tokens} skipped")
        note(f"{split + ':':<7}{', '.join(remarks)}")
    warn(*prepared.warnings(), style="dim")
    kind, size = data.tokenizer.kind, corpus.tokenizer.size
    note(f"vocabulary: {size:,} ({kind}); prepared in {prepared.seconds:.1f} s")


def show_cost(config: RunConfig, corpus: Corpus) -> None:
    """Prints the size of a run and its use of time, memory and disk."""
    cost = _measured(Trainer(config, corpus), estimate_cost)
    training, milliseconds = minutes(cost.seconds), 1e3 * cost.seconds_per_step
    disk = f"about {cost.checkpoint_disk / 2**20:,.0f} MiB for {cost.checkpoints} checkpoints"
    rows = {
        "weights": f"{cost.parameters:,}",
        "device": cost.device,
        "steps": f"at most {cost.steps:,} ({cost.steps_per_epoch:,} per epoch)",
        "time": f"about {training} of training, {milliseconds:.0f} ms a step",
        "memory": f"{cost.memory / 2**20:,.0f} MiB at the peak of the first steps",
        "disk": f"{disk}, {cost.corpus_disk / 2**20:,.1f} MiB for the corpus",
    }
    table = new_table("dry run", Column("quantity", style="dim"), "estimate", caption=NO_FILES)
    for name, value in rows.items():
        table.add_row(cell(name), cell(value))
    stdout.print(table)


def show_profile(config: RunConfig, corpus: Corpus, as_json: bool) -> None:
    """Prints the time that each part of a training step takes."""
    trainer = Trainer(config, corpus)
    timing = _measured(trainer, profile)
    if as_json:
        print_json({"seconds": timing.seconds, "tokens_per_second": timing.tokens_per_second})
    else:
        stdout.print(timing_table(timing, f"a training step on {trainer.device}"))


def timing_table(timing: Timing, title: str) -> Table:
    """Returns the time of each part of a training step."""
    total = timing.step_seconds
    columns = (Column("part", style="dim"), right("ms"), right("share"))
    table = new_table(title, *columns, caption=NO_FILES)
    for part, seconds in timing.seconds.items():
        if seconds:
            table.add_row(cell(part), f"{1e3 * seconds:,.1f}", f"{seconds / total:.0%}")
    table.add_section()
    table.add_row("step", f"{1e3 * total:,.1f}", "")
    table.add_row("tokens/s", f"{timing.tokens_per_second:,.0f}", "")
    return table


def _measured(trainer: Trainer, measure: Callable[[Trainer], T]) -> T:
    try:
        return measure(trainer)
    except NonFiniteBatch as error:
        raise with_advice(error, trainer.config) from error


def show_training(
    training: RunInTraining, as_json: bool, tracking: Tracking | None = None
) -> None:
    """Trains a run to the end and prints the evaluation of its best checkpoint."""
    path, trainer = training.run.path, training.trainer
    options = "" if tracking is None else f" {_options(tracking)}"
    try:
        with listening() as interruption, LiveProgress(options=options) as show:
            work = train_run(training, interruption=interruption, tracking=tracking)
            evaluated = finish(work, show)
    except (MemoryError, RuntimeError) as error:
        size = trainer.config.training.batch_size // 2
        if trainer.finished or size < SMALLEST_BATCH or not is_out_of_memory(error):
            raise
        raise MivaeError(
            f"not enough memory for batches of {trainer.config.training.batch_size:,} sentences. "
            "Resume with smaller batches: mivae train --resume --out "
            f"{shlex.quote(str(path))} --batch-size {size}{options}"
        ) from error
    show_evaluation(evaluated, f"{path}, test split", as_json)
    mi = None if as_json else evaluated.record.mi
    if mi is not None and (known := mi.known_posterior.value) < COLLAPSED:
        warn(
            f"the posterior has collapsed: I(x; z) is {known:z.2f} nats on the test split",
            style="dim",
        )
    _write_report(training)
    if not as_json:
        note(
            "next: mivae sample, mivae interpolate, mivae estimate-mi, mivae report, mivae explore"
        )


def _write_report(training: RunInTraining) -> None:
    """Writes the report of a run, if it is wanted, and prints its path."""
    with stderr.status("writing the report"):
        outcome = write_run_report(training.run, training.trainer.config)
    if outcome.problem:
        warn(outcome.problem, style="dim")
    elif outcome.path is not None:
        note(f"report: {outcome.path}")


def _options(tracking: Tracking) -> str:
    """Returns the options that ask for trackers."""
    given = [option for name in tracking.names for option in ("--track", name)]
    folder = [] if tracking.folder is None else ["--track-dir", str(tracking.folder)]
    return shlex.join(given + folder)
