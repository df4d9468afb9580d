"""The run directory: all files of a run, enough to use, evaluate or resume it.

    manifest.json           sizes and checksums of environment.json and tokenizer.json; the run's id
    config.json             the RunConfig; resuming may change it
    environment.json        versions, device, hashes of the source files
    tokenizer.json          the vocabulary
    data/                   the prepared corpus (see `data.prepared_corpus`)
    metrics.jsonl           one line per training record
    eval.json               the evaluation records (see `evaluation.records`)
    sentences/              figures per sentence of these records (see `runs.sentence_files`)
    report.html             the report that training writes at its end (see `reports`)
    lock.json               present while a process writes the run
    checkpoints/            see `runs.checkpoints`

`runs.create` makes new runs, `runs.checkpoint_writer` adds checkpoints.
"""

__all__ = ["REPORT", "RunDirectory"]

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self, TypeVar

import torch
from pydantic import ValidationError

from ..config.messages import explain
from ..config.run import RunConfig
from ..data.prepared_corpus import MANIFEST as CORPUS_MANIFEST
from ..data.prepared_corpus import Corpus, open_corpus
from ..data.tokenizer import Tokenizer
from ..errors import CheckpointError, ConfigError
from ..evaluation.records import EvaluationRecords, Record, checkpoint_of
from ..evaluation.sentence_values import SentenceValues
from ..mi_terms.build import build_term
from ..models.vae import VAE, build_model
from ..storage.files import writable
from ..storage.lock import LOCK, locked
from ..storage.manifest import MANIFEST, Manifest, write_manifest
from ..storage.ownership import check_no_links, set_aside
from ..storage.sealed_json import Kind, json_value, read_sealed, write_sealed
from .checkpoints import Checkpoint, Checkpoints
from .find import check_is_run, split_checkpoint
from .sentence_files import SENTENCES, load_values, remove_unlisted, write_values
from .tensor_files import check_weights, read_weights

REPORT = "report.html"
WRITTEN_FILES = (MANIFEST, "config.json", "eval.json", "metrics.jsonl", REPORT, LOCK)
MANIFEST_TYPES = {"id": str, "corpus": str, "evaluated": bool}  # fields of a run's manifest
T = TypeVar("T")


@dataclass(frozen=True)
class RunDirectory:
    """A run on disk and the selected checkpoint: `best`, `last` or a checkpoint's name.

    Opening a run reads its manifest. The configuration, vocabulary and corpus are read on first
    use and then kept; `eval.json` and the checkpoints, which change, are read on every call.
    """

    path: Path
    manifest: Manifest
    checkpoints: Checkpoints
    name: str = "best"
    pinned: Checkpoint | None = None  # kept, because training may delete the checkpoint any time
    _loaded: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Opens a run, or a run at the checkpoint that `path` leads to.

        Raises:
            CheckpointError: There is no run at this path, or its manifest is damaged.
        """
        path, name = split_checkpoint(path)
        check_is_run(path)
        manifest = Manifest.read(path, "run")
        for key, kind in MANIFEST_TYPES.items():
            if not isinstance(manifest.body.get(key), kind):
                raise CheckpointError(f"'{path / MANIFEST}' is damaged: '{key}' is missing")
        return cls(path, manifest, Checkpoints(path, manifest.body["id"]), name)

    def at(self, checkpoint: Checkpoint) -> Self:
        """Returns the same run with this checkpoint selected."""
        return replace(self, name=checkpoint.name, pinned=checkpoint)

    @property
    def id(self) -> str:
        """The random id of the run, which its other files repeat."""
        return str(self.manifest.body["id"])

    @property
    def metrics_path(self) -> Path:
        """The path of the training records."""
        return self.path / "metrics.jsonl"

    def load_config(self) -> RunConfig:
        """Returns the run's configuration; raises CheckpointError if its file is damaged."""
        return self._once("config", self._read_config)

    def load_tokenizer(self) -> Tokenizer:
        """Returns the run's vocabulary; raises CheckpointError if its file is damaged."""
        return self._once(
            "tokenizer", lambda: Tokenizer.load(self.manifest.checked_path("tokenizer.json"))
        )

    def load_corpus_manifest(self) -> Manifest:
        """Returns the manifest of the prepared corpus; raises CheckpointError if it is damaged."""
        return self._once(
            "corpus manifest",
            lambda: Manifest.read(self.path / "data", "corpus", CORPUS_MANIFEST),
        )

    def open_corpus(self) -> Corpus:
        """Returns the run's prepared corpus, memory-mapped.

        Raises:
            CheckpointError: A file of the corpus is damaged, or the corpus belongs to another run.
        """
        return self._once("corpus", self._open_corpus)

    def find_checkpoint(self) -> Checkpoint:
        """Returns the selected checkpoint.

        Raises:
            CheckpointError: There is no such checkpoint, or a manifest is damaged.
        """
        return self.pinned or self.checkpoints.named(self.name)

    def check_weights(self, config: RunConfig) -> None:
        """Checks that the weights of the newest intact checkpoint fit a configuration.

        The configuration may be damaged and describe a far larger model: this allocates nothing.

        Raises:
            CheckpointError: They belong to another model, or no checkpoint is intact.
        """
        manifest = self.checkpoints.newest()[0].manifest
        with torch.device("meta"):
            model = build_model(config.model, self.load_tokenizer().size)
            check_weights(manifest.checked_path("model.safetensors"), model)
            if (term := build_term(config, model.features)) is not None:
                check_weights(manifest.checked_path("critic.safetensors"), term)

    def load_model(self, device: torch.device | str = "cpu") -> VAE:
        """Returns the model of the selected checkpoint, in evaluation mode.

        Raises:
            CheckpointError: There is no such checkpoint, or it is damaged.
        """
        config, size = self.load_config().model, self.load_tokenizer().size
        path = self.find_checkpoint().manifest.checked_path("model.safetensors")
        with torch.device("meta"):  # allocates nothing until the file is known to fit
            weights = read_weights(path, build_model(config, size))
        with torch.random.fork_rng(devices=[]):  # leave the random state of a training unchanged
            model = build_model(config, size)
        model.load_state_dict(weights, strict=False)  # a tied weight is stored once
        return model.to(device).eval()

    def load_evaluations(self) -> EvaluationRecords:
        """Returns the records in `eval.json`; raises CheckpointError if missing or damaged."""
        path = self.path / "eval.json"
        try:
            return EvaluationRecords.of(self._document(path, "evaluation"))
        except ValueError as error:
            raise CheckpointError(f"'{path}' is damaged: {error}") from error

    def load_evaluation(self) -> dict[str, Any]:
        """Returns the evaluation record that represents the run.

        Of the checkpoint evaluated last, this is the record with the run's own protocol, or else
        with the most importance samples.

        Raises:
            CheckpointError: There is no record, or a file is damaged.
        """
        found, protocol = self.load_evaluations(), self.load_config().evaluation
        if not found.records:
            raise CheckpointError(f"'{self.path / 'eval.json'}' contains no record")
        latest = found.about(checkpoint_of(found.records[-1]))
        return dict(latest.best(protocol.iw_samples, protocol.seed) or {})

    def load_sentence_values(self, record: Record) -> SentenceValues | None:
        """Returns the figures per sentence of an evaluation record of this run, if it has any.

        Raises:
            CheckpointError: Their file is missing or damaged.
        """
        return load_values(self.path, record)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Context manager that holds the run's lock.

        Raises:
            ConfigError: Another process holds the lock, another run has replaced this one, or
                the directory is not writable.
            CheckpointError: A file to write is a link, so writing would change another file.
        """
        # not the files in data/: in runs of older versions they are hard links to the cache
        files = [self.path / name for name in WRITTEN_FILES]
        folders = [self.path / "data", self.path / SENTENCES, *self.checkpoints.folders()]
        check_no_links(files, folders)
        with locked(self.path):
            if Manifest.read(self.path, "run").body.get("id") != self.id:
                raise ConfigError(
                    f"'{self.path}' has been replaced by another run (--overwrite; "
                    "in Python, overwrite=True)"
                )
            yield

    def is_replaced(self) -> bool:
        """Whether another run has replaced this one on disk, so that it must not be written."""
        with suppress(CheckpointError):
            return Manifest.read(self.path, "run").body.get("id") != self.id
        return False

    def set_metrics_aside(self) -> None:
        """Renames a damaged `metrics.jsonl`; raises ConfigError if that fails."""
        with writable(self.metrics_path):
            set_aside(self.metrics_path)

    def update_config(self, config: RunConfig) -> None:
        """Writes a new configuration.

        Raises:
            ConfigError: The file is not writable, or another process is writing the run.
        """
        path = self.path / "config.json"
        body = {"run": self.id, "config": config.model_dump(mode="json")}
        with self.writing(), writable(path):
            write_sealed(path, "config", body)
        self._loaded["config"] = config

    def write_evaluation(
        self, record: dict[str, Any], sentence_values: bytes | None = None
    ) -> EvaluationRecords:
        """Adds a record to `eval.json`, without NaN and infinity; returns all records in the file.

        The record replaces one of the same checkpoint and protocol. An unreadable `eval.json` is
        kept as `eval.damaged.json`.

        Arguments:
            record: The record.
            sentence_values: The content of the file that the record names as `sentence_values`.

        Raises:
            ConfigError: The file is not writable, or another process is writing the run.
        """
        path = self.path / "eval.json"
        with self.writing(), writable(path):
            try:
                earlier = self.load_evaluations()
            except CheckpointError:
                earlier = EvaluationRecords()
                set_aside(path)
            found = earlier.with_record(json_value(record))
            if sentence_values is not None:
                write_values(self.path, record["sentence_values"]["file"], sentence_values)
            write_sealed(path, "evaluation", {"run": self.id, **found.body()})
            body = {key: self.manifest.body[key] for key in MANIFEST_TYPES} | {"evaluated": True}
            write_manifest(self.path, "run", self.manifest.files, body)
            remove_unlisted(self.path, found.records)
        return found

    def _once(self, name: str, read: Callable[[], T]) -> T:
        """Returns the result of the first call with this name."""
        if name not in self._loaded:
            self._loaded[name] = read()
        result: T = self._loaded[name]
        return result

    def _read_config(self) -> RunConfig:
        path = self.path / "config.json"
        body = self._document(path, "config")
        try:
            return RunConfig.model_validate(body.get("config"))
        except ValidationError as error:
            raise CheckpointError(
                f"'{path}' is damaged or from another version of mivae: {explain(error)}"
            ) from error

    def _open_corpus(self) -> Corpus:
        manifest = self.load_corpus_manifest()
        if manifest.body.get("checksum") != self.manifest.body["corpus"]:
            raise CheckpointError(f"the corpus '{manifest.folder}' belongs to another run")
        # Both manifests of an untrusted run can be consistent and still list two vocabularies:
        # token ids would mean other words, or exceed the embedding.
        if manifest.files.get("tokenizer.json") != self.manifest.files.get("tokenizer.json"):
            raise CheckpointError(f"the corpus '{manifest.folder}' has another vocabulary")
        return open_corpus(manifest.folder, manifest)

    def _document(self, path: Path, kind: Kind) -> dict[str, Any]:
        body = read_sealed(path, kind)
        if body.get("run") != self.id:
            raise CheckpointError(f"'{path}' belongs to another run")
        return body
