"""The run directory: everything that is needed to use, judge or go on with a run.

    config.json             the resolved RunConfig
    environment.json        versions, device, hashes of the sources
    tokenizer.json          the vocabulary
    data/                   the prepared corpus (see `data.store`)
    metrics.jsonl           a line for every record of progress
    eval.json               the evaluation record
    checkpoints/best/       the weights with the best validation value
    checkpoints/last/       the latest ones, with all that training needs to go on

    model.safetensors       the model's weights
    critic.safetensors      critic, dual variable and feature queue, where there is a critic
    training.safetensors    optimizer and random states
    state.json              step, epoch, position, schedules' counters, optimizer settings

Nothing is pickled. A checkpoint is written beside its place and renamed into it.
"""

__all__ = ["CHECKPOINTS", "CheckpointName", "RunDirectory", "TrainingState", "newest_run"]

import json
import os
import platform
import shutil
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, load_model, save_file, save_model
from torch import Tensor, nn

from . import __version__
from .config import RunConfig
from .data.store import Corpus, open_corpus
from .data.tokenizer import Tokenizer
from .errors import CheckpointError, ConfigError
from .estimators.term import MutualInformationTerm
from .models.vae import VAE, build_model
from .resolve import explain

CheckpointName = Literal["best", "last"]
CHECKPOINTS: tuple[CheckpointName, ...] = get_args(CheckpointName)
OWN_FILES = ("config.json", "environment.json", "tokenizer.json", "metrics.jsonl", "eval.json")
OWN_FOLDERS = ("checkpoints", "data")


@dataclass
class TrainingState:
    """Where a training run stands, beside its tensors."""

    step: int = 0
    epoch: int = 0
    position: int = 0  # batches of the epoch already done
    best: float = float("-inf")  # the best validation ELBO so far
    best_epoch: int = 0
    worse: int = 0  # validations since the best or the latest decay
    decays: int = 0
    seconds: float = 0.0
    finished: bool = False
    bad: int = 0  # batches in a row that were passed over


@dataclass(frozen=True)
class RunDirectory:
    """A run on disk, and which of its checkpoints is meant."""

    path: Path
    name: CheckpointName = "best"

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
            if any(path.iterdir()):
                run._clear(overwrite)
            corpus.copy_to(path / "data")
            shutil.copyfile(corpus.folder / "tokenizer.json", path / "tokenizer.json")
            _write_json(path / "config.json", config.model_dump(mode="json"))
            _write_json(path / "environment.json", _environment(corpus))
            (path / "metrics.jsonl").touch()
        except OSError as error:
            raise ConfigError(f"cannot write the run to '{path}': {error.strerror}") from error
        return run

    @classmethod
    def open(cls, path: Path) -> "RunDirectory":
        """Opens a run, or one of the checkpoints inside it.

        Raises:
            CheckpointError: There is no run.
        """
        if not path.exists():
            raise CheckpointError(f"there is no run '{path}'")
        resolved = path.resolve()
        if resolved.parent.name == "checkpoints" and resolved.name in CHECKPOINTS:
            name: CheckpointName = "best" if resolved.name == "best" else "last"
            return cls(resolved.parent.parent, name)
        if not (path / "config.json").is_file():
            raise CheckpointError(
                f"'{path}' is no run directory (it has no config.json): train one with "
                "'mivae train'"
            )
        return cls(path)

    @property
    def config(self) -> RunConfig:
        """The run's configuration."""
        try:
            return RunConfig.model_validate_json((self.path / "config.json").read_bytes())
        except OSError as error:
            raise CheckpointError(f"cannot read '{self.path / 'config.json'}': {error}") from error
        except ValidationError as error:
            raise CheckpointError(
                f"'{self.path / 'config.json'}' is damaged or of another version: {explain(error)}"
            ) from error

    @property
    def tokenizer(self) -> Tokenizer:
        """The run's vocabulary."""
        return Tokenizer.load(self.path / "tokenizer.json")

    @property
    def corpus(self) -> Corpus:
        """The run's prepared corpus."""
        return open_corpus(self.path / "data")

    @property
    def checkpoint(self) -> Path:
        """The folder of the checkpoint that is meant."""
        return self.path / "checkpoints" / self.name

    def load_model(self, device: torch.device | str = "cpu") -> VAE:
        """Builds the model with the checkpoint's weights, ready to be used.

        Raises:
            CheckpointError: There is no such checkpoint, or it is damaged.
        """
        model = build_model(self.config.model, self.tokenizer.size)
        _load(model, self.checkpoint / "model.safetensors")
        return model.to(device).eval()

    def load_training(
        self,
        model: VAE,
        term: MutualInformationTerm | None,
        optimizers: dict[str, torch.optim.Optimizer],
    ) -> TrainingState:
        """Puts back all that training needs to go on as if it had not stopped.

        Raises:
            CheckpointError: There is no such checkpoint, or it is damaged.
        """
        _load(model, self.checkpoint / "model.safetensors")
        if term is not None:
            _load(term, self.checkpoint / "critic.safetensors")
        tensors = _read_tensors(self.checkpoint / "training.safetensors")
        try:
            record = json.loads((self.checkpoint / "state.json").read_text(encoding="utf-8"))
            for name, optimizer in optimizers.items():
                groups = record["optimizers"][name]
                optimizer.load_state_dict(
                    {"state": _unflattened(tensors, name), "param_groups": groups}
                )
            torch.set_rng_state(tensors["random.cpu"])
            if model.device.type == "cuda" and "random.cuda" in tensors:
                torch.cuda.set_rng_state(tensors["random.cuda"], model.device)
            return TrainingState(**record["state"])
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise CheckpointError(f"'{self.checkpoint}' cannot be resumed: {error}") from error

    def save(
        self,
        name: CheckpointName,
        state: TrainingState,
        model: VAE,
        term: MutualInformationTerm | None,
        optimizers: dict[str, torch.optim.Optimizer],
    ) -> None:
        """Writes a checkpoint beside its place and renames it into it."""
        place = self.path / "checkpoints" / name
        draft, old = place.with_name(f"{name}.draft"), place.with_name(f"{name}.old")
        for leftover in (draft, old):
            shutil.rmtree(leftover, ignore_errors=True)
        draft.mkdir(parents=True)
        save_model(model, str(draft / "model.safetensors"))
        if term is not None:
            save_model(term, str(draft / "critic.safetensors"))
        tensors = {"random.cpu": torch.get_rng_state()}
        if model.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(model.device)
        groups = {}
        for key, optimizer in optimizers.items():
            saved = optimizer.state_dict()
            groups[key] = saved["param_groups"]
            for index, values in saved["state"].items():
                tensors |= {f"{key}.{index}.{what}": value for what, value in values.items()}
        save_file(tensors, str(draft / "training.safetensors"))
        _write_json(draft / "state.json", {"state": asdict(state), "optimizers": groups})
        if place.exists():
            place.rename(old)
        draft.rename(place)
        shutil.rmtree(old, ignore_errors=True)

    def append_metrics(self, record: dict[str, Any]) -> None:
        """Adds a line to metrics.jsonl."""
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def forget_metrics_after(self, step: int) -> None:
        """Drops the lines of metrics.jsonl that a resumed run will write again."""
        path = self.path / "metrics.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if json.loads(line)["step"] <= step]
        path.write_text("".join(line + "\n" for line in kept), encoding="utf-8")

    def write_evaluation(self, record: dict[str, Any]) -> None:
        """Writes eval.json."""
        _write_json(self.path / "eval.json", record)

    def _clear(self, overwrite: bool) -> None:
        """Makes room for a new run; touches nothing but what a run consists of."""
        strangers = [
            entry.name
            for entry in self.path.iterdir()
            if entry.name not in (*OWN_FILES, *OWN_FOLDERS)
        ]
        if strangers:
            raise ConfigError(
                f"'{self.path}' holds files that are no part of a run ({strangers[0]}, ...): "
                "choose another place with --out"
            )
        if not overwrite:
            raise ConfigError(
                f"'{self.path}' already holds a run: go on with it by --resume, replace it by "
                "--overwrite, or choose another place with --out"
            )
        for name in OWN_FOLDERS:
            shutil.rmtree(self.path / name, ignore_errors=True)
        for name in OWN_FILES:
            (self.path / name).unlink(missing_ok=True)


def newest_run(folder: Path = Path("runs")) -> RunDirectory:
    """Returns the run under a folder that was begun or changed last.

    Raises:
        CheckpointError: There is none.
    """
    runs = [path.parent for path in folder.glob("*/config.json")]
    if not runs:
        raise CheckpointError(
            f"there is no run under '{folder}': train one with 'mivae train', or name one with "
            "--run"
        )
    return RunDirectory(max(runs, key=lambda path: (path / "metrics.jsonl").stat().st_mtime))


def _load(module: nn.Module, path: Path) -> None:
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint '{path}'")
    try:
        load_model(module, str(path))
    except (SafetensorError, RuntimeError, OSError) as error:
        # torch's first line says only that there are errors; the second is the first of them
        reason = str(error).splitlines()[:2][-1].strip()
        raise CheckpointError(f"'{path}' is damaged or of another model: {reason}") from error
    for name, tensor in module.state_dict().items():
        # an unset log EMA(Z) is NaN by design: it has seen no batch yet
        if name != "log_partition" and not bool(tensor.isfinite().all()):
            raise CheckpointError(f"'{path}' is damaged: '{name}' holds NaN or infinite numbers")


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(str(path))
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"cannot read '{path}': {error}") from error


def _unflattened(tensors: dict[str, Tensor], name: str) -> dict[int, dict[str, Tensor]]:
    """Undoes the flat naming `NAME.INDEX.WHAT` of an optimizer's tensors."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        owner, _, rest = key.partition(".")
        if owner == name:
            index, _, what = rest.partition(".")
            state.setdefault(int(index), {})[what] = value
    return state


def _environment(corpus: Corpus) -> dict[str, Any]:
    return {
        "mivae": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "sources": corpus.sources,
        "splits": {split: asdict(summary) for split, summary in corpus.summaries.items()},
    }


def _write_json(path: Path, value: Any) -> None:  # noqa: ANN401  # whatever JSON can hold
    draft = path.with_name(path.name + ".draft")
    draft.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    os.replace(draft, path)
