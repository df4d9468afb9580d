"""The checkpoints of a run: which there are, which is the newest, which the best.

    checkpoints/epoch-0003/     after an epoch
    checkpoints/step-00000040/  in the middle of one

A checkpoint is complete or not there (what is in one: see `checkpoint`). `best` and `last` are no
files: they are found from the manifests, so there is no pointer that could be lost.
"""

__all__ = ["CHECKPOINTS", "CHECKPOINT_FILE", "NAME", "Checkpoint", "Checkpoints"]

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard, TypeVar

from pydantic import ValidationError

from .. import limits
from ..errors import CheckpointError, reason
from ..storage.lock import held_by
from ..storage.manifest import MANIFEST, Entry, Manifest

CHECKPOINTS = "checkpoints"
T = TypeVar("T")
ATTEMPTS = 5  # to read a checkpoint that a training run keeps replacing
NAME = re.compile(r"epoch-\d{4,}|step-\d{8,}")
CHECKPOINT_FILE = re.compile(r"(model|critic|training)\.safetensors|(state|manifest)\.json")


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint of a run; its files are looked at when they are read."""

    manifest: Manifest
    step: int
    epoch: int  # epochs that are complete
    best: str | None  # the name of the run's best checkpoint when this one was saved
    journal: Entry  # how metrics.jsonl began then

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.manifest.folder.name

    def check(self) -> None:
        """Raises CheckpointError unless every file is as it was written."""
        for file in self.manifest.files:
            self.manifest.path(file)


@dataclass(frozen=True)
class Checkpoints:
    """What stands in a run's folder of checkpoints."""

    run: Path
    id: str  # the run's own name, which its checkpoints carry

    @property
    def folder(self) -> Path:
        """Where they stand."""
        return self.run / CHECKPOINTS

    def folders(self) -> Iterator[Path]:
        """Yields the folders of checkpoints, complete or damaged.

        Raises:
            CheckpointError: There is something else in their place, or it cannot be read.
        """
        folder = self.folder
        if folder.is_symlink():
            raise CheckpointError(
                f"'{folder}' is a symbolic link: replace it by the folder that it leads to"
            )
        if folder.exists() and not folder.is_dir():
            raise CheckpointError(f"'{folder}' is damaged: it is no folder")
        try:
            paths = sorted(folder.iterdir()) if folder.exists() else []
        except OSError as error:
            raise CheckpointError(f"cannot read '{folder}': {reason(error)}") from error
        yield from (path for path in paths if NAME.fullmatch(path.name))

    def complete(self, folder: Path) -> Checkpoint:
        """Returns the checkpoint in a folder, if it is complete and the run's own.

        Raises:
            CheckpointError: It is not.
        """
        if not os.path.lexists(folder):
            raise CheckpointError(f"there is no checkpoint '{folder}'")
        manifest = Manifest.read(folder, "checkpoint")
        body, path = manifest.body, folder / MANIFEST
        if body.get("run") != self.id:
            raise CheckpointError(f"'{path}' belongs to another run")
        best, step, epoch = body.get("best"), body.get("step"), body.get("epoch")
        if not (best is None or (isinstance(best, str) and NAME.fullmatch(best))):
            raise CheckpointError(f"'{path}' is damaged: its best is no checkpoint")
        if not _is_count(step) or not _is_count(epoch):
            name = "epoch" if _is_count(step) else "step"
            raise CheckpointError(f"'{path}' is damaged: its '{name}' is no count")
        try:
            journal = Entry.model_validate(body.get("journal"))
        except ValidationError as error:
            raise CheckpointError(f"'{path}' is damaged: it lacks the journal") from error
        return Checkpoint(manifest, step, epoch, best, journal)

    def all(self, trouble: list[str] | None = None) -> list[Checkpoint]:
        """Returns the run's checkpoints, the oldest first.

        Arguments:
            trouble: Where to say what is wrong with those that are damaged; without it, that
                is an error.

        Raises:
            CheckpointError: A manifest is damaged, and nothing else is to be done about it.
        """
        found = []
        for folder in self.folders():
            try:
                found.append(self.complete(folder))
            except CheckpointError as error:
                if not os.path.lexists(folder):
                    continue  # a training that goes on has made room
                if trouble is None:
                    raise
                trouble.append(str(error))
        return sorted(found, key=lambda checkpoint: (checkpoint.step, checkpoint.epoch))

    def steady(self, read: Callable[[], T]) -> T:
        """Returns what a function reads of the best or last checkpoint.

        A training run replaces checkpoints meanwhile. If the checkpoints have changed when the
        function fails, it is called again, up to five times in all.

        Raises:
            CheckpointError: The function does, and no checkpoint has come or gone meanwhile.
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
        """Returns the newest checkpoint that is whole, and what is wrong with newer ones.

        Raises:
            CheckpointError: There is none, or a training run has just removed the one that was
                read (see `steady`).
        """
        trouble: list[str] = []
        for checkpoint in reversed(self.all(trouble)):
            try:
                checkpoint.check()
            except CheckpointError as error:
                if not os.path.lexists(checkpoint.manifest.folder):
                    raise
                trouble.append(str(error))
            else:
                return checkpoint, trouble
        if trouble:
            raise CheckpointError(f"no checkpoint of '{self.run}' is whole: {trouble[0]}")
        raise self._none()

    def named(self, name: str) -> Checkpoint:
        """Returns the `best`, the `last`, or the one of a name.

        Raises:
            CheckpointError: There is no such checkpoint, or what is needed to know is damaged.
        """
        if name not in ("best", "last"):
            return self.complete(self.folder / name)
        found = self.all()
        if not found:
            raise self._none()
        if name == "last":
            return found[-1]
        if found[-1].best is None:
            raise CheckpointError(
                f"'{self.run}' has no best checkpoint yet, for its objective still changes: name "
                f"its latest, {self.folder / 'last'}"
            )
        return self.complete(self.folder / found[-1].best)

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
        """Raises CheckpointError if the best checkpoint, as the latest knows it, is not whole."""
        if latest.best is not None:
            self.complete(self.folder / latest.best).check()

    def _none(self) -> CheckpointError:
        why = "it was stopped before its first"
        if held_by(self.run) is not None:
            why = "it is still training, and has not saved its first"
        return CheckpointError(f"'{self.run}' has no checkpoint: {why}")


def _is_count(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value <= limits.MAX_TRAINING_STEPS
