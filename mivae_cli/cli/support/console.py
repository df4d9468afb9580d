"""Output: results go to stdout, everything else to stderr."""

__all__ = [
    "complain",
    "note",
    "plain",
    "print_json",
    "print_line",
    "print_text",
    "stderr",
    "stdout",
    "warn",
]

import errno
import json
import os
import re
import sys
import unicodedata
from typing import Any

from rich.console import Console
from rich.text import Text


class _MessageConsole(Console):
    """Console for messages, whose write errors do not stop the program."""

    def print(self, *objects: Any, **settings: Any) -> None:  # noqa: ANN401  # as in rich
        try:
            super().print(*objects, **settings)
        except OSError as error:
            # space on a full disk may become free; a closed terminal stays closed
            self.quiet = error.errno != errno.ENOSPC

    def on_broken_pipe(self) -> None:
        self.quiet = True


class _ResultConsole(Console):
    """Console for results, which raises BrokenPipeError where rich would exit."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


# emoji=False: ":bomb:" in a file name stays text
stdout = _ResultConsole(soft_wrap=False, emoji=False)
stderr = _MessageConsole(stderr=True, highlight=False, emoji=False)

JOINERS = "\u00ad\u200c\u200d\u200e\u200f"  # soft hyphen, joiners, direction marks
# Characters that JSON does not escape, though terminals interpret them or no encoding can write
# them: DEL and C1, line and paragraph separators, direction overrides, lone surrogates.
CONTROL = re.compile("[\x7f-\x9f\u061c\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def note(message: str) -> None:
    """Prints a message on stderr; brackets are text, not markup."""
    stderr.print(plain(message), style="dim", markup=False, soft_wrap=True)


def warn(message: str) -> None:
    """Prints a warning on stderr."""
    stderr.print(f"warning: {plain(message)}", style="yellow", markup=False, soft_wrap=True)


def complain(message: str) -> None:
    """Prints an error on stderr."""
    stderr.print(Text.assemble(("error:", "bold red"), f" {plain(message)}"), soft_wrap=True)


def print_line(text: str) -> None:
    """Prints a sentence on one line, without control characters."""
    sys.stdout.write(plain(text, kept="\t") + "\n")


def print_text(text: str) -> None:
    """Prints a text of several lines, without control characters."""
    sys.stdout.write(plain(text) + "\n")


def print_json(value: Any, indent: int | None = None) -> None:  # noqa: ANN401  # any JSON
    """Prints a value as JSON.

    NaN and infinity become null. Control characters are escaped, and so are characters that the
    encoding of stdout lacks.
    """
    from ...storage.sealed_json import json_value  # fails on systems without file locks

    text = json.dumps(json_value(value), indent=indent, ensure_ascii=False, allow_nan=False)
    text = CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=indent, allow_nan=False)
    sys.stdout.write(text + "\n")


def plain(text: str, kept: str = "\n\t") -> str:
    """Replaces characters that a terminal could interpret by U+FFFD.

    These are the characters that Python calls unprintable, except spaces of any width and the
    joiners that Persian and emoji need.

    Args:
        text: The text to print.
        kept: Control characters to keep.

    Returns:
        A text of the same length.
    """
    if text.isprintable():
        return text
    return "".join(char if _is_plain(char) or char in kept else "\ufffd" for char in text)


def _is_plain(char: str) -> bool:
    return char.isprintable() or char in JOINERS or unicodedata.category(char) == "Zs"
