"""Saves a run while it goes on, and again what the disk has not taken."""

__all__ = ["CheckpointWriter", "check_space", "tidy", "write_checkpoint"]

import errno
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from ..errors import CheckpointError, ConfigError, reason
from ..storage.files import sync_file, sync_folder, write_synced
from ..storage.manifest import entry_of, vouch_for
from ..storage.ownership import draft_of, drafted, holds_only, remove_folder, remove_tree
from .checkpoints import CHECKPOINT_FILE, CHECKPOINTS, NAME, Checkpoint
from .directory import RunDirectory
from .training_state import Snapshot

RETRY = 60.0  # seconds until a save that failed is tried again


class CheckpointWriter:
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
                write_checkpoint(self.run, self._waiting[0], self.keep)
                del self._waiting[0]
            self.trouble = None
        except OSError as error:
            self.trouble = reason(error)
        self._saved = time.monotonic()
        return self.trouble is None


def write_checkpoint(run: RunDirectory, snapshot: Snapshot, keep: int) -> None:
    """Writes a checkpoint, and removes those that are no longer kept.

    Arguments:
        run: The run.
        snapshot: What to write.
        keep: How many are kept beside the best and this one.

    Raises:
        OSError: It could not be written; those before are as they were.
    """
    folder = run.path / CHECKPOINTS
    if not os.path.lexists(folder):
        folder.mkdir()
        sync_folder(run.path)
    if folder.is_symlink():
        raise NotADirectoryError(errno.ENOTDIR, f"'{folder}' is a symbolic link: remove it")
    _remove_drafts(folder)
    place = folder / snapshot.name
    draft = draft_of(place)
    if os.path.lexists(place) and not holds_only(place, CHECKPOINT_FILE):
        raise FileExistsError(
            errno.EEXIST, f"'{place}' is in the way and mivae did not write it: move it elsewhere"
        )
    draft.mkdir()
    try:
        if run.journal.exists():
            sync_file(run.journal)
        for name, data in snapshot.files.items():
            write_synced(draft / name, data)
        body = {
            "run": run.id,
            "step": snapshot.step,
            "epoch": snapshot.epoch,
            "best": snapshot.best,
            "journal": snapshot.journal.model_dump(),
        }
        files = {name: entry_of(data) for name, data in snapshot.files.items()}
        vouch_for(draft, "checkpoint", files, body)
        if os.path.lexists(place):  # a damaged one, or of the very same state
            remove_tree(place, CHECKPOINT_FILE)
        draft.rename(place)
    except OSError:
        with suppress(OSError):  # on a full disk, room for the next attempt
            remove_folder(draft, CHECKPOINT_FILE)
        raise
    sync_folder(folder)
    _rotate(run, snapshot, keep)


def tidy(run: RunDirectory, latest: Checkpoint, keep: int) -> None:
    """Removes what the save of a checkpoint would have, had it not been cut short after writing.

    Arguments:
        run: The run; nobody else writes it, and none of its checkpoints is known to be damaged.
        latest: Its newest checkpoint.
        keep: How many are kept beside the best and this one.
    """
    _remove_drafts(run.path / CHECKPOINTS)
    _rotate(run, latest, keep)


def check_space(run: RunDirectory, snapshot: int, keep: int, corpus: int = 0) -> None:
    """Raises ConfigError unless what a run will keep fits on its disk.

    What the run that is there now takes counts as room.

    Arguments:
        run: The run, which need not be there yet.
        snapshot: The size of one checkpoint in bytes.
        keep: How many are kept beside the best and the last; one more is written meanwhile.
        corpus: The size of the prepared corpus in bytes, if it is still to be copied.
    """
    patterns = (f"{CHECKPOINTS}/*/*", "data/*") if corpus else (f"{CHECKPOINTS}/*/*",)
    folders = [run.path] if os.path.isdir(run.path) else []
    found = [path for folder in folders for each in patterns for path in folder.glob(each)]
    statuses = [path.stat() for path in found if path.is_file()]
    # a file with another name elsewhere, as in runs of older versions, leaves no room
    there = sum(status.st_size for status in statuses if status.st_nlink == 1)
    needed = snapshot * (keep + 3) + corpus - there
    place = run.path.absolute()
    while not os.path.exists(place):
        place = place.parent
    free = shutil.disk_usage(place).free
    if needed > free:
        what = "the prepared text and checkpoints" if corpus else "checkpoints"
        raise ConfigError(
            f"the disk of '{run.path}' has {_mebibytes(free)} free, and {what} will need "
            f"{_mebibytes(needed)}: free some, choose another place with --out, or keep fewer "
            "with --set training.keep=0"
        )


def _remove_drafts(folder: Path) -> None:
    for leftover in folder.iterdir():
        if NAME.fullmatch(drafted(leftover.name) or ""):
            with suppress(OSError):
                remove_folder(leftover, CHECKPOINT_FILE)


def _rotate(run: RunDirectory, latest: Snapshot | Checkpoint, keep: int) -> None:
    """Removes checkpoints but the latest, the best, and so many before them, the newest ones.

    Later ones were damaged when training was resumed. Its epochs are made anew, so what the later
    ones say of the best and of the journal no longer holds.
    """
    now = (latest.step, latest.epoch)
    try:
        complete = run.checkpoints.all([])
    except CheckpointError:  # the folder cannot be listed now
        return
    earlier = [found.name for found in complete if (found.step, found.epoch) < now]
    others = [name for name in earlier if name != latest.best]
    kept = {latest.name, latest.best, *(others[-keep:] if keep else [])}
    with suppress(CheckpointError):
        for folder in run.checkpoints.folders():
            if folder.name not in kept:
                with suppress(OSError):  # the new one is whole all the same; next time again
                    remove_tree(folder, CHECKPOINT_FILE)


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"
