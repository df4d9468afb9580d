"""The run directory: everything that is needed to use, judge or go on with a run.

    manifest.json           what the run began with: sizes and checksums, and the run's own name
    config.json             the RunConfig; a resumed run may change some of it
    environment.json        versions, device, hashes of the sources
    tokenizer.json          the vocabulary
    data/                   the prepared corpus (see `data.store`)
    metrics.jsonl           a line for every record of progress
    eval.json               the evaluation records (see `evaluation_records`)
    lock.json               while somebody writes the run
    checkpoints/            see `checkpoints`

New runs are made in `creation`, checkpoints are written in `saving`.
"""

__all__ = ["RunDirectory", "nearest_run"]

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from .. import limits
from ..config.messages import explain
from ..config.run import RunConfig
from ..data.prepared_corpus import Corpus, open_corpus
from ..data.tokenizer import Tokenizer
from ..errors import CheckpointError, ConfigError, reason
from ..evaluation.records import EvaluationRecords, checkpoint_of
from ..mi_terms.build import build_term
from ..models.vae import VAE, build_model
from ..storage.files import writable
from ..storage.lock import LOCK, locked
from ..storage.manifest import MANIFEST, Manifest, entry_of, vouch_for
from ..storage.ownership import foreign, set_aside
from ..storage.sealed_json import json_value, read_sealed, write_sealed
from .checkpoints import CHECKPOINTS, NAME, Checkpoint, Checkpoints
from .tensor_files import check, load_weights

WRITTEN = (MANIFEST, "config.json", "eval.json", "metrics.jsonl", LOCK)  # after the beginning
FACTS = {"id": str, "corpus": str, "evaluated": bool}  # that a run's manifest states


@dataclass(frozen=True)
class RunDirectory:
    """A run on disk, and which of its checkpoints is meant: `best`, `last`, or one by name."""

    path: Path
    name: str = "best"
    found: Checkpoint | None = None  # if it has been read: a training run may remove it any time

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
            named = path if path.parent.name == CHECKPOINTS else absolute
            return cls(cls.open(named.parent.parent).path, absolute.name)
        try:
            exists, begun = path.exists(), (path / MANIFEST).exists()
        except OSError as error:  # a name too long, a folder that may not be entered
            raise CheckpointError(f"cannot read '{path}': {reason(error)}") from error
        if not exists:
            near = nearest_run(path)
            raise CheckpointError(
                f"there is no run '{path}'" + (f" (did you mean '{near}'?)" if near else "")
            )
        if not path.is_dir():
            raise CheckpointError(
                f"'{path}' is no run directory, but a file; no weights are read from files of "
                "other programs, pickles (.pt, .pkl, .bin) least of all: they can run code"
            )
        if not begun:
            advice = "train one with 'mivae train'"
            if runs := sorted(path.glob(f"*/{MANIFEST}")):
                advice = f"name a run in it, such as '{runs[0].parent}'"
            raise CheckpointError(f"'{path}' is no run directory (it has no {MANIFEST}): {advice}")
        return cls(path)

    def load_config(self) -> RunConfig:
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

    def load_tokenizer(self) -> Tokenizer:
        """The run's vocabulary."""
        return Tokenizer.load(self.manifest.path("tokenizer.json"))

    def open_corpus(self) -> Corpus:
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
    def checkpoints(self) -> Checkpoints:
        """The run's checkpoints."""
        return Checkpoints(self.path, self.id)

    def find_checkpoint(self) -> Checkpoint:
        """The checkpoint that is meant.

        Raises:
            CheckpointError: There is no such checkpoint, or what is needed to know is damaged.
        """
        return self.found or self.checkpoints.named(self.name)

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
            CheckpointError: Something that is written is a link, so that something else would
                be written.
        """
        mine = self.id
        self._check_no_links()
        with locked(self.path):
            if Manifest.read(self.path, "run").body.get("id") != mine:
                raise ConfigError(
                    f"'{self.path}' is another run by now: somebody has replaced it (--overwrite)"
                )
            yield

    def is_replaced(self) -> bool:
        """Whether another run is in this one's place by now, so that it must not be written."""
        with suppress(CheckpointError):
            return Manifest.read(self.path, "run").body.get("id") != self.id
        return False

    def _check_no_links(self) -> None:
        """Raises CheckpointError if what is written leads out of the run's directory.

        The files in data/ are never written. Runs that older versions made share them, as hard
        links, with the cache.
        """
        for name in WRITTEN:
            if problem := foreign(self.path / name):
                raise CheckpointError(problem)
        folders = [self.path / "data", self.checkpoints.folder]
        for folder in [*folders, *self.checkpoints.folders()]:
            if folder.is_symlink():
                raise CheckpointError(
                    f"'{folder}' is a symbolic link, and mivae writes nothing through one: "
                    "replace it by the folder itself"
                )

    def check_network(self, config: RunConfig) -> None:
        """Holds the newest checkpoint's weights against the network of a configuration.

        Only headers are read: no memory is set aside for what a stranger's configuration claims
        and the weights lack.

        Raises:
            CheckpointError: They are of another network, or no checkpoint is whole.
        """
        manifest = self.checkpoints.newest()[0].manifest
        with torch.device("meta"):
            model = build_model(config.model, self.load_tokenizer().size)
            check(manifest.path("model.safetensors"), model)
            if (term := build_term(config, model.features)) is not None:
                check(manifest.path("critic.safetensors"), term)

    def load_model(self, device: torch.device | str = "cpu") -> VAE:
        """Builds the model with the checkpoint's weights, ready to be used.

        Raises:
            CheckpointError: There is no such checkpoint, or it is damaged.
        """
        config, size = self.load_config().model, self.load_tokenizer().size
        path = self.find_checkpoint().manifest.path("model.safetensors")
        with torch.device("meta"):  # so that no memory is set aside for what the file lacks
            check(path, build_model(config, size))
        with torch.random.fork_rng(devices=[]):  # a training that goes on meanwhile needs its own
            model = build_model(config, size)
        load_weights(model, path)
        return model.to(device).eval()

    def load_evaluations(self) -> EvaluationRecords:
        """The evaluation records in eval.json.

        Raises:
            CheckpointError: There are none, or the file is damaged.
        """
        path = self.path / "eval.json"
        body = read_sealed(path, "evaluation")
        if body.get("run") != self.id:
            raise CheckpointError(f"'{path}' belongs to another run")
        try:
            return EvaluationRecords.of(body)
        except ValueError as error:
            raise CheckpointError(f"'{path}' is damaged: {error}") from error

    def load_evaluation(self) -> dict[str, Any]:
        """The record that stands for the run: of the checkpoint that was evaluated last.

        It is the one of the run's own protocol, or the one with the most importance samples.

        Raises:
            CheckpointError: There is none, or what is needed to know is damaged.
        """
        found, protocol = self.load_evaluations(), self.load_config().evaluation
        if not found.records:
            raise CheckpointError(f"'{self.path / 'eval.json'}' holds no record")
        latest = found.about(checkpoint_of(found.records[-1]))
        return dict(latest.best(protocol.iw_samples, protocol.seed) or {})

    def set_journal_aside(self) -> None:
        """Keeps a damaged journal, or what is in its place, under another name.

        Raises:
            ConfigError: The directory cannot be written.
        """
        with writable(self.journal):
            set_aside(self.journal)

    def update_config(self, config: RunConfig) -> None:
        """Writes what a resumed run has changed.

        Raises:
            ConfigError: It cannot be written, or another process is writing the run.
        """
        path = self.path / "config.json"
        body = {"run": self.id, "config": config.model_dump(mode="json")}
        with self.writing(), writable(path):
            write_sealed(path, "config", body)

    def write_evaluation(self, record: dict[str, Any]) -> EvaluationRecords:
        """Adds a record to eval.json; a figure that is no finite number is written as null.

        It takes the place of a record of the same checkpoint and protocol; all others stay. A file
        that cannot be read is kept as eval.damaged.json.

        Returns:
            All records that are there now.

        Raises:
            ConfigError: It cannot be written, or another process is writing the run.
        """
        path = self.path / "eval.json"
        with self.writing(), writable(path):
            try:
                earlier = self.load_evaluations()
            except CheckpointError:
                earlier = EvaluationRecords()
                set_aside(path)
            found = earlier.with_record(json_value(record))
            write_sealed(path, "evaluation", {"run": self.id, **found.body()})
            facts = {name: self.manifest.body[name] for name in FACTS}
            vouch_for(self.path, "run", self.manifest.files, {**facts, "evaluated": True})
        return found


def nearest_run(path: Path) -> Path | None:
    """Returns the run whose name is most like that of a path, if one is much like it.

    Looked at are the folder of the path, and the folder `runs`.
    """
    runs: dict[str, Path] = {}
    for folder in (Path("runs"), path.parent):
        with suppress(OSError):
            names = sorted(os.listdir(folder))[: limits.MAX_FOLDER_NAMES]
            runs |= {name: folder / name for name in names if (folder / name / MANIFEST).exists()}
    close = get_close_matches(path.name, runs, 1)
    return runs[close[0]] if close else None
