"""Writes the metrics and checkpoints of a training to its run directory."""

__all__ = ["RunWriter"]

from dataclasses import asdict

from ..config.training import TrainingConfig
from ..errors import StorageError
from ..runs.checkpoint_writer import CheckpointWriter
from ..runs.directory import RunDirectory
from ..storage.manifest import Entry
from ..storage.metrics_log import MetricsLog
from .events import TrainingRecord


class RunWriter(CheckpointWriter):
    """Writes the metrics log and the checkpoints of a run.

    Writing to the log raises StorageError if another run has replaced this one.
    """

    def __init__(self, run: RunDirectory, journal: MetricsLog, training: TrainingConfig) -> None:
        super().__init__(run, training.keep, training.save_minutes)
        self.journal = journal

    def append(self, record: TrainingRecord) -> TrainingRecord:
        """Appends a record to the metrics log, and returns it."""
        self._check_place()
        self.journal.append({"kind": type(record).__name__.lower(), **asdict(record)})
        return record

    def journal_entry(self) -> Entry:
        """Writes pending records, and returns the size and checksum of the metrics log."""
        self._check_place()
        self.journal.flush()
        return self.journal.entry

    def check_saved(self, step: int) -> None:
        """Raises StorageError if the last save, at this step, failed."""
        if self.problem is not None:
            raise StorageError(
                f"step {step} could not be saved to '{self.run.path}': {self.problem}. Earlier "
                "checkpoints are intact. Fix the problem, then resume with: "
                f"mivae train --resume --out {self.run.path}"
            )

    def _check_place(self) -> None:
        if self.run.is_replaced():
            raise StorageError(
                f"'{self.run.path}' was deleted during training and now contains another run. "
                "Train again into another output directory (--out; in Python, out=)"
            )
