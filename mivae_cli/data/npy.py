"""Read the headers of untrusted `.npy` files, with a size limit, and map vectors into memory."""

__all__ = ["map_npy", "read_npy_header"]

import io
import warnings
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from .. import limits


def map_npy(path: Path, dtype: str) -> NDArray[Any]:
    """Returns the memory-mapped vector in a `.npy` file, with shape (N,).

    NumPy and the operating system may raise further exceptions.

    Raises:
        ValueError: The file is not a vector of that type, or its size does not match its header.
    """
    with path.open("rb") as file:
        shape, _, found = read_npy_header(file)
        start = file.tell()
    if found != dtype or len(shape) != 1:
        raise ValueError(f"'{path.name}' is not a vector of type {dtype}")
    if path.stat().st_size != start + shape[0] * found.itemsize:
        raise ValueError(f"the size of '{path.name}' does not match its header")
    return np.memmap(path, dtype, "r", start, shape)


def read_npy_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Returns shape, Fortran order and dtype of an array; its data follow in the stream."""
    version = np.lib.format.read_magic(stream)
    prefix = stream.read(2 if version == (1, 0) else 4)
    size = int.from_bytes(prefix, "little")
    if size > limits.MAX_NPY_HEADER_BYTES:  # numpy would allocate them before it checks
        raise ValueError(
            f"a header of {size:,} bytes is longer than the limit of "
            f"{limits.MAX_NPY_HEADER_BYTES:,}"
        )
    header = io.BytesIO(prefix + stream.read(size))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about headers written by Python 2
        if version == (1, 0):
            return np.lib.format.read_array_header_1_0(header)
        # version 3.0 differs only in the encoding of field names
        return np.lib.format.read_array_header_2_0(header)
