"""Decompress untrusted files, with a limit on the compression ratio.

Deflate (`.npz`, `.gz`) compresses text about 3 times and numbers at most about 10 times, but a
malicious file of a few megabytes can reach 1000 times and exhaust the memory. Data that unpacks to
more than 64 MiB and to more than 100 times its packed size is therefore rejected.
"""

__all__ = ["check_unpacked", "unpacked_file"]

import gzip
import io
import os
from typing import TYPE_CHECKING, BinaryIO

from .. import limits
from ..errors import DataError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BUFFER = 2**17  # bytes


def check_unpacked(name: str, unpacked: int, packed: int) -> None:
    """Checks the size of data before unpacking, from its sizes packed and unpacked, in bytes.

    Raises:
        DataError: The compression ratio exceeds the limit, or the machine has less memory.
    """
    if _is_bomb(unpacked, packed):
        raise DataError(
            f"{name} would unpack from {_size(packed)} to {_size(unpacked)}, more than the limit of "
            f"{limits.MAX_UNPACKED_RATIO} times; if you trust the file, save it uncompressed"
        )
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if unpacked > memory:
        raise DataError(
            f"{name} needs {_size(unpacked)}, but this machine has {_size(memory)} of memory; use "
            "a part of it"
        )


def unpacked_file(file: BinaryIO, name: str) -> BinaryIO:
    """Returns a reader of the content of a gzip file.

    The header of a gzip file has no reliable size, so the ratio is checked while reading.

    Raises:
        DataError: While reading, if the compression ratio exceeds the limit.
    """
    return io.BufferedReader(_Unpacked(file, name), BUFFER)


class _Unpacked(io.RawIOBase):
    """Unpacks a gzip file and compares the bytes read with the bytes unpacked."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        super().__init__()
        self._file, self._name, self._count = file, name, 0
        self._unpacked = gzip.GzipFile(fileobj=file, mode="rb")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        count = self._unpacked.readinto(memoryview(buffer))
        self._count += count
        if _is_bomb(self._count, packed := self._file.tell()):
            raise DataError(
                f"{self._name} unpacks from {_size(packed)} to {_size(self._count)} so far, more "
                f"than the limit of {limits.MAX_UNPACKED_RATIO} times; if you trust the file, "
                "unpack it first"
            )
        return count


def _is_bomb(unpacked: int, packed: int) -> bool:
    return unpacked > max(limits.SMALL_UNPACKED_BYTES, limits.MAX_UNPACKED_RATIO * packed)


def _size(count: int) -> str:
    return f"{count / 2**20:,.1f} MiB"
