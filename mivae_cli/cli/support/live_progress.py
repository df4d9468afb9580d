"""Progress records of training, evaluation and sweeps, displayed on stderr."""

__all__ = ["LiveProgress", "listening", "minutes"]

import errno
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from rich import progress
from rich.console import RenderableType

from ...errors import MivaeError
from ...evaluation.rounding import two_decimals
from ...experiments.sweep import RunComplete, RunFailed, RunStarted, SweepProgress, SweepStopped
from ...signals import Interruption
from ...stages import Stage
from ...tracking.follow import TrackerFailed, TrackerStarted
from ...training.collapse import collapse_warning
from ...training.events import SaveFailed, Skipped, Started, Step, Stopped, Validation
from .console import complain, note, report_line, stderr, warn
from .live_curves import LiveCurves

LINES = 5  # line numbers in a warning; metrics.jsonl has all


class LiveProgress:
    """Displays records: a line for each event, and a progress bar if stderr is a terminal."""

    def __init__(self, command: str | None = None, options: str = "") -> None:
        """Prepares the display.

        Arguments:
            command: The command that continues after an interruption; by default that of the run.
            options: Further options of that command.
        """
        self._command, self._options = command, options
        description = progress.TextColumn("{task.description}", markup=False)
        self._curves = LiveCurves()
        self._training = _bar(description, curves=self._curves)
        self._stages = _bar(
            description, progress.TaskProgressColumn(), progress.TimeRemainingColumn()
        )
        self._shown: progress.Progress | None = None
        self._stage = ""
        self._run: Started | None = None
        self._units = ""
        self._warned = False  # about posterior collapse

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._show(None)

    def __call__(self, record: SweepProgress) -> None:
        """Displays a record."""
        match record:
            case Stage():
                self._on_stage(record)
            case Started():
                self._on_start(record)
            case Step():
                self._advance(record.step, _description(record) + self._units)
            case Validation():
                self._on_validation(record)
            case Skipped():
                self._advance(record.step)
                warn(f"step {record.step}: {record.reason}; skipped {_batch(record)}", style="dim")
            case SaveFailed():
                self._advance(record.step)
                warn(
                    f"step {record.step:,} could not be saved ({record.reason}). Earlier "
                    "checkpoints are intact; training continues and will try again."
                )
            case TrackerStarted(name, view):
                note(f"tracking with {name}: {view}")
            case TrackerFailed(name, why):
                warn(f"tracking with {name} has failed and ends here: {why}")
            case Stopped():
                self._show(None)
                self._on_stop(record)
            case RunStarted():
                self._show(None)
                note(f"run {record.number} of {record.total}: {record.name}")
            case RunComplete():
                note("already complete")
            case RunFailed(name, error):
                self._show(None)
                known = isinstance(error, MivaeError)
                complain(f"{name}: {error if known else report_line(error)}")
            case SweepStopped():
                note(f"stopped before {record.name}; continue with: {self._command}")

    def _show(self, bar: progress.Progress | None) -> None:
        """Starts a bar and stops the other one."""
        if bar is self._shown:
            return
        if self._shown is not None:
            with _closed_terminal_tolerated():
                self._shown.stop()
        self._shown = bar
        if bar is not None:
            bar.start()

    def _on_stage(self, stage: Stage) -> None:
        self._show(self._stages)
        (task,) = self._stages.task_ids
        if stage.name != self._stage:
            self._stage = stage.name
            note(f"{stage.name} ...")
            self._stages.reset(task, description=stage.name, total=stage.total, visible=True)
        self._stages.update(task, completed=stage.done)

    def _on_start(self, run: Started) -> None:
        self._run, self._stage, self._units, self._warned = run, "", "", False
        self._curves.latent_units, self._curves.seen = run.config.model.latent_size, []
        warn(*run.warnings, style="dim")
        if run.changes:
            note(f"changed: {'; '.join(run.changes)}")
        if run.resumed:
            place = f" and {run.batches:,} batches" if run.batches else ""
            note(f"resuming {run.path} after epoch {run.epoch}{place}, step {run.step:,}")
        note(
            f"run: {run.path} ({run.config.name}, {run.parameters / 1e6:.1f} M weights, "
            f"{run.device})"
        )
        if run.finished:
            note("training is complete; evaluating the run")
        else:
            (task,) = self._training.task_ids
            self._training.reset(
                task, total=run.steps, completed=run.step, description="", visible=True
            )
            self._show(self._training)

    def _advance(self, step: int, description: str | None = None) -> None:
        (task,) = self._training.task_ids
        self._training.update(task, completed=step, description=description)

    def _on_validation(self, record: Validation) -> None:
        assert self._run is not None
        self._advance(record.step)
        self._curves.seen.append(record)
        config = self._run.config
        epochs, latent_size = config.training.epochs, config.model.latent_size
        if latent_size:
            self._units = f"  {record.active_units} units ({record.effective_units:.1f} effective)"
        stderr.print(_validation_line(record, epochs, latent_size), markup=False, soft_wrap=True)
        if record.collapsed and not self._warned:
            self._warned = True
            warn(collapse_warning(record.mi, config))
        if record.stopped and record.epoch < epochs:
            note("validation no longer improves: stopping early")

    def _on_stop(self, record: Stopped) -> None:
        assert self._run is not None
        path = self._run.path
        resume = (
            self._command or f"mivae train --resume --out {shlex.quote(str(path))}{self._options}"
        )
        with _closed_terminal_tolerated():
            if record.finished:
                evaluate = self._command or f"mivae eval {shlex.quote(str(path))}"
                note(f"training is complete; evaluate it with: {evaluate}")
            elif not record.step:
                note(f"stopped before the first step; start with: {resume}")
            else:
                note(f"stopped after step {record.step:,} and saved; resume with: {resume}")


def listening() -> Interruption:
    """Returns an interruption that confirms the first signal on stderr."""
    return Interruption(_waiting, _leaving)


def minutes(seconds: float) -> str:
    """Returns a duration for display: seconds up to two minutes, minutes above."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


class _Bar(progress.Progress):
    """A progress bar with curves below it."""

    curves = LiveCurves()

    def get_renderables(self) -> Iterator[RenderableType]:
        yield from super().get_renderables()
        yield self.curves


def _bar(*columns: progress.ProgressColumn, curves: LiveCurves | None = None) -> progress.Progress:
    # on a pipe or in a log file, a bar that redraws itself is noise
    hidden = not sys.stderr.isatty()
    bar = _Bar(
        progress.BarColumn(bar_width=10), *columns, console=stderr, disable=hidden, transient=True
    )
    bar.curves = curves or LiveCurves()
    bar.add_task("", visible=False)
    return bar


def _description(record: Step) -> str:
    bound = "" if record.mi_bound is None else f"  MI bound {record.mi_bound:.2f}"
    return (
        f"{record.epoch:.1f}  {minutes(record.seconds_left)} left  "
        f"{record.tokens_per_second:,.0f} tokens/s  D {record.distortion:.1f}  "
        f"KL {record.rate:.2f}{bound}"
    )


def _validation_line(record: Validation, epochs: int, latent_units: int) -> str:
    """Returns the validation after an epoch as one line of fixed columns."""
    line = (
        f"epoch {record.epoch:>3}/{epochs}  ELBO {two_decimals(record.elbo):>8}  "
        f"D {two_decimals(record.distortion):>7}"
    )
    if latent_units:
        line += (
            f"  KL {two_decimals(record.rate):>7}  MI {two_decimals(record.mi):>5}"
            f"  units {record.active_units:>3}/{latent_units} active, "
            f"{record.units_above:>3} > 0.1 nats, {record.effective_units:5.1f} effective"
        )
    if record.encoder_steps:
        line += f"  {record.encoder_steps:.0f} encoder steps per step"
    return f"{line}  {record.seconds:5.0f} s{'  best' if record.best else ''}"


def _batch(skipped: Skipped) -> str:
    places = skipped.places or [str(index) for index in sorted(skipped.sentences)]
    listed = ", ".join(places[:LINES]) + (", ..." if len(places) > LINES else "")
    named = f"lines {listed}" if skipped.lines else f"sentences {listed} of the training split"
    return f"this batch ({named})"


def _waiting() -> None:
    with _closed_terminal_tolerated():
        note("stopping after this step (signal again to exit at once without saving) ...")


def _leaving() -> None:
    stderr.show_cursor()  # hidden by the progress bar


@contextmanager
def _closed_terminal_tolerated() -> Iterator[None]:
    """Lets training continue after its terminal was closed; later output is discarded."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        discard = os.open(os.devnull, os.O_WRONLY)
        os.dup2(discard, sys.stderr.fileno())
        os.close(discard)
