"""Tensors by name as safetensors files, which contain no code.

Files are untrusted: names, shapes and types are compared before any tensor is loaded.
"""

__all__ = [
    "check_weights",
    "load_weights",
    "read_tensors",
    "read_weights",
    "tensor_bytes",
    "weight_bytes",
]

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from ..errors import CheckpointError, DivergedError
from ..storage.sealed_json import FORMAT

UNSET = "log_partition"  # NaN until the critic has seen a batch
DTYPES = {"F32": torch.float32, "F64": torch.float64, "I64": torch.int64, "U8": torch.uint8}


def load_weights(module: nn.Module, path: Path) -> None:
    """Loads a file of weights into a module; raises CheckpointError as `read_weights`."""
    # not strict: a tied weight is stored once
    module.load_state_dict(read_weights(path, module), strict=False)


def read_weights(path: Path, module: nn.Module) -> dict[str, Tensor]:
    """Returns the weights in a file by name.

    Arguments:
        path: The file.
        module: The names, shapes and types to expect; it may be on torch's `meta` device.

    Raises:
        CheckpointError: The file is damaged, or its weights belong to another model.
    """
    tensors = read_tensors(path, _unique(module))
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()) and not (name == UNSET and bool(tensor.isnan())):
            raise CheckpointError(
                f"'{path}' is damaged: '{name}' contains NaN or infinite numbers"
            )
    return tensors


def check_weights(path: Path, module: nn.Module) -> None:
    """Checks that names, shapes and types in the header of a file of weights fit a module.

    Raises:
        CheckpointError: The header is damaged, or the weights belong to another model.
    """
    with _opened(path) as file:
        _check_header(file, path, _unique(module))


def weight_bytes(module: nn.Module) -> bytes:
    """Returns the content of a file of a module's weights.

    Raises:
        DivergedError: A weight is not finite, so the checkpoint would be useless.
    """
    return tensor_bytes(_unique(module))


def tensor_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Returns the content of a file of tensors.

    Raises:
        DivergedError: A tensor contains NaN or infinite numbers.
    """
    for name, tensor in tensors.items():
        if name != UNSET and not bool(tensor.isfinite().all()):
            raise DivergedError(f"training diverged: '{name}' contains NaN or infinite numbers")
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    return save(contiguous, metadata={"mivae_format": str(FORMAT)})


def read_tensors(path: Path, expected: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """Returns the tensors in a file by name.

    Raises:
        CheckpointError: The file is damaged, or has other names, shapes or types than expected.
    """
    with _opened(path) as file:
        _check_header(file, path, expected)
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Opens a safetensors file; errors while it is read are CheckpointErrors."""
    try:
        with safe_open(str(path), framework="pt") as file:
            yield file
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"'{path}' is damaged: {error}") from error


def _unique(module: nn.Module) -> dict[str, Tensor]:
    """Returns a module's weights and buffers by name, tied weights once."""
    names = {name for name, _ in module.named_parameters()}
    names |= {name for name, _ in module.named_buffers()}
    return {name: value for name, value in module.state_dict().items() if name in names}


def _check_header(
    file: Any,  # noqa: ANN401  # safetensors exports no type
    path: Path,
    expected: Mapping[str, Tensor] | None,
) -> None:
    """Compares names, shapes and types; safetensors itself compares them with the file size."""
    written = (file.metadata() or {}).get("mivae_format", "")
    if written.isdecimal() and int(written) > FORMAT:
        raise CheckpointError(
            f"'{path}' has format {written[:9]}, written by a newer mivae. This version reads "
            f"formats up to {FORMAT}: update mivae"
        )
    found = {
        name: (tuple(part.get_shape()), DTYPES.get(part.get_dtype()))
        for name in file.keys()  # noqa: SIM118  # no mapping
        for part in [file.get_slice(name)]
    }
    if None in (dtype for _, dtype in found.values()):
        raise CheckpointError(f"'{path}' is damaged: it contains an unsupported number type")
    if expected is None:
        return
    wanted = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in expected.items()}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise CheckpointError(
                f"'{path}' belongs to another model: '{name}' is {_described(found.get(name))} in "
                f"the file and {_described(wanted.get(name))} in the model"
            )


def _described(tensor: tuple[tuple[int, ...], torch.dtype | None] | None) -> str:
    return "absent" if tensor is None else f"{list(tensor[0])} of {str(tensor[1]).split('.')[-1]}"
