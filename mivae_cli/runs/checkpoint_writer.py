"""Save checkpoints during training, and retry failed saves."""

__all__ = ["CheckpointWriter", "check_space", "tidy", "write_checkpoint"]

import errno
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from ..errors import CheckpointError, ConfigError, reason
from ..storage.files import sync_file, sync_folder, write_synced
from ..storage.manifest import entry_of, write_manifest
from ..storage.ownership import draft_path, draft_target, holds_only, remove_folder, remove_tree
from .checkpoints import CHECKPOINT_FILE, CHECKPOINTS, NAME, Checkpoint
from .directory import RunDirectory
from .training_state import Snapshot

RETRY = 60.0  # seconds until a failed save is retried


class CheckpointWriter:
    """Writes the checkpoints of a run; a failed save does not stop training and is retried."""

    def __init__(self, run: RunDirectory, keep: int, minutes: float) -> None:
        self.run, self.keep = run, keep
        self.problem: str | None = None  # why the latest save failed
        self._waiting: list[Snapshot] = []
        self._period = 60 * minutes
        self._saved = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time to save within an epoch."""
        period = self._period if self.problem is None else min(RETRY, self._period)
        return time.monotonic() - self._saved > period

    def save(self, snapshot: Snapshot) -> bool:
        """Tries to write a checkpoint, and a best one that failed; returns whether all is saved."""
        wanted = {snapshot.best} - {snapshot.name}  # a newer snapshot of the same name replaces it
        best = [waiting for waiting in self._waiting if waiting.name in wanted]
        self._waiting = [*best, snapshot]
        try:
            while self._waiting:
                write_checkpoint(self.run, self._waiting[0], self.keep)
                del self._waiting[0]
            self.problem = None
        except OSError as error:
            self.problem = reason(error)
        self._saved = time.monotonic()
        return self.problem is None


def write_checkpoint(run: RunDirectory, snapshot: Snapshot, keep: int) -> None:
    """Writes a checkpoint, and removes others except the best and the `keep` newest earlier ones.

    Raises:
        OSError: The checkpoint could not be written; earlier ones are unchanged.
    """
    folder = run.path / CHECKPOINTS
    if not os.path.lexists(folder):
        folder.mkdir()
        sync_folder(run.path)
    if folder.is_symlink():
        raise NotADirectoryError(errno.ENOTDIR, f"'{folder}' is a symbolic link: remove it")
    _remove_drafts(folder)
    place = folder / snapshot.name
    draft = draft_path(place)
    if os.path.lexists(place) and not holds_only(place, CHECKPOINT_FILE):
        raise FileExistsError(
            errno.EEXIST, f"'{place}' exists and mivae did not write it: move it elsewhere"
        )
    draft.mkdir()
    try:
        if run.metrics_path.exists():
            sync_file(run.metrics_path)
        for name, data in snapshot.files.items():
            write_synced(draft / name, data)
        place_in_run = {"step": snapshot.step, "epoch": snapshot.epoch, "best": snapshot.best}
        body = {"run": run.id, **place_in_run, "journal": snapshot.metrics.model_dump()}
        files = {name: entry_of(data) for name, data in snapshot.files.items()}
        write_manifest(draft, "checkpoint", files, body)
        if os.path.lexists(place):  # damaged, or of the same state
            remove_tree(place, CHECKPOINT_FILE)
        draft.rename(place)
    except OSError:
        with suppress(OSError):  # free space on a full disk for the next attempt
            remove_folder(draft, CHECKPOINT_FILE)
        raise
    sync_folder(folder)
    _rotate(run, snapshot, keep)


def tidy(run: RunDirectory, latest: Checkpoint, keep: int) -> None:
    """Removes what an interrupted save has left behind.

    The run's lock is held, `latest` is its newest checkpoint, and none is known to be damaged.
    """
    _remove_drafts(run.path / CHECKPOINTS)
    _rotate(run, latest, keep)


def check_space(path: Path, snapshot: int, keep: int, corpus: int = 0) -> None:
    """Raises ConfigError if the files of a run will not fit on its disk, replacing existing ones.

    Arguments:
        path: The directory of the run, which need not exist.
        snapshot: The size of a checkpoint in bytes.
        keep: Number of checkpoints to keep besides the best, the last and the one being written.
        corpus: The size of the prepared corpus in bytes, if it is still to be copied.
    """
    patterns = [f"{CHECKPOINTS}/*/*", *(["data/*"] if corpus else [])]
    found = [file for each in patterns if os.path.isdir(path) for file in path.glob(each)]
    statuses = [file.stat() for file in found if file.is_file()]
    # removing a hard link frees no space; runs of older versions link to the cache
    existing = sum(status.st_size for status in statuses if status.st_nlink == 1)
    needed = snapshot * (keep + 3) + corpus - existing
    place = path.absolute()
    while not os.path.exists(place):
        place = place.parent
    free = shutil.disk_usage(place).free
    if needed > free:
        what = "the prepared corpus and the checkpoints" if corpus else "the checkpoints"
        raise ConfigError(
            f"not enough space for '{path}': {what} need {needed / 2**20:,.1f} MiB, and "
            f"{free / 2**20:,.1f} MiB are free. Free some space, choose another output "
            "directory (--out; in Python, out=), or keep fewer checkpoints with --set "
            "training.keep=0"
        )


def _remove_drafts(folder: Path) -> None:
    for leftover in folder.iterdir():
        if NAME.fullmatch(draft_target(leftover.name) or ""):
            with suppress(OSError):
                remove_folder(leftover, CHECKPOINT_FILE)


def _rotate(run: RunDirectory, latest: Snapshot | Checkpoint, keep: int) -> None:
    """Removes all checkpoints except the latest, the best, and the `keep` newest earlier ones.

    Checkpoints with a later step were damaged when training was resumed, and training repeats
    their steps: they are removed, because their best checkpoint and metrics are outdated.
    """
    now = (latest.step, latest.epoch)
    with suppress(CheckpointError):  # the folder cannot be read now
        complete = run.checkpoints.all([])
        earlier = [found.name for found in complete if (found.step, found.epoch) < now]
        others = [name for name in earlier if name != latest.best]
        kept = {latest.name, latest.best, *(others[-keep:] if keep else [])}
        for folder in run.checkpoints.folders():
            if folder.name not in kept:
                with suppress(OSError):  # retried at the next save
                    remove_tree(folder, CHECKPOINT_FILE)
