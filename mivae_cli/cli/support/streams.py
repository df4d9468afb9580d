"""Standard streams that may be closed, broken, or limited to a small character set."""

__all__ = ["discard_output", "open_streams", "settle_streams"]

import contextlib
import io
import os
import sys
from typing import TextIO


def open_streams() -> None:
    """Makes the three standard streams usable even if the program was started without them.

    A closed stdin reads as empty, and output to a closed stderr is discarded. A closed stdout
    fails on the first write, as a full disk does. Characters that an encoding lacks are escaped.
    """
    # The next file opened would take a closed descriptor, and results would go into that file.
    # Descriptor 1 is opened read-only, so that writing to stdout fails.
    for number, flags in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, flags)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def settle_streams() -> None:
    """Flushes stdout and stderr, and discards what cannot be written.

    Otherwise the interpreter would report the failed write when it exits.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # the write failed, or the stream is closed
            discard_output(stream)


def discard_output(stream: TextIO) -> None:
    """Redirects a stream to the null device, with everything it has not yet written."""
    with contextlib.suppress(OSError, ValueError):  # the stream may have no descriptor
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
