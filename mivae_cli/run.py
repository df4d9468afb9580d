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

A checkpoint is complete or not there. `best` and `last` are found from the manifests. New runs
are made in `creation`, checkpoints are written in `saving`.
"""

__all__ = ["Checkpoint", "RunDirectory", "newest_run"]

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from .config import RunConfig
from .data.store import Corpus, open_corpus
from .data.tokenizer import Tokenizer
from .errors import CheckpointError, ConfigError
from .estimators.terms import build_term
from .mistakes import explain
from .models.vae import VAE, build_model
from .storage.documents import json_value, read_sealed, write_sealed
from .storage.files import discard, last_written, reason, writable
from .storage.lock import locked
from .storage.manifest import MANIFEST, Entry, Manifest, entry_of, vouch_for
from .weights import check, load_weights

CHECKPOINTS = "checkpoints"
NAME = re.compile(r"epoch-\d{4,}|step-\d{8,}")
FACTS = {"id": str, "corpus": str, "evaluated": bool}  # that a run's manifest states


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
        try:
            exists, begun = path.exists(), (path / MANIFEST).exists()
        except OSError as error:  # a name too long, a folder that may not be entered
            raise CheckpointError(f"cannot read '{path}': {reason(error)}") from error
        if not exists:
            raise CheckpointError(f"there is no run '{path}'")
        if not path.is_dir():
            raise CheckpointError(
                f"'{path}' is no run directory, but a file; no weights are read from files of "
                "other programs, pickles (.pt, .pkl, .bin) least of all: they can run code"
            )
        if not begun:
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
        if corpus.checksum != self.manifest.body["corpus"]:
            raise CheckpointError(
                f"the corpus '{corpus.folder}' is not the one the run began with"
            )
        # a stranger can vouch for both: ids would mean other words, or lie beyond the network
        vocabulary = entry_of(corpus.folder / "tokenizer.json")
        if vocabulary != self.manifest.files.get("tokenizer.json"):
            raise CheckpointError(
                f"the corpus '{corpus.folder}' has another vocabulary than its run"
            )
        return corpus

    @property
    def journal(self) -> Path:
        """The records of progress."""
        return self.path / "metrics.jsonl"

    @cached_property
    def manifest(self) -> Manifest:
        """What the run began with."""
        found = Manifest.read(self.path, "run")
        for key, kind in FACTS.items():
            if not isinstance(found.body.get(key), kind):
                raise CheckpointError(f"'{self.path / MANIFEST}' is damaged: it lacks '{key}'")
        return found

    @property
    def id(self) -> str:
        """The run's own name, which its checkpoints carry."""
        return str(self.manifest.body["id"])

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Holds the run's lock.

        Raises:
            ConfigError: Another process holds it, another run has taken this one's place, or the
                directory cannot be written.
        """
        mine = self.id
        with locked(self.path):
            if Manifest.read(self.path, "run").body.get("id") != mine:
                raise ConfigError(
                    f"'{self.path}' is another run by now: somebody has replaced it (--overwrite)"
                )
            yield

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
                if not os.path.lexists(folder):
                    continue  # a training that goes on has made room
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

    def check_best(self, latest: Checkpoint) -> None:
        """Raises CheckpointError if the best checkpoint, as the latest knows it, is not whole."""
        if latest.best is not None:
            self.complete(self.path / CHECKPOINTS / latest.best).check()

    def check_network(self, config: RunConfig) -> None:
        """Holds the newest checkpoint's weights against the network of a configuration.

        Only headers are read: no memory is set aside for what a stranger's configuration claims
        and the weights lack.

        Raises:
            CheckpointError: They are of another network, or no checkpoint is whole.
        """
        manifest = self.newest()[0].manifest
        with torch.device("meta"):
            model = build_model(config.model, self.tokenizer.size)
            check(manifest.path("model.safetensors"), model)
            if (term := build_term(config, model.features)) is not None:
                check(manifest.path("critic.safetensors"), term)

    def load_model(self, device: torch.device | str = "cpu") -> VAE:
        """Builds the model with the checkpoint's weights, ready to be used.

        Raises:
            CheckpointError: There is no such checkpoint, or it is damaged.
        """
        config, size = self.config.model, self.tokenizer.size
        path = self.checkpoint.manifest.path("model.safetensors")
        with torch.device("meta"):  # so that no memory is set aside for what the file lacks
            check(path, build_model(config, size))
        with torch.random.fork_rng(devices=[]):  # a training that goes on meanwhile needs its own
            model = build_model(config, size)
        load_weights(model, path)
        return model.to(device).eval()

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
        """Keeps a damaged journal, or what is in its place, under another name.

        Raises:
            ConfigError: The directory cannot be written.
        """
        aside = self.path / "metrics.damaged.jsonl"
        with writable(aside):
            if os.path.lexists(self.journal):
                discard(aside)
                os.replace(self.journal, aside)

    def update_config(self, config: RunConfig) -> None:
        """Writes what a resumed run has changed.

        Raises:
            ConfigError: It cannot be written, or another process is writing the run.
        """
        path = self.path / "config.json"
        body = {"run": self.id, "config": config.model_dump(mode="json")}
        with self.writing(), writable(path):
            write_sealed(path, "config", body)

    def write_evaluation(self, record: dict[str, Any]) -> None:
        """Writes eval.json; a figure that is no finite number is written as null.

        Raises:
            ConfigError: It cannot be written, or another process is writing the run.
        """
        path = self.path / "eval.json"
        body = {"run": self.id, "evaluation": json_value(record)}
        with self.writing(), writable(path):
            write_sealed(path, "evaluation", body)
            facts = {name: self.manifest.body[name] for name in FACTS}
            vouch_for(self.path, "run", self.manifest.files, {**facts, "evaluated": True})

    def checkpoint_folders(self) -> Iterator[Path]:
        """Yields the folders of checkpoints, complete or damaged.

        Raises:
            CheckpointError: There is something else in their place, or it cannot be read.
        """
        folder = self.path / CHECKPOINTS
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
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
        if not (isinstance(step, int) and isinstance(epoch, int)):
            raise CheckpointError(f"'{path}' is damaged: it has no step")
        try:
            journal = Entry.model_validate(body.get("journal"))
        except ValidationError as error:
            raise CheckpointError(f"'{path}' is damaged: it lacks the journal") from error
        return Checkpoint(manifest, step, epoch, best, journal)


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
    return RunDirectory(max(runs, key=last_written))
