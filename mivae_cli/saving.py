"""Saves a run while it goes on, and again what the disk has not taken."""

__all__ = ["Keeper", "check_space"]

import shutil
import time

from .checkpoint import Snapshot
from .errors import ConfigError
from .run import CHECKPOINTS, RunDirectory
from .storage.files import reason

RETRY = 60.0  # seconds until a save that failed is tried again


class Keeper:
    """Keeps a run's checkpoints on disk; a failure ends nothing, and is tried again later."""

    def __init__(self, run: RunDirectory, keep: int, minutes: float) -> None:
        self.run, self.keep = run, keep
        self.trouble: str | None = None  # why the latest save failed
        self._waiting: list[Snapshot] = []
        self._period = 60 * minutes
        self._saved = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time for a save in the middle of an epoch."""
        period = self._period if self.trouble is None else min(RETRY, self._period)
        return time.monotonic() - self._saved > period

    def save(self, snapshot: Snapshot) -> bool:
        """Tries to write a checkpoint, and before it the best one, if that is still waiting.

        Returns:
            Whether all is on disk.
        """
        wanted = {snapshot.best} - {snapshot.name}  # a later one of the same name is enough
        best = [waiting for waiting in self._waiting if waiting.name in wanted]
        self._waiting = [*best, snapshot]
        try:
            while self._waiting:
                self.run.save(self._waiting[0], self.keep)
                del self._waiting[0]
            self.trouble = None
        except OSError as error:
            self.trouble = reason(error)
        self._saved = time.monotonic()
        return self.trouble is None


def check_space(run: RunDirectory, snapshot: int, keep: int) -> None:
    """Raises ConfigError unless the checkpoints that a run will keep fit on its disk.

    Arguments:
        run: The run.
        snapshot: The size of one checkpoint in bytes.
        keep: How many are kept beside the best and the last; one more is written meanwhile.
    """
    folder = run.path / CHECKPOINTS
    there = sum(path.stat().st_size for path in folder.glob("*/*") if path.is_file())
    needed = snapshot * (keep + 3) - there
    free = shutil.disk_usage(run.path).free
    if needed > free:
        raise ConfigError(
            f"the disk of '{run.path}' has {_mebibytes(free)} free, and checkpoints will need "
            f"{_mebibytes(needed)}: free some, choose another place with --out, or keep fewer "
            "with --set training.keep=0"
        )


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"
