"""A checkpoint: all that is needed to use a model, and to train on as if it had not stopped.

    model.safetensors      the model's weights
    critic.safetensors     critic, dual variable and feature queue, where there is a critic
    training.safetensors   the optimizers' moments and the random states
    state.json             step, epoch, position, counters of the schedules
    manifest.json          sizes and checksums of these; run, step; which checkpoint is the best

Nothing is pickled. What is read is what the manifest vouches for, and fits the model in names,
shapes and types before any of it is loaded; weights are finite numbers.
"""

__all__ = [
    "Snapshot",
    "TrainingState",
    "Window",
    "check",
    "load_training",
    "load_weights",
    "snapshot",
]

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat
from pydantic import ValidationError as InvalidError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from .errors import CheckpointError, DivergedError
from .estimators.terms import Term
from .models.vae import VAE
from .storage.documents import FORMAT, read_sealed, sealed
from .storage.manifest import Entry, Manifest

UNSET = "log_partition"  # NaN by design until it has seen a batch
DTYPES = {"F32": torch.float32, "F64": torch.float64, "I64": torch.int64, "U8": torch.uint8}

MOMENTS = {"step", "exp_avg", "exp_avg_sq"}  # what Adam keeps of a weight

Finite = Annotated[float, Field(allow_inf_nan=False)]
Single = Annotated[float, Field(ge=-3.4e38, le=3.4e38)]  # what single precision holds
Count = Annotated[int, Field(ge=0, le=2**53)]
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
    best: Finite | None = None
    """The best validation objective so far, the higher the better: the ELBO, where that is it."""
    best_epoch: Turns = 0
    worse: Turns = 0
    """Validations since the best or the latest decay."""
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
    encoder_steps: Count = 0
    """The encoder's own steps in this epoch."""
    window: Window = Window()
    """The steps since the last record of progress."""

    @property
    def name(self) -> str:
        """How a checkpoint of this state is called."""
        return f"step-{self.step:08d}" if self.position else f"epoch-{self.epoch:04d}"

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
    files = {"model.safetensors": _weights(model)}
    if term is not None:
        files["critic.safetensors"] = _weights(term)
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
    _check_finite(tensors)
    files["training.safetensors"] = _bytes(tensors)
    files["state.json"] = sealed("state", {"state": state.model_dump()})
    return Snapshot(state.name, state.step, state.epoch, state.best_name, journal, files)


def load_weights(module: nn.Module, path: Path) -> None:
    """Loads a module's weights from a file that fits it.

    Raises:
        CheckpointError: The file is damaged, or of another model.
    """
    tensors = _read(path, _unique(module))
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()) and not (name == UNSET and bool(tensor.isnan())):
            raise CheckpointError(f"'{path}' is damaged: '{name}' holds NaN or infinite numbers")
    module.load_state_dict(tensors, strict=False)  # not strict: a tied weight is there once


def check(path: Path, module: nn.Module) -> None:
    """Reads the header of a file of weights, and says whether it fits a module.

    Arguments:
        path: The file.
        module: Of the right shapes; it may be on torch's device `meta`, which takes no memory.

    Raises:
        CheckpointError: The file is damaged, or of another model.
    """
    _check_header(path, _unique(module))


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
        if not 0 <= int(term.pushed) <= 2**53:
            raise CheckpointError(f"'{path}' is damaged: 'pushed' is no count")
    path = manifest.path("state.json")
    record = read_sealed(path, "state")
    tensors = _read(manifest.path("training.safetensors"))
    try:
        state = TrainingState.model_validate(record["state"])
        for name, optimizer in optimizers.items():
            _restore(optimizer, name, tensors)
        torch.set_rng_state(tensors["random.cpu"])
        if model.device.type == "cuda" and "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random.cuda"], model.device)
    except InvalidError as error:
        what = ".".join(map(str, error.errors()[0]["loc"]))
        raise CheckpointError(f"'{path}' is damaged: '{what}' is no such number") from error
    except (LookupError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"'{manifest.folder}' cannot be resumed: {error}") from error
    return state


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


def _unique(module: nn.Module) -> dict[str, Tensor]:
    """Returns a module's weights and buffers by name, one that has two names only once."""
    names = {name for name, _ in module.named_parameters()}
    names |= {name for name, _ in module.named_buffers()}
    return {name: value for name, value in module.state_dict().items() if name in names}


def _weights(module: nn.Module) -> bytes:
    tensors = _unique(module)
    _check_finite(tensors)
    return _bytes(tensors)


def _check_finite(tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if name != UNSET and not bool(tensor.isfinite().all()):
            raise DivergedError(f"training diverged: '{name}' holds NaN or infinite numbers")


def _bytes(tensors: dict[str, Tensor]) -> bytes:
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    return save(tensors, metadata={"mivae_format": str(FORMAT)})


def _read(path: Path, expected: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    _check_header(path, expected)
    try:
        return load_file(str(path))
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"'{path}' is damaged: {error}") from error


def _check_header(path: Path, expected: Mapping[str, Tensor] | None) -> None:
    """Reads names, shapes and types only; the library holds them against the file's size."""
    try:
        with safe_open(str(path), framework="pt") as file:
            written = (file.metadata() or {}).get("mivae_format", "")
            if written.isdecimal() and int(written) > FORMAT:
                raise CheckpointError(
                    f"'{path}' has format {written[:9]}, from a newer mivae: this one reads "
                    f"formats up to {FORMAT}"
                )
            found = {
                name: (tuple(part.get_shape()), DTYPES.get(part.get_dtype()))
                for name in file.keys()  # noqa: SIM118  # no mapping, whatever it looks like
                for part in [file.get_slice(name)]
            }
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"'{path}' is damaged: {error}") from error
    if None in (dtype for _, dtype in found.values()):
        raise CheckpointError(f"'{path}' is damaged: it holds numbers of another kind")
    if expected is None:
        return
    wanted: dict[str, Any] = {
        name: (tuple(tensor.shape), tensor.dtype) for name, tensor in expected.items()
    }
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise CheckpointError(
                f"'{path}' is of another model: '{name}' is {_described(found.get(name))} there, "
                f"and {_described(wanted.get(name))} here"
            )


def _described(tensor: tuple[tuple[int, ...], torch.dtype | None] | None) -> str:
    return "not" if tensor is None else f"{list(tensor[0])} of {str(tensor[1]).split('.')[-1]}"
