"""Faults of the program itself: one line for the user, and a file with the traceback."""

__all__ = ["report_line"]

import os
import sys
import tempfile
import traceback

from ... import __version__

MAX_SHOWN = 200  # characters of an error's own words


def report_line(error: BaseException) -> str:
    """Returns the line that tells of a fault, after its traceback has been saved."""
    words = " ".join(str(error).split())[:MAX_SHOWN]
    what = type(error).__name__ + (f": {words}" if words else "")
    try:
        saved = f"its traceback is in {_save_traceback(error)}"
    except (OSError, MemoryError, RecursionError) as failure:
        saved = f"its traceback could not be saved ({failure}); --debug shows it"
    return f"internal error, please report it: {what}; {saved}"


def _save_traceback(error: BaseException) -> str:
    """Writes a new file that only its owner can read, and returns its path."""
    descriptor, path = tempfile.mkstemp(prefix="mivae-error-", suffix=".txt")
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f"mivae {__version__}, Python {sys.version}, {sys.platform}\n")
        traceback.print_exception(error, file=file)
    return path
