"""Errors that a user can fix, the exit codes of the program, and parts of messages.

The command line shows the message of a `MivaeError` and exits with the code of its class:

    0       success
    1       out of memory, a sweep with failed runs, or an error of no other class
    2       ConfigError: wrong usage, setting or output path
    3       DataError: text or arrays that cannot be read
    4       CheckpointError: a run or checkpoint that is missing, damaged or unsuitable
    5       DivergedError: training produced numbers that are not finite
    6       StorageError, or an OSError: results could not be stored
    70      an internal error (EX_SOFTWARE in sysexits.h)
    128 + N stopped by signal N, such as 130 after Ctrl-C
"""

__all__ = [
    "INTERNAL_ERROR",
    "OUT_OF_MEMORY",
    "CheckpointError",
    "ConfigError",
    "DataError",
    "DivergedError",
    "MivaeError",
    "StorageError",
    "cut",
    "is_out_of_memory",
    "listing",
    "reason",
]

from collections.abc import Iterable

INTERNAL_ERROR = 70  # exit code
MAX_SHOWN = 200  # characters of a name or a cause in a message
OUT_OF_MEMORY = "out of memory; use a smaller batch, a smaller model or fewer samples"


class MivaeError(Exception):
    """Base class: the message says what happened, where, and what to do about it."""

    exit_code = 1


class ConfigError(MivaeError):
    """A setting, preset, option or output path is invalid."""

    exit_code = 2


class DataError(MivaeError):
    """Input text or arrays cannot be read, or there are too few of them."""

    exit_code = 3


class CheckpointError(MivaeError):
    """A run or checkpoint is missing, damaged or unsuitable."""

    exit_code = 4


class DivergedError(MivaeError):
    """Training produced numbers that are not finite."""

    exit_code = 5


class StorageError(MivaeError):
    """Results could not be written to the disk."""

    exit_code = 6


def is_out_of_memory(error: Exception) -> bool:
    """Returns whether memory ran out; the text of torch's RuntimeError varies by device."""
    torch_error = isinstance(error, RuntimeError) and "memory" in str(error).split("\n")[0]
    return torch_error or isinstance(error, MemoryError)


def cut(text: str, length: int = MAX_SHOWN) -> str:
    """Returns the start of a text, at most `length` characters, on one line."""
    line = " ".join(text[: length + 1].split())
    return line if len(text) <= length else f"{line[:length]}..."


def listing(names: Iterable[object], most: int = 12) -> str:
    """Returns the first names, separated by commas, and the number of the others."""
    names = list(names)
    rest = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(cut(str(name)) for name in names[:most]) + rest


def reason(error: BaseException) -> str:
    """Returns the cause of an error on one line; for an OSError without the path."""
    said = getattr(error, "strerror", None) or str(error)
    return " ".join(said.split())[:MAX_SHOWN] or type(error).__name__
