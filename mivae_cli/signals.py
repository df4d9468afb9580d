"""Signals that ask a program to stop; when, and with what saved, is for the program to say.

The first one waits until the program looks (`check`), or until it computes what may be broken
off (`breakable`). The second leaves at once.
"""

__all__ = ["Interrupted", "Interruption"]

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal asked the program to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class Interruption:
    """Answers signals while it is entered, in the main thread; else it never interrupts."""

    def __init__(
        self,
        on_first: Callable[[], None] = lambda: None,
        on_second: Callable[[], None] = lambda: None,
    ) -> None:
        """Takes what to call when a first signal must wait, and before a second one leaves."""
        self._on_first, self._on_second = on_first, on_second
        self._received: int | None = None
        self._breakable = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self  # Python lets no other thread answer signals
        for number in SIGNALS:
            # whoever started us with a signal ignored (nohup, a shell's background) means it;
            # None is a handler that is not Python's and could not be put back
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                self._previous[number] = signal.signal(number, self._answer)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: object, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def check(self) -> None:
        """Raises Interrupted if a signal has come."""
        if self._received is not None:
            raise Interrupted(self._received)

    @contextmanager
    def breakable(self) -> Iterator[None]:
        """Lets a signal break off what is inside, at once."""
        self._breakable = True
        try:
            self.check()
            yield
        finally:
            self._breakable = False

    def _answer(self, number: int, _: FrameType | None) -> None:
        if self._received is not None:
            try:
                self._on_second()
            finally:
                os._exit(128 + number)
        self._received = number
        if self._breakable:
            self.check()
        with suppress(Exception):  # to say so on a terminal that has gone must not end the program
            self._on_first()
