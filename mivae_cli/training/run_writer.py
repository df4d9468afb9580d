"""Writes the metrics and checkpoints of a training to its run directory."""

__all__ = ["RunWriter"]

from dataclasses import asdict

from ..config.training import TrainingConfig
from ..errors import StorageError
from ..runs.checkpoint_writer import CheckpointWriter
from ..runs.directory import RunDirectory
from ..runs.training_state import Snapshot
from ..storage.manifest import Entry
from ..storage.metrics_log import MetricsLog
from .events import TrainingRecord


class RunWriter:
    """Appends records to the metrics log, and saves checkpoints.

    All methods raise StorageError if another run has replaced this one.
    """

    def __init__(self, run: RunDirectory, journal: MetricsLog, training: TrainingConfig) -> None:
        self.run, self.journal = run, journal
        self._checkpoints = CheckpointWriter(run, training.keep, training.save_minutes)

    @property
    def due(self) -> bool:
        """Whether to save a checkpoint within the epoch now."""
        return self._checkpoints.due

    @property
    def problem(self) -> str | None:
        """Why the last save failed, or None."""
        return self._checkpoints.problem

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

    def save(self, snapshot: Snapshot) -> bool:
        """Writes a checkpoint; returns whether it is on disk."""
        return self._checkpoints.save(snapshot)

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
                "Train again into another directory with --out"
            )
