"""The run directory: everything that is needed to use, judge or go on with a run.

    manifest.json           what the run began with: sizes and checksums, and the run's own name
    config.json             the RunConfig; a resumed run may change some of it
    environment.json        versions, device, hashes of the sources
    tokenizer.json          the vocabulary
    data/                   the prepared corpus (see `data.store`)
    metrics.jsonl           a line for every record of progress
    eval.json               the evaluation record
    lock.json               while somebody writes the run
    checkpoints/epoch-0003/ after an epoch (see `checkpoint`)
    checkpoints/step-00000040/  in the middle of one

A checkpoint is complete or not there. `best` and `last` are found from the manifests.
"""

__all__ = ["Checkpoint", "RunDirectory", "newest_run"]

import os
import platform
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from .checkpoint import Snapshot, check, load_weights
from .config import RunConfig
from .data.store import Corpus, open_corpus
from .data.tokenizer import Tokenizer
from .errors import CheckpointError, ConfigError
from .models.vae import VAE, build_model
from .resolve import explain
from .storage.documents import read_sealed, write_sealed
from .storage.files import (
    DRAFT,
    remove_tree,
    sync_file,
    sync_folder,
    write_durably,
    write_synced,
)
from .storage.lock import LOCK, locked
from .storage.manifest import MANIFEST, Entry, Manifest, entry_of, vouch_for

CHECKPOINTS = "checkpoints"
NAME = re.compile(r"epoch-\d{4,}|step-\d{8,}")
OWN_FILES = (
    MANIFEST,
    "config.json",
    "environment.json",
    "tokenizer.json",
    "metrics.jsonl",
    "metrics.damaged.jsonl",
    "eval.json",
    LOCK,
)
OWN_FOLDERS = (CHECKPOINTS, "data")


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
class RunDirectory:
    """A run on disk, and which of its checkpoints is meant: `best`, `last`, or one by name."""

    path: Path
    name: str = "best"

    @classmethod
    def create(
        cls, path: Path, config: RunConfig, corpus: Corpus, overwrite: bool = False
    ) -> "RunDirectory":
        """Makes the directory of a new run.

        Raises:
            ConfigError: It is not empty and may not be overwritten, or cannot be written.
        """
        run = cls(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            if any(entry.name != LOCK for entry in path.iterdir()):
                run._check_clearing(overwrite)
            with locked(path):
                run._clear()
                run._begin(config, corpus)
        except OSError as error:
            raise ConfigError(f"cannot write the run to '{path}': {error.strerror}") from error
        return run

    @classmethod
    def open(cls, path: Path) -> "RunDirectory":
        """Opens a run, or one of the checkpoints inside it.

        Raises:
            CheckpointError: There is no run.
        """
        absolute = path.absolute()
        if absolute.parent.name == CHECKPOINTS and (
            absolute.name in ("best", "last") or NAME.fullmatch(absolute.name)
        ):
            return cls(absolute.parent.parent, absolute.name)
        if not path.exists():
            raise CheckpointError(f"there is no run '{path}'")
        if not path.is_dir():
            raise CheckpointError(
                f"'{path}' is no run directory, but a file; no weights are read from files of "
                "other programs, pickles (.pt, .pkl, .bin) least of all: they can run code"
            )
        if not (path / MANIFEST).exists():
            raise CheckpointError(
                f"'{path}' is no run directory (it has no {MANIFEST}): train one with "
                "'mivae train'"
            )
        return cls(path)

    @property
    def config(self) -> RunConfig:
        """The run's configuration."""
        path = self.path / "config.json"
        record = read_sealed(path, "config")
        if record.get("run") != self.id:
            raise CheckpointError(f"'{path}' belongs to another run")
        try:
            return RunConfig.model_validate(record.get("config"))
        except ValidationError as error:
            raise CheckpointError(
                f"'{path}' is damaged or of another version: {explain(error)}"
            ) from error

    @property
    def tokenizer(self) -> Tokenizer:
        """The run's vocabulary."""
        return Tokenizer.load(self.manifest.path("tokenizer.json"))

    @property
    def corpus(self) -> Corpus:
        """The run's prepared corpus."""
        corpus = open_corpus(self.path / "data")
        if corpus.checksum != self.manifest.body.get("corpus"):
            raise CheckpointError(
                f"the corpus '{corpus.folder}' is not the one the run began with"
            )
        return corpus

    @property
    def journal(self) -> Path:
        """The records of progress."""
        return self.path / "metrics.jsonl"

    @cached_property
    def manifest(self) -> Manifest:
        """What the run began with."""
        return Manifest.read(self.path, "run")

    @property
    def id(self) -> str:
        """The run's own name, which its checkpoints carry."""
        return str(self.manifest.body.get("id"))

    def checkpoints(self, trouble: list[str] | None = None) -> list[Checkpoint]:
        """Returns the run's checkpoints, the oldest first.

        Arguments:
            trouble: Where to say what is wrong with those that are damaged; without it, that
                is an error.

        Raises:
            CheckpointError: A manifest is damaged, and nothing else is to be done about it.
        """
        found = []
        for folder in self.checkpoint_folders():
            try:
                found.append(self.complete(folder))
            except CheckpointError as error:
                if trouble is None:
                    raise
                trouble.append(str(error))
        return sorted(found, key=lambda checkpoint: (checkpoint.step, checkpoint.epoch))

    def newest(self) -> tuple[Checkpoint, list[str]]:
        """Returns the newest checkpoint that is whole, and what is wrong with newer ones.

        Raises:
            CheckpointError: There is none.
        """
        trouble: list[str] = []
        for checkpoint in reversed(self.checkpoints(trouble)):
            try:
                checkpoint.check()
            except CheckpointError as error:
                trouble.append(str(error))
            else:
                return checkpoint, trouble
        if trouble:
            raise CheckpointError(f"no checkpoint of '{self.path}' is whole: {trouble[0]}")
        raise CheckpointError(f"'{self.path}' has no checkpoint: it was stopped before its first")

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint that is meant.

        Raises:
            CheckpointError: There is no such checkpoint, or what is needed to know is damaged.
        """
        if self.name not in ("best", "last"):
            return self.complete(self.path / CHECKPOINTS / self.name)
        found = self.checkpoints()
        if not found:
            raise CheckpointError(
                f"'{self.path}' has no checkpoint: it was stopped before its first"
            )
        if self.name == "last":
            return found[-1]
        if found[-1].best is None:
            raise CheckpointError(
                f"'{self.path}' has no best checkpoint yet, for its objective still changes: name "
                f"its latest, {self.path / CHECKPOINTS / 'last'}"
            )
        return self.complete(self.path / CHECKPOINTS / found[-1].best)

    def load_model(self, device: torch.device | str = "cpu") -> VAE:
        """Builds the model with the checkpoint's weights, ready to be used.

        Raises:
            CheckpointError: There is no such checkpoint, or it is damaged.
        """
        config, size = self.config.model, self.tokenizer.size
        path = self.checkpoint.manifest.path("model.safetensors")
        with torch.device("meta"):  # so that no memory is set aside for what the file lacks
            check(path, build_model(config, size))
        model = build_model(config, size)
        load_weights(model, path)
        return model.to(device).eval()

    def save(self, snapshot: Snapshot, keep: int) -> None:
        """Writes a checkpoint, and removes those that are no longer kept.

        Arguments:
            snapshot: What to write.
            keep: How many are kept beside the best and this one.

        Raises:
            OSError: It could not be written; those before are as they were.
        """
        folder = self.path / CHECKPOINTS
        folder.mkdir(exist_ok=True)
        for leftover in folder.glob(f"{DRAFT}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        draft, place = folder / (DRAFT + snapshot.name), folder / snapshot.name
        draft.mkdir()
        try:
            if self.journal.exists():
                sync_file(self.journal)
            for name, data in snapshot.files.items():
                write_synced(draft / name, data)
            body = {
                "run": self.id,
                "step": snapshot.step,
                "epoch": snapshot.epoch,
                "best": snapshot.best,
                "journal": snapshot.journal.model_dump(),
            }
            files = {name: entry_of(data) for name, data in snapshot.files.items()}
            vouch_for(draft, "checkpoint", files, body)
            if place.exists():  # a damaged one, or of the very same state
                remove_tree(place)
            draft.rename(place)
        except OSError:
            shutil.rmtree(draft, ignore_errors=True)  # on a full disk, room for the next attempt
            raise
        sync_folder(folder)
        self._rotate(snapshot, keep)

    @property
    def evaluation(self) -> dict[str, Any]:
        """The evaluation record in eval.json.

        Raises:
            CheckpointError: There is none, or it is damaged.
        """
        path = self.path / "eval.json"
        body = read_sealed(path, "evaluation")
        if body.get("run") != self.id or not isinstance(body.get("evaluation"), dict):
            raise CheckpointError(f"'{path}' belongs to another run")
        record: dict[str, Any] = body["evaluation"]
        return record

    def set_journal_aside(self) -> None:
        """Keeps a damaged journal under another name."""
        if self.journal.is_file():
            os.replace(self.journal, self.journal.with_name("metrics.damaged.jsonl"))

    def update_config(self, config: RunConfig) -> None:
        """Writes what a resumed run has changed."""
        body = {"run": self.id, "config": config.model_dump(mode="json")}
        with locked(self.path):
            write_sealed(self.path / "config.json", "config", body)

    def write_evaluation(self, record: dict[str, Any]) -> None:
        """Writes eval.json.

        Raises:
            ConfigError: Another process is writing the run.
            OSError: It cannot be written.
        """
        with locked(self.path):
            body = {"run": self.id, "evaluation": record}
            write_sealed(self.path / "eval.json", "evaluation", body)
            self._vouch(self.manifest.files, {**self.manifest.body, "evaluated": True})

    def checkpoint_folders(self) -> Iterator[Path]:
        """Yields the folders of checkpoints, complete or damaged.

        Raises:
            CheckpointError: There is something else in their place.
        """
        folder = self.path / CHECKPOINTS
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise CheckpointError(f"'{folder}' is damaged: it is no folder")
        if folder.exists():
            yield from sorted(path for path in folder.iterdir() if NAME.fullmatch(path.name))

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
        if not (isinstance(step, int) and isinstance(epoch, int)):
            raise CheckpointError(f"'{path}' is damaged: it has no step")
        try:
            journal = Entry.model_validate(body.get("journal"))
        except ValidationError as error:
            raise CheckpointError(f"'{path}' is damaged: it lacks the journal") from error
        return Checkpoint(manifest, step, epoch, best, journal)

    def _rotate(self, latest: Snapshot, keep: int) -> None:
        """Removes checkpoints but the latest, the best, and so many others, the newest ones."""
        complete = [found.name for found in self.checkpoints([])]
        others = [name for name in complete if name not in (latest.name, latest.best)]
        kept = (
            {latest.name, latest.best, *others[len(others) - keep :]}
            if keep
            else {
                latest.name,
                latest.best,
            }
        )
        for folder in self.checkpoint_folders():
            if folder.name not in kept:
                remove_tree(folder)

    def _begin(self, config: RunConfig, corpus: Corpus) -> None:
        corpus.copy_to(self.path / "data")
        sync_folder(self.path / "data")
        identity = uuid.uuid4().hex
        body = {"run": identity, "config": config.model_dump(mode="json")}
        write_sealed(self.path / "config.json", "config", body)
        write_sealed(self.path / "environment.json", "environment", _environment(corpus))
        tokenizer = (corpus.folder / "tokenizer.json").read_bytes()
        write_durably(self.path / "tokenizer.json", tokenizer)
        write_durably(self.journal, b"")
        files = {
            name: entry_of(self.path / name) for name in ("environment.json", "tokenizer.json")
        }
        self._vouch(files, {"id": identity, "corpus": corpus.checksum, "evaluated": False})

    def _vouch(self, files: Mapping[str, Entry], body: Mapping[str, Any]) -> None:
        kept = {name: body[name] for name in ("id", "corpus", "evaluated")}
        vouch_for(self.path, "run", files, kept)

    def _check_clearing(self, overwrite: bool) -> None:
        """Raises ConfigError unless what is there is a run that may be replaced."""
        strangers = [
            entry.name
            for entry in self.path.iterdir()
            if entry.name not in (*OWN_FILES, *OWN_FOLDERS) and not entry.name.startswith(DRAFT)
        ]
        if strangers:
            raise ConfigError(
                f"'{self.path}' holds files that are no part of a run ({strangers[0]}, ...): "
                "choose another place with --out"
            )
        begun = (self.path / MANIFEST).exists() or (self.path / CHECKPOINTS).exists()
        if begun and not overwrite:
            raise ConfigError(
                f"'{self.path}' already holds a run: go on with it by --resume, replace it by "
                "--overwrite, or choose another place with --out"
            )

    def _clear(self) -> None:
        """Removes a run, its manifest first: what is left of it then is no run."""
        (self.path / MANIFEST).unlink(missing_ok=True)
        for name in OWN_FOLDERS:
            shutil.rmtree(self.path / name, ignore_errors=True)
        for entry in list(self.path.iterdir()):
            if entry.name != LOCK:
                entry.unlink()


def newest_run(folder: Path = Path("runs")) -> RunDirectory:
    """Returns the run under a folder that was begun or changed last.

    Raises:
        CheckpointError: There is none.
    """
    runs = [path.parent for path in folder.glob(f"*/{MANIFEST}")]
    if not runs:
        raise CheckpointError(
            f"there is no run under '{folder}': train one with 'mivae train', or name one with "
            "--run"
        )
    return RunDirectory(max(runs, key=_changed))


def _changed(run: Path) -> float:
    times = [path.stat().st_mtime for name in OWN_FILES if (path := run / name).exists()]
    return max(times, default=0.0)


def _environment(corpus: Corpus) -> dict[str, Any]:
    return {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "sources": corpus.sources,
        "splits": {split: asdict(summary) for split, summary in corpus.summaries.items()},
    }
