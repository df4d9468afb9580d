"""Read arrays from memory and from `.npz`, `.safetensors` and `.npy` files; never unpickle.

Sizes that a file header claims are checked against the file size before allocating memory.
"""

__all__ = ["check_numbers", "damage_named", "numbers", "read_arrays", "read_npy"]

import math
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from safetensors import safe_open

from ...data.decompression import check_unpacked
from ...data.npy import read_npy_header
from ...errors import ConfigError, DataError, MivaeError, listing, reason

Arrays = list[NDArray[Any]]
NUMBERS = "biuf"  # dtype kinds: bool, signed, unsigned, floating
LABELS = "US"  # strings and bytes
OTHER_KINDS = {
    "c": "complex numbers",
    "U": "strings",
    "T": "strings",
    "S": "bytes",
    "O": "Python objects",
    "M": "dates",
    "m": "durations",
    "V": "records",
}
NOT_IN_NUMPY = ("BF16", "F8", "F6", "F4")  # prefixes of safetensors dtypes
# the methods that numpy writes; others, such as LZMA, allocate as much as the header claims
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def read_npy(path: Path) -> NDArray[Any]:
    """Returns the array of a `.npy` file.

    Raises:
        DataError: The file cannot be read, is damaged, or does not contain numbers.
    """
    with damage_named(path), path.open("rb") as file:
        return _parse_npy(file, path.stat().st_size, f"'{path}'")


def read_arrays(path: Path, x: str | None, z: str | None, others: Sequence[str] = ()) -> Arrays:
    """Returns arrays of a `.npz` or `.safetensors` file by their names, first x, then z.

    Arguments:
        path: The file.
        x: The name of x; default "x".
        z: The name of z; default "z".
        others: The names of further arrays.

    Raises:
        ConfigError: The file has no array of that name; the error lists the names.
        DataError: The file cannot be read, is damaged, or contains neither numbers nor strings.
    """
    with damage_named(path):
        if path.suffix.lower() == ".npz":
            return _read_npz(path, x, z, others)
        return _read_safetensors(path, x, z, others)


def numbers(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """Returns an array, tensor, data frame or nested lists as an array in double precision.

    Raises:
        DataError: The values are not real numbers; the error names them.
    """
    try:
        array = _array(values, name)
    except (ValueError, TypeError, RuntimeError) as error:  # ragged lists; sparse tensors
        raise DataError(f"{name} is not an array of numbers: {reason(error)}") from error
    check_numbers(array.dtype, name)
    if np.ma.is_masked(values):
        raise DataError(f"{name} contains masked values; remove these rows")
    # values beyond the range of float64 become infinite
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(array, np.float64)


def check_numbers(dtype: np.dtype[Any], name: str) -> None:
    """Raises DataError unless a dtype is real and numeric."""
    if dtype.kind not in NUMBERS:
        raise DataError(f"{name} contains {OTHER_KINDS.get(dtype.kind, dtype)}, not real numbers")


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Context manager that turns any exception from parsing a file into a DataError naming it."""
    try:
        yield
    except (MivaeError, MemoryError):
        raise
    except OSError as error:
        raise DataError(f"cannot read '{path}': {reason(error)}") from error
    except Exception as error:  # zipfile, zlib, numpy, safetensors, pyarrow
        raise DataError(
            f"'{path}' is damaged or not a {path.suffix} file: {reason(error)}"
        ) from error


def _array(values: Any, name: str) -> NDArray[Any]:  # noqa: ANN401  # torch, pandas, polars
    if hasattr(values, "detach"):
        tensor = values.detach().cpu()
        # numpy has no bfloat16
        return np.asarray(tensor.double() if tensor.is_floating_point() else tensor)
    # columns of different dtypes would become Python objects in one array
    if hasattr(values, "iter_columns"):  # polars
        columns = [(column.name, np.asarray(column)) for column in values.iter_columns()]
    elif hasattr(values, "items") and hasattr(values, "columns"):  # pandas
        columns = [(key, np.asarray(column)) for key, column in values.items()]
    else:
        return np.asarray(values)
    for key, column in columns:
        check_numbers(column.dtype, f"column '{key}' of {name}")
    return np.stack([column for _, column in columns], axis=1) if columns else np.empty((0, 0))


def _read_npz(path: Path, x: str | None, z: str | None, others: Sequence[str]) -> Arrays:
    with zipfile.ZipFile(path) as archive:
        members = {
            info.filename.removesuffix(".npy"): info
            for info in archive.infolist()
            if info.filename.endswith(".npy")
        }

        def read(name: str) -> NDArray[Any]:
            info, title = members[name], f"'{name}' in '{path}'"
            if info.compress_size > path.stat().st_size:
                raise zipfile.BadZipFile(
                    f"the header of '{name}' claims more bytes than the file has"
                )
            if info.compress_type not in COMPRESSIONS:
                raise zipfile.BadZipFile(f"'{name}' uses a compression that numpy does not write")
            check_unpacked(title, info.file_size, info.compress_size)
            with archive.open(info) as member:
                return _parse_npy(member, info.file_size, title)

        return [read(name) for name in _choose(path, list(members), x, z, others)]


def _read_safetensors(path: Path, x: str | None, z: str | None, others: Sequence[str]) -> Arrays:
    with safe_open(path, framework="numpy") as file:
        chosen = _choose(path, list(file.keys()), x, z, others)

        def read(name: str) -> NDArray[Any]:
            size = 8 * math.prod(file.get_slice(name).get_shape())  # in double precision
            check_unpacked(f"'{name}' in '{path}'", size, size)
            if not file.get_slice(name).get_dtype().startswith(NOT_IN_NUMPY):
                array: NDArray[Any] = file.get_tensor(name)
                return array
            with safe_open(path, framework="pt") as widened:
                return numbers(widened.get_tensor(name), f"'{name}' in '{path}'")

        return [read(name) for name in chosen]


def _parse_npy(stream: IO[bytes], size: int, name: str) -> NDArray[Any]:
    """Reads an array in NumPy format from a stream of `size` bytes."""
    shape, by_columns, dtype = read_npy_header(stream)
    if dtype.hasobject:
        raise DataError(
            f"{name} contains pickled Python objects, which mivae never reads; save arrays of "
            "numbers with numpy.savez or safetensors"
        )
    if dtype.kind not in LABELS:
        check_numbers(dtype, name)
    wanted, remaining = math.prod(shape) * dtype.itemsize, size - stream.tell()
    if 0 <= wanted <= remaining:
        check_unpacked(name, wanted, wanted)
    content = stream.read(wanted) if 0 <= wanted <= remaining else b""
    if len(content) != wanted:
        raise DataError(
            f"{name} is truncated or damaged: an array of shape {shape} takes {wanted:,} bytes, "
            f"but only {len(content) or remaining:,} remain"
        )
    return np.frombuffer(content, dtype).reshape(shape, order="F" if by_columns else "C")


def _choose(
    path: Path, names: list[str], x: str | None, z: str | None, others: Sequence[str]
) -> list[str]:
    """Returns the names of all arrays, without guessing: any two arrays have some I(x; z)."""
    if len(names) < 2:
        raise DataError(
            f"'{path}' must contain two arrays, x and z, but contains {len(names)}: "
            f"{listing(map(repr, names)) or 'none'}"
        )
    first, second = x or "x", z or "z"
    if first == second:
        raise ConfigError(f"x and z are both '{first}'; choose two arrays with --x and --z")
    if absent := [name for name in others if name not in names]:
        raise ConfigError(
            f"'{path}' has no array '{absent[0]}'; choose among {listing(map(repr, names))}"
        )
    missing = [name for name in (first, second) if name not in names]
    if missing:
        advice = [] if first in names else ["--x NAME"]
        if second not in names:
            advice.append(f"--z {'y' if first in names and 'y' in names else 'NAME'}")
        raise ConfigError(
            f"'{path}' has no array {' and no array '.join(map(repr, missing))}; choose among "
            f"{listing(map(repr, names))} with {' '.join(advice)}"
        )
    return [first, second, *others]
