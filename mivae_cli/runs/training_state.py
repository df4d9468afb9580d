"""A checkpoint: all that is needed to use a model, and to train on as if it had not stopped.

    model.safetensors      the model's weights
    critic.safetensors     critic, dual variable and feature queue, where there is a critic
    training.safetensors   the optimizers' moments and the random states
    state.json             step, epoch, position, counters of the schedules
    manifest.json          sizes and checksums of these; run, step; which checkpoint is the best

What is read is what the manifest vouches for, and fits the model (see `weights`).
"""

__all__ = ["Snapshot", "TrainingState", "Window", "load_state", "load_training", "snapshot"]

from collections.abc import Mapping
from dataclasses import dataclass
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

MOMENTS = {"step", "exp_avg", "exp_avg_sq"}  # what Adam keeps of a weight

Finite = Annotated[float, Field(allow_inf_nan=False)]
Single = Annotated[float, Field(ge=-3.4e38, le=3.4e38)]  # what single precision holds
Count = Annotated[int, Field(ge=0, le=limits.MAX_TRAINING_STEPS)]
BatchSize = Annotated[int, Field(ge=2, le=limits.MAX_BATCH)]
Turns = Annotated[int, Field(ge=0, le=2_000_000)]  # the limits of a configuration are half of it
Optimizers = Mapping[str, torch.optim.Optimizer]


class Window(BaseModel):
    """Sums over some steps, of which a record of progress will tell the means."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sums: tuple[Single, Single, Single] = (0.0, 0.0, 0.0)
    """Distortion, rate and bound."""
    loss: Single = 0.0
    steps: Count = 0
    tokens: Count = 0
    seconds: NonNegativeFloat = 0.0


class TrainingState(BaseModel):
    """Where a training run stands, beside its tensors."""

    model_config = ConfigDict(extra="forbid")

    step: Count = 0
    epoch: Turns = 0
    position: Count = 0
    """Batches of the epoch already done."""
    batch_size: BatchSize | None = None
    """Sentences per batch; not known of a checkpoint that mivae saved when it could not change."""
    earlier: Annotated[
        tuple[tuple[BatchSize, Count], ...], Field(max_length=limits.MAX_BATCH_SIZE_CHANGES)
    ] = ()
    """The batches of the epoch that had other sizes, in order: the size and how many."""
    best: Finite | None = None
    """The best validation objective so far, the higher the better: the ELBO, where that is it."""
    best_epoch: Turns = 0
    epochs_without_improvement: Annotated[Turns, Field(alias="worse")] = 0
    """Validations since the best value or the latest decay; stored as `worse`."""
    decays: Turns = 0
    seconds: NonNegativeFloat = 0.0
    bad: Turns = 0
    """Batches in a row that were passed over."""
    multiplier: Annotated[float, Field(ge=0, le=1e9)] = 0.0
    """Lagrange's, where the rate is constrained."""
    lagging: bool = True
    """Whether the encoder, where it makes steps of its own, still does."""
    lagging_mi: Finite = 0.0
    """The validation's mutual information when the encoder last made steps of its own, in nats."""
    peak_mi: Finite = 0.0
    """The largest mutual information of a validation so far, in nats."""
    encoder_steps: Count = 0
    """The encoder's own steps in this epoch."""
    window: Window = Window()
    """The steps since the last record of progress."""

    def change_batch_size(self, size: int) -> None:
        """Has the next batches hold another number of sentences.

        Raises:
            ConfigError: It has changed too often within this epoch.
        """
        done = self.position - sum(count for _, count in self.earlier)
        if self.batch_size is not None and self.batch_size != size and done:
            if len(self.earlier) == limits.MAX_BATCH_SIZE_CHANGES:
                raise ConfigError(
                    f"'training.batch_size' has changed {limits.MAX_BATCH_SIZE_CHANGES:,} times "
                    "within this epoch: "
                    "resume without --batch-size"
                )
            self.earlier = (*self.earlier, (self.batch_size, done))
        self.batch_size = size

    @property
    def name(self) -> str:
        """How a checkpoint of this state is called."""
        return f"step-{self.step:08d}" if self.position else f"epoch-{self.epoch:04d}"

    def finished(self, training: TrainingConfig) -> bool:
        """Whether no epoch follows."""
        return self.epoch >= training.epochs or self.decays > training.max_decays

    @property
    def best_name(self) -> str | None:
        """How the best checkpoint is called."""
        return None if self.best is None else f"epoch-{self.best_epoch:04d}"


@dataclass(frozen=True)
class Snapshot:
    """A checkpoint in memory: what its files are to hold."""

    name: str
    step: int
    epoch: int
    best: str | None  # the name of the best checkpoint, perhaps this one
    journal: Entry
    files: Mapping[str, bytes]


def snapshot(
    state: TrainingState,
    model: VAE,
    term: Term | None,
    optimizers: Optimizers,
    journal: Entry,
) -> Snapshot:
    """Takes a checkpoint, into memory.

    Arguments:
        state: Where training stands.
        model: Its weights are taken.
        term: The critic, where there is one.
        optimizers: Their moments are taken, by name.
        journal: How the run's journal begins now.

    Raises:
        DivergedError: A weight or a moment is no finite number: such a checkpoint is of no use.
    """
    files = {"model.safetensors": weight_bytes(model)}
    if term is not None:
        files["critic.safetensors"] = weight_bytes(term)
    tensors = {"random.cpu": torch.get_rng_state()}
    if model.device.type == "cuda":
        tensors["random.cuda"] = torch.cuda.get_rng_state(model.device)
    for name, optimizer in optimizers.items():
        for index, values in optimizer.state_dict()["state"].items():
            tensors |= {
                f"{name}.{index}.{what}": value
                for what, value in values.items()
                if isinstance(value, Tensor)
            }
    files["training.safetensors"] = tensor_bytes(tensors)
    files["state.json"] = sealed("state", {"state": state.model_dump(by_alias=True)})
    return Snapshot(state.name, state.step, state.epoch, state.best_name, journal, files)


def load_state(manifest: Manifest) -> TrainingState:
    """Returns where training stood at a checkpoint.

    Raises:
        CheckpointError: It is missing or damaged.
    """
    path = manifest.path("state.json")
    try:
        state = TrainingState.model_validate(read_sealed(path, "state")["state"])
    except InvalidError as error:
        what = ".".join(map(str, error.errors()[0]["loc"]))
        raise CheckpointError(f"'{path}' is damaged: '{what}' is no such number") from error
    except LookupError as error:
        raise CheckpointError(f"'{manifest.folder}' cannot be resumed: {error}") from error
    for name, number in (("step", state.step), ("epoch", state.epoch)):
        if manifest.body.get(name) != number:
            raise CheckpointError(f"'{path}' is damaged: the manifest has another '{name}'")
    return state


def load_training(
    manifest: Manifest,
    model: VAE,
    term: Term | None,
    optimizers: Optimizers,
) -> TrainingState:
    """Puts back all that training needs to go on as if it had not stopped.

    Raises:
        CheckpointError: Something is missing, damaged, or of another model.
    """
    load_weights(model, manifest.path("model.safetensors"))
    if term is not None:
        path = manifest.path("critic.safetensors")
        load_weights(term, path)
        if not 0 <= int(term.pushed) <= limits.MAX_RESUMED_STEPS:
            raise CheckpointError(f"'{path}' is damaged: 'pushed' is no count")
    state = load_state(manifest)
    _check_room(state, manifest)
    tensors = read_tensors(manifest.path("training.safetensors"))
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
    """Refuses counts that training could raise beyond what a state may hold."""
    counts = {
        "step": state.step,
        "position": state.position,
        "encoder_steps": state.encoder_steps,
        "window.steps": state.window.steps,
        "window.tokens": state.window.tokens,
    }
    for name, count in counts.items():
        if count > limits.MAX_RESUMED_STEPS:
            path = manifest.folder / "state.json"
            raise CheckpointError(
                f"'{path}' is damaged: '{name}' is {count:,}, more than any training comes to"
            )


def _restore(optimizer: torch.optim.Optimizer, name: str, tensors: dict[str, Tensor]) -> None:
    """Gives an optimizer its moments back; its learning rate is the configuration's.

    Raises:
        ValueError: They do not fit its parameters. What does not, torch would take all the same,
            and write beyond its end at the next step.
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
            raise ValueError(f"'{key}' is of another optimizer")
        weight = parameters[int(index)]
        if value.shape != (() if what == "step" else weight.shape):
            raise ValueError(f"'{key}' has another shape than its weight")
        if value.dtype != (torch.float32 if what == "step" else weight.dtype):
            raise ValueError(f"'{key}' holds numbers of another kind than its weight")
        if not bool(value.isfinite().all()):
            raise ValueError(f"'{key}' holds NaN or infinite numbers")
        state.setdefault(int(index), {})[what] = value
    for place, found in state.items():
        if missing := sorted(moments - found.keys()):
            raise ValueError(f"it has '{name}.{place}' without '{missing[0]}'")
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
