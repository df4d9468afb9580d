"""Limits of what a file may take in memory, known from its header before anything is read.

Deflate, the packing of `.npz` and `.gz`, makes text about 3 times smaller and numbers at most some
10 times; at its best, with a thousand times, a file of a few megabytes fills any memory. What is
over 64 MiB and more than 100 times as large as its file is therefore refused. Files that are not
packed may have any size that memory can hold.
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
    """Refuses what is far larger than its file, or than the machine's memory.

    Arguments:
        name: What the error calls it: the file, or an array in it.
        unpacked: The bytes that it takes in memory.
        packed: The bytes that it takes in its file.

    Raises:
        DataError: It is more than 64 MiB and 100 times as large as its file, or larger than the
            memory of this machine.
    """
    if _is_bomb(unpacked, packed):
        raise DataError(
            f"{name} would unpack from {_size(packed)} to {_size(unpacked)}, more than the limit of "
            f"{limits.MAX_UNPACKED_RATIO} times; if you trust the file, save it uncompressed"
        )
    if unpacked > (memory := _memory()):
        raise DataError(
            f"{name} takes {_size(unpacked)}, and this machine has {_size(memory)} of memory: "
            "take a part of it"
        )


def unpacked_file(file: BinaryIO, name: str) -> BinaryIO:
    """Returns a reader of what a gzip file holds.

    Its size is not in a header that could be trusted, so the limits are checked as it is read.

    Raises:
        DataError: While reading, if it unpacks to more than the limits.
    """
    return io.BufferedReader(_Unpacked(file, name), BUFFER)


class _Unpacked(io.RawIOBase):
    """Counts bytes on both sides of gzip."""

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


def _memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _size(count: int) -> str:
    return f"{count / 2**20:,.1f} MiB"
