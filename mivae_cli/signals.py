"""Signals that stop the program: a first at `check` or inside `breakable`, a second at once."""

__all__ = ["CtrlC", "Interrupted", "Interruption"]

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any, Self

# Windows lacks SIGHUP; the command line must start there to report that it is not supported.
SIGNALS = (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM))


class Interrupted(BaseException):
    """A signal asked the program to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class Interruption:
    """Context manager that handles SIGINT, SIGTERM and SIGHUP in the main thread.

    Arguments:
        on_first: Called if a first signal must wait.
        on_second: Called before a second signal exits.
    """

    signals: tuple[signal.Signals, ...] = SIGNALS

    def __init__(
        self,
        on_first: Callable[[], None] = lambda: None,
        on_second: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_first, self._on_second = on_first, on_second
        self._received: int | None = None
        self._breakable = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self  # Python handles signals only in the main thread
        for number in self.signals:
            # keep signals ignored that the parent process ignores (nohup, background jobs);
            # None: a handler that Python did not install and cannot restore
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: object, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def check(self) -> None:
        """Raises Interrupted if a signal was received."""
        if self._received is not None:
            raise Interrupted(self._received)

    @contextmanager
    def breakable(self) -> Iterator[None]:
        """Context manager inside which a signal interrupts immediately."""
        self._breakable = True
        try:
            self.check()
            yield
        finally:
            self._breakable = False

    def _handle(self, number: int, _: FrameType | None) -> None:
        if self._received is not None:
            self._exit(number)
        self._received = number
        if self._breakable:
            self.check()
        with suppress(Exception):  # a closed terminal must not end the program
            self._on_first()

    def _exit(self, number: int) -> None:
        try:
            self._on_second()
        finally:
            os._exit(128 + number)


class CtrlC(Interruption):
    """Context manager that handles SIGINT for a library: a second one raises KeyboardInterrupt.

    A handler that the user installed is kept.
    """

    signals = (signal.SIGINT,)

    def __enter__(self) -> Self:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            super().__enter__()
        return self

    def _exit(self, number: int) -> None:
        raise KeyboardInterrupt
