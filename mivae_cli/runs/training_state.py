"""The files of a checkpoint: enough to use the model, and to resume training exactly.

    model.safetensors      the model's weights
    critic.safetensors     critic, dual variable and feature queue, if there is a critic
    training.safetensors   the optimizers' moments and the random states
    state.json             step, epoch, position, counters of the schedules
    manifest.json          sizes and checksums of these files; run id, step, best checkpoint

Only files listed in the manifest are read, and tensors must fit the model (see `tensor_files`).
"""

__all__ = ["Snapshot", "TrainingState", "Window", "load_state", "load_training", "snapshot"]

from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat
from pydantic import ValidationError as InvalidError
from torch import Tensor

from .. import limits
from ..config.training import TrainingConfig
from ..errors import CheckpointError, ConfigError
from ..mi_terms.build import Term
from ..models.vae import VAE
from ..storage.manifest import Entry, Manifest
from ..storage.sealed_json import read_sealed, sealed
from .tensor_files import load_weights, read_tensors, tensor_bytes, weight_bytes

MOMENTS = {"step", "exp_avg", "exp_avg_sq"}  # that Adam stores per weight

Finite = Annotated[float, Field(allow_inf_nan=False)]
Single = Annotated[float, Field(ge=-3.4e38, le=3.4e38)]  # the range of single precision
Count = Annotated[int, Field(ge=0, le=limits.MAX_TRAINING_STEPS)]
BatchSize = Annotated[int, Field(ge=2, le=limits.MAX_BATCH)]
Turns = Annotated[int, Field(ge=0, le=2_000_000)]  # twice the limit of settings
Optimizers = Mapping[str, torch.optim.Optimizer]


class Window(BaseModel):
    """Sums over the steps since the last training record, which reports their means."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sums: tuple[Single, Single, Single] = (0.0, 0.0, 0.0)
    """Distortion, rate and bound."""
    loss: Single = 0.0
    steps: Count = 0
    tokens: Count = 0
    seconds: NonNegativeFloat = 0.0


class TrainingState(BaseModel):
    """The state of a training run apart from its tensors. Aliases are the stored keys."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    step: Count = 0
    epoch: Turns = 0
    position: Count = 0
    """Completed batches of the current epoch."""
    batch_size: BatchSize | None = None
    """Sentences per batch; None in checkpoints of versions in which it could not change."""
    earlier: Annotated[
        tuple[tuple[BatchSize, Count], ...], Field(max_length=limits.MAX_BATCH_SIZE_CHANGES)
    ] = ()
    """Earlier batches of the epoch with another size, in order: (size, number of batches)."""
    best: Finite | None = None
    """The best validation objective so far (higher is better; the ELBO unless configured)."""
    best_epoch: Turns = 0
    epochs_without_improvement: Turns = Field(default=0, alias="worse")
    """Validations since the best one or the latest decay."""
    decays: Turns = 0
    seconds: NonNegativeFloat = 0.0
    skipped_batches: Turns = Field(default=0, alias="bad")
    """Consecutive batches skipped because a number was not finite."""
    multiplier: Annotated[float, Field(ge=0, le=1e9)] = 0.0
    """The Lagrange multiplier of a constrained rate."""
    lagging: bool = True
    """Whether the encoder still takes additional steps (lagging-inference training)."""
    lagging_mi: Finite = 0.0
    """Validation mutual information when the encoder last took additional steps, in nats."""
    peak_mi: Finite = 0.0
    """The largest validation mutual information so far, in nats."""
    encoder_steps: Count = 0
    """Additional encoder steps in this epoch."""
    window: Window = Window()
    """The steps since the last training record."""

    def change_batch_size(self, size: int) -> None:
        """Sets the number of sentences per batch from the next batch on.

        Raises:
            ConfigError: It has changed too many times within this epoch.
        """
        done = self.position - sum(count for _, count in self.earlier)
        if self.batch_size is not None and self.batch_size != size and done:
            if len(self.earlier) == limits.MAX_BATCH_SIZE_CHANGES:
                raise ConfigError(
                    f"'training.batch_size' has changed {limits.MAX_BATCH_SIZE_CHANGES:,} times "
                    "within this epoch: resume without changing it"
                )
            self.earlier = (*self.earlier, (self.batch_size, done))
        self.batch_size = size

    @property
    def name(self) -> str:
        """The name of a checkpoint of this state."""
        return f"step-{self.step:08d}" if self.position else f"epoch-{self.epoch:04d}"

    def finished(self, training: TrainingConfig) -> bool:
        """Whether training is complete."""
        return self.epoch >= training.epochs or self.decays > training.max_decays

    @property
    def best_name(self) -> str | None:
        """The name of the best checkpoint."""
        return None if self.best is None else f"epoch-{self.best_epoch:04d}"


@dataclass(frozen=True)
class Snapshot:
    """A checkpoint in memory: the contents of its files."""

    name: str
    step: int
    epoch: int
    best: str | None  # the name of the best checkpoint, possibly this one
    metrics: Entry  # size and checksum of metrics.jsonl
    files: Mapping[str, bytes]


def snapshot(
    state: TrainingState, model: VAE, term: Term | None, optimizers: Optimizers, metrics: Entry
) -> Snapshot:
    """Returns a checkpoint in memory, with an entry for the `metrics` log as it is now.

    Raises:
        DivergedError: A weight or a moment is not finite, so the checkpoint would be useless.
    """
    files = {"model.safetensors": weight_bytes(model)}
    if term is not None:
        files["critic.safetensors"] = weight_bytes(term)
    tensors = {"random.cpu": torch.get_rng_state()}
    if model.device.type == "cuda":
        tensors["random.cuda"] = torch.cuda.get_rng_state(model.device)
    tensors |= {
        f"{name}.{index}.{what}": value
        for name, optimizer in optimizers.items()
        for index, values in optimizer.state_dict()["state"].items()
        for what, value in values.items()
        if isinstance(value, Tensor)
    }
    files["training.safetensors"] = tensor_bytes(tensors)
    files["state.json"] = sealed("state", {"state": state.model_dump(by_alias=True)})
    return Snapshot(state.name, state.step, state.epoch, state.best_name, metrics, files)


def load_state(manifest: Manifest) -> TrainingState:
    """Returns the training state of a checkpoint; raises CheckpointError if it is damaged."""
    path = manifest.checked_path("state.json")
    try:
        state = TrainingState.model_validate(read_sealed(path, "state")["state"])
    except InvalidError as error:
        key = ".".join(map(str, error.errors()[0]["loc"]))
        raise CheckpointError(f"'{path}' is damaged: invalid value of '{key}'") from error
    except LookupError as error:
        raise CheckpointError(f"'{manifest.folder}' cannot be resumed: {error}") from error
    for name, number in (("step", state.step), ("epoch", state.epoch)):
        if manifest.body.get(name) != number:
            raise CheckpointError(f"'{path}' is damaged: '{name}' differs from the manifest")
    return state


def load_training(
    manifest: Manifest, model: VAE, term: Term | None, optimizers: Optimizers
) -> TrainingState:
    """Restores model, term, optimizers and random state; returns the training state.

    Raises:
        CheckpointError: A file is missing, damaged, or belongs to another model.
    """
    load_weights(model, manifest.checked_path("model.safetensors"))
    if term is not None:
        path = manifest.checked_path("critic.safetensors")
        load_weights(term, path)
        if not 0 <= int(term.pushed) <= limits.MAX_RESUMED_STEPS:
            raise CheckpointError(f"'{path}' is damaged: 'pushed' is not a count")
    state = load_state(manifest)
    _check_room(state, manifest)
    tensors = read_tensors(manifest.checked_path("training.safetensors"))
    try:
        for name, optimizer in optimizers.items():
            _restore(optimizer, name, tensors)
        torch.set_rng_state(tensors["random.cpu"])
        if model.device.type == "cuda" and "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random.cuda"], model.device)
    except (LookupError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"'{manifest.folder}' cannot be resumed: {error}") from error
    return state


def _check_room(state: TrainingState, manifest: Manifest) -> None:
    """Raises CheckpointError if a count leaves no room for further steps."""
    keys = ("step", "position", "encoder_steps", "window.steps", "window.tokens")
    for name, count in zip(keys, attrgetter(*keys)(state), strict=True):
        if count > limits.MAX_RESUMED_STEPS:
            path = manifest.folder / "state.json"
            raise CheckpointError(
                f"'{path}' is damaged: '{name}' is {count:,}, more than training can reach"
            )


def _restore(optimizer: torch.optim.Optimizer, name: str, tensors: dict[str, Tensor]) -> None:
    """Restores the moments of an optimizer; its learning rate comes from the configuration.

    Raises ValueError if they do not fit the parameters: torch would write out of bounds later.
    """
    moments = MOMENTS if isinstance(optimizer, torch.optim.Adam) else set()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    places = set(map(str, range(len(parameters))))
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        owner, _, rest = key.partition(".")
        if owner != name:
            continue
        index, _, what = rest.partition(".")
        if what not in moments or index not in places:
            raise ValueError(f"'{key}' belongs to another optimizer")
        weight = parameters[int(index)]
        if value.shape != (() if what == "step" else weight.shape):
            raise ValueError(f"the shape of '{key}' differs from that of its weight")
        if value.dtype != (torch.float32 if what == "step" else weight.dtype):
            raise ValueError(f"the type of '{key}' differs from that of its weight")
        if not bool(value.isfinite().all()):
            raise ValueError(f"'{key}' contains NaN or infinite numbers")
        state.setdefault(int(index), {})[what] = value
    for place, found in state.items():
        if missing := sorted(moments - found.keys()):
            raise ValueError(f"'{name}.{place}' lacks '{missing[0]}'")
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
