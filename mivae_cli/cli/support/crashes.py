"""Report unexpected errors: one line for the user, and a file with the traceback."""

__all__ = ["report_line"]

import os
import sys
import tempfile
import traceback

from ... import __version__

MAX_MESSAGE = 200  # characters of the error's own message


def report_line(error: BaseException) -> str:
    """Returns one line that reports an unexpected error, and saves its traceback in a file."""
    message = " ".join(str(error).split())[:MAX_MESSAGE]
    name = type(error).__name__ + (f": {message}" if message else "")
    try:
        saved = f"Traceback: {_save_traceback(error)}"
    except (OSError, MemoryError, RecursionError) as failure:
        saved = f"The traceback could not be saved ({failure}); run again with 'mivae --debug'."
    return f"internal error, please report it. {name}. {saved}"


def _save_traceback(error: BaseException) -> str:
    """Writes a new file that only the user can read, and returns its path."""
    descriptor, path = tempfile.mkstemp(prefix="mivae-error-", suffix=".txt")
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f"mivae {__version__}, Python {sys.version}, {sys.platform}\n")
        traceback.print_exception(error, file=file)
    return path
