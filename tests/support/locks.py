"""Locks held by another process."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mivae_cli.storage.lock import locked


@contextmanager
def held_elsewhere(folder: Path) -> Iterator[int]:
    """Locks a folder from another process; yields the id of that process."""
    reading, writing = os.pipe()
    waiting, release = os.pipe()
    child = os.fork()
    if not child:  # the child must never return into the test
        try:
            with locked(folder):
                os.write(writing, b"x")
                os.close(release)
                os.read(waiting, 1)  # until the test or its process ends
        finally:
            os._exit(1)
    try:
        assert os.read(reading, 1) == b"x"
        yield child
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        for end in (reading, writing, waiting, release):
            os.close(end)
