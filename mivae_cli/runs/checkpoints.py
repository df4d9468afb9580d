"""The checkpoints of a run: list them, find the newest, the best or one by name.

    checkpoints/epoch-0003/     saved after an epoch
    checkpoints/step-00000040/  saved within an epoch

A checkpoint is complete or absent. `best` and `last` are found from the manifests, so no pointer
can be lost. For the files see `runs.training_state`.
"""

__all__ = ["CHECKPOINTS", "CHECKPOINT_FILE", "NAME", "Checkpoint", "Checkpoints"]

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeGuard, TypeVar

from pydantic import ValidationError

from .. import limits
from ..errors import CheckpointError, reason
from ..storage.lock import lock_holder
from ..storage.manifest import MANIFEST, Entry, Manifest

CHECKPOINTS = "checkpoints"
T = TypeVar("T")
ATTEMPTS = 5  # at reading a checkpoint while training replaces checkpoints
NAME = re.compile(r"epoch-\d{4,}|step-\d{8,}")
CHECKPOINT_FILE = re.compile(r"(model|critic|training)\.safetensors|(state|manifest)\.json")


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint of a run. Its files are not verified until they are read."""

    manifest: Manifest
    step: int
    epoch: int  # completed epochs
    best: str | None  # name of the run's best checkpoint when this one was saved
    metrics: Entry  # size and checksum of metrics.jsonl at that time

    @property
    def name(self) -> str:
        """The name of the checkpoint's folder."""
        return self.manifest.folder.name

    def check(self) -> None:
        """Raises CheckpointError if a file is missing or damaged."""
        for file in self.manifest.files:
            self.manifest.checked_path(file)


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints folder of a run.

    Manifests are read on every call, because training adds and removes checkpoints.
    """

    run: Path
    run_id: str
    _known: dict[Path, Checkpoint] = field(default_factory=dict, repr=False, compare=False)

    @property
    def folder(self) -> Path:
        """The path of the folder."""
        return self.run / CHECKPOINTS

    def folders(self) -> Iterator[Path]:
        """Yields the folders of all checkpoints, intact or damaged.

        Raises:
            CheckpointError: The checkpoints folder is a link or a file, or cannot be read.
        """
        folder = self.folder
        if folder.is_symlink():
            raise CheckpointError(
                f"'{folder}' is a symbolic link: replace it by the folder it points to"
            )
        if folder.exists() and not folder.is_dir():
            raise CheckpointError(f"'{folder}' is damaged: it is not a folder")
        try:
            paths = sorted(folder.iterdir()) if folder.exists() else []
        except OSError as error:
            raise CheckpointError(f"cannot read '{folder}': {reason(error)}") from error
        yield from (path for path in paths if NAME.fullmatch(path.name))

    def load(self, folder: Path) -> Checkpoint:
        """Returns the checkpoint in a folder.

        Raises:
            CheckpointError: The folder is missing, its manifest is damaged, or it belongs to
                another run.
        """
        if not os.path.lexists(folder):
            raise CheckpointError(f"no checkpoint at '{folder}'")
        manifest = Manifest.read(folder, "checkpoint")
        body, path = manifest.body, folder / MANIFEST
        if body.get("run") != self.run_id:
            raise CheckpointError(f"'{path}' belongs to another run")
        best, step, epoch = body.get("best"), body.get("step"), body.get("epoch")
        if not (best is None or (isinstance(best, str) and NAME.fullmatch(best))):
            raise CheckpointError(f"'{path}' is damaged: 'best' is not the name of a checkpoint")
        if not _is_count(step) or not _is_count(epoch):
            key = "epoch" if _is_count(step) else "step"
            raise CheckpointError(f"'{path}' is damaged: '{key}' is not a count")
        try:
            metrics = Entry.model_validate(body.get("journal"))
        except ValidationError as error:
            raise CheckpointError(f"'{path}' is damaged: 'journal' is missing") from error
        found = Checkpoint(manifest, step, epoch, best, metrics)
        if self._known.get(folder) != found:  # else kept: its verified files are not read again
            self._known[folder] = found
        return self._known[folder]

    def all(self, problems: list[str] | None = None) -> list[Checkpoint]:
        """Returns the run's checkpoints, oldest first.

        A damaged one raises CheckpointError; if `problems` is given, it is skipped, and its
        message appended there.
        """
        found = []
        for folder in self.folders():
            try:
                found.append(self.load(folder))
            except CheckpointError as error:
                if not os.path.lexists(folder):
                    continue  # training has just deleted it
                if problems is None:
                    raise
                problems.append(str(error))
        return sorted(found, key=lambda checkpoint: (checkpoint.step, checkpoint.epoch))

    def steady(self, read: Callable[[], T]) -> T:
        """Returns `read()`, with up to five attempts while training replaces checkpoints.

        Raises:
            CheckpointError: The call failed although the list did not change, or five times.
        """
        for _ in range(ATTEMPTS - 1):
            before = list(self.folders())
            try:
                return read()
            except CheckpointError:
                if list(self.folders()) == before:
                    raise
        return read()

    def newest(self) -> tuple[Checkpoint, list[str]]:
        """Returns the newest intact checkpoint, and a message for each newer, damaged one.

        Raises:
            CheckpointError: There is no intact checkpoint, or training has just deleted the one
                being verified (see `steady`).
        """
        problems: list[str] = []
        for checkpoint in reversed(self.all(problems)):
            try:
                checkpoint.check()
            except CheckpointError as error:
                if not os.path.lexists(checkpoint.manifest.folder):
                    raise
                problems.append(str(error))
            else:
                return checkpoint, problems
        if problems:
            raise CheckpointError(f"'{self.run}' has no intact checkpoint: {problems[0]}")
        raise self._none()

    def named(self, name: str) -> Checkpoint:
        """Returns the checkpoint `best`, `last`, or one by its own name.

        Raises:
            CheckpointError: There is no such checkpoint, or a manifest is damaged.
        """
        if name not in ("best", "last"):
            return self.load(self.folder / name)
        found = self.all()
        if not found:
            raise self._none()
        if name == "last":
            return found[-1]
        best = found[-1].best
        if best is None:
            raise CheckpointError(
                f"'{self.run}' has no best checkpoint yet, because the weights of its objective "
                f"were still changing. Use the last checkpoint: {self.folder / 'last'}"
            )
        listed = next((checkpoint for checkpoint in found if checkpoint.name == best), None)
        return listed or self.load(self.folder / best)

    def missing_best(self) -> Path | None:
        """Returns the folder of the best checkpoint if it is missing."""
        for _ in range(ATTEMPTS):
            before = list(self.folders())
            found = self.all([])
            best = self.folder / found[-1].best if found and found[-1].best else None
            if best is None or os.path.lexists(best):
                return None
            if list(self.folders()) == before:
                break
        return best

    def check_best(self, latest: Checkpoint) -> None:
        """Raises CheckpointError if the best checkpoint, as the latest names it, is not intact."""
        if latest.best is not None:
            self.load(self.folder / latest.best).check()

    def _none(self) -> CheckpointError:
        state = "training was stopped before the first save"
        if lock_holder(self.run) is not None:
            state = "training is still running and has not saved one yet"
        return CheckpointError(f"'{self.run}' has no checkpoint: {state}")


def _is_count(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value <= limits.MAX_TRAINING_STEPS
