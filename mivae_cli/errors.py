"""What can go wrong in a way that the user can mend.

Library code raises one of these and never prints or exits; the command line shows the
message on standard error and leaves with the error's exit code.
"""

__all__ = [
    "INTERNAL_ERROR",
    "LACK_OF_MEMORY",
    "CheckpointError",
    "ConfigError",
    "DataError",
    "DivergedError",
    "MivaeError",
    "StorageError",
    "lacks_memory",
    "listing",
    "reason",
]

from collections.abc import Iterable

INTERNAL_ERROR = 70  # exit code of a fault in mivae itself; EX_SOFTWARE in sysexits.h
LISTED = 12  # names that a message lists before it counts the rest
LONGEST = 200  # characters of a name that a message shows
LACK_OF_MEMORY = (
    "there is not enough memory for this: choose a smaller batch or model, or fewer samples"
)


class MivaeError(Exception):
    """The root: says what is wrong, where, and what to do about it."""

    exit_code = 1


class ConfigError(MivaeError):
    """A setting, a preset, an option or an output place that cannot be used."""

    exit_code = 2


class DataError(MivaeError):
    """Text that cannot be read, or of which there is too little."""

    exit_code = 3


class CheckpointError(MivaeError):
    """A run or checkpoint that is missing, damaged or made for something else."""

    exit_code = 4


class DivergedError(MivaeError):
    """Training left the finite numbers."""

    exit_code = 5


class StorageError(MivaeError):
    """What was computed could not be stored."""

    exit_code = 6


def lacks_memory(error: Exception) -> bool:
    """Tells whether an error is one of memory; torch has its own words on each device."""
    first, *_ = str(error).split("\n")
    torchs = isinstance(error, RuntimeError) and "memory" in first
    return isinstance(error, MemoryError) or torchs


def listing(names: Iterable[object]) -> str:
    """Returns names as a message lists them: the first of them, and how many more there are."""
    names = list(names)
    rest = len(names) - LISTED
    return ", ".join(_cut(str(name)) for name in names[:LISTED]) + (
        f" and {rest:,} more" if rest > 0 else ""
    )


def reason(error: BaseException) -> str:
    """Returns what an error says, as a part of one line."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[:LONGEST]}..."
