"""Locks that another process holds."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mivae_cli.storage.lock import locked


@contextmanager
def held_elsewhere(folder: Path) -> Iterator[int]:
    """Has another process hold a folder's lock; yields its id."""
    reading, writing = os.pipe()
    waiting, going_on = os.pipe()
    child = os.fork()
    if not child:  # whatever happens, the copy of this test must not go on
        try:
            with locked(folder):
                os.write(writing, b"x")
                os.close(going_on)
                os.read(waiting, 1)  # until the test, or its process, has ended
        finally:
            os._exit(1)
    try:
        assert os.read(reading, 1) == b"x"
        yield child
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        for end in (reading, writing, waiting, going_on):
            os.close(end)
