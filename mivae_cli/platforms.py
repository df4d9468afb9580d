"""The operating systems that mivae supports."""

__all__ = ["check_platform"]

import sys
from importlib.util import find_spec

from .errors import ConfigError


def check_platform() -> None:
    """Checks that the operating system has POSIX file locks.

    Crash-safe files also need directory syncing, hard links and `O_NOFOLLOW`, which the systems
    with these locks provide.

    Raises:
        ConfigError: It has none, as Windows.
    """
    if find_spec("fcntl") is None:
        raise ConfigError(
            f"mivae runs on Linux and macOS, not on {sys.platform}: on Windows, use WSL 2"
        )
