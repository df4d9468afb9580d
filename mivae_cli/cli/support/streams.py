"""Standard streams that may be closed, broken, or unable to write some characters."""

__all__ = ["discard_output", "open_streams", "settle_streams"]

import contextlib
import io
import os
import sys
from typing import TextIO


def open_streams() -> None:
    """Makes all three standard streams usable, whatever the program was started with.

    Standard input that is closed is empty, and standard error that is closed is lost. Standard
    output that is closed fails when it is written to, as a full disk does. Characters that an
    encoding lacks are escaped.
    """
    # A closed descriptor would go to the next file that is opened, and results into that file.
    # Opened for reading only, standard output refuses what is written to it.
    for number, flags in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, flags)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def settle_streams() -> None:
    """Writes what is left, or drops it: at its end, the interpreter would fail at it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # a stream that fails, or one that is closed
            discard_output(stream)


def discard_output(stream: TextIO) -> None:
    """Sends what is still to be written to a stream nowhere."""
    with contextlib.suppress(OSError, ValueError):  # it may have no descriptor
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
