"""Weights, and any tensors by name, as safetensors and back.

Nothing is pickled. What is written are finite numbers. What is read fits the module in names, shapes and types before any of it is
loaded; weights are finite numbers.
"""

__all__ = ["check", "load_weights", "read_tensors", "tensor_bytes", "weight_bytes"]

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from ..errors import CheckpointError, DivergedError
from ..storage.sealed_json import FORMAT

UNSET = "log_partition"  # NaN by design until it has seen a batch
DTYPES = {"F32": torch.float32, "F64": torch.float64, "I64": torch.int64, "U8": torch.uint8}


def load_weights(module: nn.Module, path: Path) -> None:
    """Loads a module's weights from a file that fits it.

    Raises:
        CheckpointError: The file is damaged, or of another model.
    """
    tensors = read_tensors(path, _unique(module))
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


def weight_bytes(module: nn.Module) -> bytes:
    """Returns a module's weights as the content of a file.

    Raises:
        DivergedError: One is no finite number: such a checkpoint is of no use.
    """
    return tensor_bytes(_unique(module))


def tensor_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Returns tensors as the content of a file.

    Raises:
        DivergedError: One holds NaN or infinite numbers.
    """
    for name, tensor in tensors.items():
        if name != UNSET and not bool(tensor.isfinite().all()):
            raise DivergedError(f"training diverged: '{name}' holds NaN or infinite numbers")
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    return save(whole, metadata={"mivae_format": str(FORMAT)})


def read_tensors(path: Path, expected: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """Returns the tensors of a file by name.

    Arguments:
        path: The file.
        expected: Of the names, shapes and types that it must have.

    Raises:
        CheckpointError: It is damaged, or does not hold what is expected.
    """
    _check_header(path, expected)
    try:
        return load_file(str(path))
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"'{path}' is damaged: {error}") from error


def _unique(module: nn.Module) -> dict[str, Tensor]:
    """Returns a module's weights and buffers by name, one that has two names only once."""
    names = {name for name, _ in module.named_parameters()}
    names |= {name for name, _ in module.named_buffers()}
    return {name: value for name, value in module.state_dict().items() if name in names}


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
