"""Files of named arrays: `.npz`, `.safetensors` and `.npy`, read without unpickling anything.

What a header claims is held against the bytes that are there before memory is set aside.
"""

__all__ = [
    "check_numbers",
    "damage_named",
    "matrix",
    "read_npy",
    "read_two",
]

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from ...data.decompression import check_unpacked
from ...data.npy import read_npy_header
from ...errors import ConfigError, DataError, MivaeError, listing, reason

NUMBERS = "biuf"  # kinds of dtypes: bool, signed, unsigned, floating
OTHERS = {
    "c": "complex numbers",
    "U": "strings",
    "T": "strings",
    "S": "bytes",
    "O": "Python objects",
    "M": "dates",
    "m": "durations",
    "V": "records",
}
NUMPY_LACKS = ("BF16", "F8", "F6", "F4")  # how the names of such dtypes begin in safetensors
# of numpy's archives; others, such as LZMA, take what room a header claims for their dictionary
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def read_npy(path: Path) -> NDArray[Any]:
    """Returns the array of a `.npy` file.

    Raises:
        DataError: The file cannot be read, is damaged, or holds something else than numbers.
    """
    with damage_named(path), path.open("rb") as file:
        return _parse_npy(file, path.stat().st_size, f"'{path}'")


def read_two(path: Path, x: str | None, z: str | None) -> tuple[NDArray[Any], NDArray[Any]]:
    """Returns two arrays of a `.npz` or `.safetensors` file.

    Arguments:
        path: The file.
        x: The name of the first array; `x` if it is not given.
        z: The name of the second array; `z` if it is not given.

    Raises:
        ConfigError: The file lacks an array of such a name; those that it has are listed.
        DataError: The file cannot be read, is damaged, or holds something else than numbers.
    """
    with damage_named(path):
        if path.suffix.lower() == ".npz":
            return _read_npz(path, x, z)
        return _read_safetensors(path, x, z)


def matrix(values: object, name: str) -> NDArray[np.float64]:
    """Returns rows of numbers in double precision, with shape (N, dimensions).

    Arguments:
        values: An array, a tensor or nested lists, with shape (N,) or (N, dimensions).
        name: What an error calls them.

    Raises:
        DataError: These are not rows of numbers.
    """
    try:
        array = np.asarray(_without_torch(values))
    except (ValueError, TypeError, RuntimeError) as error:  # ragged lists; sparse tensors
        raise DataError(f"{name}: numbers are needed, got no array: {reason(error)}") from error
    check_numbers(array.dtype, name)
    if np.ma.is_masked(values):
        raise DataError(f"{name} holds masked values: remove these pairs first")
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2:
        raise DataError(
            f"{name} has shape {array.shape}: (N,) or (N, dimensions) is needed, a row for each "
            "pair"
        )
    if array.shape[1] == 0:
        raise DataError(f"{name} has shape {array.shape}: there is no column to measure")
    # NaN stays NaN, what only a longer float can hold becomes infinite
    with np.errstate(over="ignore", invalid="ignore"):
        return np.require(array, np.float64, ["C", "W"])


def check_numbers(dtype: np.dtype[Any], name: str) -> None:
    """Raises DataError unless a dtype is one of real numbers."""
    if dtype.kind not in NUMBERS:
        raise DataError(f"{name}: numbers are needed, got {OTHERS.get(dtype.kind, dtype)}")


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turns whatever the bytes of a file provoke into an error that names the file."""
    try:
        yield
    except (MivaeError, MemoryError):
        raise
    except OSError as error:
        raise DataError(f"cannot read '{path}': {reason(error)}") from error
    except Exception as error:  # zipfile, zlib, numpy, safetensors, pyarrow: each has its own
        raise DataError(
            f"'{path}' is damaged, or is no {path.suffix} file: {reason(error)}"
        ) from error


def _without_torch(values: object) -> object:
    if not hasattr(values, "detach"):
        return values
    tensor: Any = values.detach().cpu()
    # numpy has no bfloat16
    return (tensor.double() if tensor.is_floating_point() else tensor).numpy()


def _read_npz(path: Path, x: str | None, z: str | None) -> tuple[NDArray[Any], NDArray[Any]]:
    with zipfile.ZipFile(path) as archive:
        members = {
            info.filename.removesuffix(".npy"): info
            for info in archive.infolist()
            if info.filename.endswith(".npy")
        }

        def read(name: str) -> NDArray[Any]:
            if members[name].compress_size > path.stat().st_size:
                raise zipfile.BadZipFile(f"'{name}' claims more bytes than the file has")
            if members[name].compress_type not in PACKINGS:
                raise zipfile.BadZipFile(f"'{name}' is packed as numpy packs nothing")
            size, title = members[name].file_size, f"'{name}' in '{path}'"
            check_unpacked(title, size, members[name].compress_size)
            with archive.open(members[name]) as member:
                return _parse_npy(member, size, title)

        first, second = _choose(path, list(members), x, z)
        return read(first), read(second)


def _read_safetensors(
    path: Path, x: str | None, z: str | None
) -> tuple[NDArray[Any], NDArray[Any]]:
    with safe_open(path, framework="numpy") as file:
        first, second = _choose(path, list(file.keys()), x, z)

        def read(name: str) -> NDArray[Any]:
            size = 8 * math.prod(file.get_slice(name).get_shape())  # in double precision
            check_unpacked(f"'{name}' in '{path}'", size, size)
            if not file.get_slice(name).get_dtype().startswith(NUMPY_LACKS):
                array: NDArray[Any] = file.get_tensor(name)
                return array
            with safe_open(path, framework="pt") as widened:
                return matrix(widened.get_tensor(name), f"'{name}' in '{path}'")

        return read(first), read(second)


def _parse_npy(stream: IO[bytes], size: int, name: str) -> NDArray[Any]:
    """Reads an array in numpy's format from a stream of so many bytes."""
    shape, by_columns, dtype = read_npy_header(stream)
    if dtype.hasobject:
        raise DataError(
            f"{name} holds pickled Python objects; mivae never reads pickles: save arrays of "
            "numbers with numpy.savez or safetensors"
        )
    check_numbers(dtype, name)
    wanted, there = math.prod(shape) * dtype.itemsize, size - stream.tell()
    if 0 <= wanted <= there:
        check_unpacked(name, wanted, wanted)
    content = stream.read(wanted) if 0 <= wanted <= there else b""
    if len(content) != wanted:
        raise DataError(
            f"{name} is cut short or damaged: an array of shape {shape} takes {wanted:,} bytes, "
            f"and {len(content) or there:,} are there"
        )
    return np.frombuffer(content, dtype).reshape(shape, order="F" if by_columns else "C")


def _choose(path: Path, names: list[str], x: str | None, z: str | None) -> tuple[str, str]:
    """Returns the names of both arrays; never a guess, because I(x; z) of any two is a number."""
    if len(names) < 2:
        raise DataError(
            f"'{path}' holds {len(names)} of the two arrays that are needed, x and z: "
            f"{listing(map(repr, names)) or 'none'}"
        )
    first, second = x or "x", z or "z"
    if first == second:
        raise ConfigError(f"x and z are both '{first}': name two arrays with --x and --z")
    missing = [name for name in (first, second) if name not in names]
    if missing:
        advice = []
        if first not in names:
            advice.append("--x NAME")
        if second not in names:
            advice.append(f"--z {'y' if first in names and 'y' in names else 'NAME'}")
        raise ConfigError(
            f"'{path}' has no array {' and no array '.join(map(repr, missing))} (it has "
            f"{listing(map(repr, names))}): name what there is with {' '.join(advice)}"
        )
    return first, second
