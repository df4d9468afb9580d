"""`.npy` files: their headers, read within limits, and rows that are mapped into memory."""

__all__ = ["map_npy", "read_npy_header"]

import io
import warnings
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from .. import limits


def map_npy(path: Path, dtype: str) -> NDArray[Any]:
    """Maps the row of a `.npy` file, with shape (N,), without reading it.

    Raises:
        ValueError: It is no row of that type, or has not the size that its header claims; numpy
            and the operating system have more.
    """
    with path.open("rb") as file:
        shape, _, found = read_npy_header(file)
        start = file.tell()
    if found != dtype or len(shape) != 1:
        raise ValueError(f"'{path.name}' holds something else than a row of {dtype}")
    if path.stat().st_size != start + shape[0] * found.itemsize:
        raise ValueError(f"'{path.name}' has not the size that its header claims")
    return np.memmap(path, dtype, "r", start, shape)


def read_npy_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Returns the shape, whether columns come first, and the dtype of an array to come."""
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
        warnings.simplefilter("ignore")  # remarks on headers that Python 2 wrote
        if version == (1, 0):
            return np.lib.format.read_array_header_1_0(header)
        # 3.0 differs in the names of a record's fields alone
        return np.lib.format.read_array_header_2_0(header)
