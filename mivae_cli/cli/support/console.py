"""Output: results go to stdout, everything else to stderr."""

__all__ = [
    "complain",
    "counted",
    "note",
    "plain",
    "print_json",
    "print_line",
    "print_row",
    "print_text",
    "report_line",
    "stderr",
    "stdout",
    "warn",
]

import errno
import json
import os
import re
import sys
import tempfile
import traceback
import unicodedata
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from ... import __version__

MAX_MESSAGE = 200  # characters of an unexpected error's own message


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


def note(*messages: str) -> None:
    """Prints messages on stderr; brackets are text, not markup."""
    for message in messages:
        stderr.print(plain(message), style="dim", markup=False, soft_wrap=True)


def warn(*messages: str, style: str = "yellow") -> None:
    """Prints warnings on stderr."""
    for message in messages:
        stderr.print(f"warning: {plain(message)}", style=style, markup=False, soft_wrap=True)


def complain(message: str) -> None:
    """Prints an error on stderr."""
    stderr.print(Text.assemble(("error:", "bold red"), f" {plain(message)}"), soft_wrap=True)


def print_line(text: str) -> None:
    """Prints a sentence on one line, without control characters."""
    sys.stdout.write(plain(text, kept="\t") + "\n")


def print_row(row: Mapping[str, Any], as_json: bool, *lines: str) -> None:
    """Prints a result as JSON or as lines of text."""
    if as_json:
        print_json(row)
    else:
        for line in lines:
            print_line(line)


def print_text(text: str) -> None:
    """Prints a text of several lines, without control characters."""
    sys.stdout.write(plain(text) + "\n")


def print_json(value: Any, indent: int | None = None) -> None:  # noqa: ANN401  # any JSON
    """Prints a value as JSON; NaN and infinity become null.

    Escapes control characters, and characters that the encoding of stdout lacks.
    """
    from ...storage.sealed_json import json_value  # fails on systems without file locks

    value = json_value(value)
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    text = CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=indent, allow_nan=False)
    sys.stdout.write(text + "\n")


def counted(number: int, noun: str) -> str:
    """Returns a number with its noun, such as "1 sentence" or "2,000 sentences"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def plain(text: str, kept: str = "\n\t") -> str:
    """Replaces characters that a terminal could interpret by U+FFFD, except those in `kept`.

    These are the characters that Python calls unprintable, except spaces of any width and the
    joiners that Persian and emoji need.
    """
    if text.isprintable():
        return text
    return "".join(char if _is_plain(char) or char in kept else "\ufffd" for char in text)


def _is_plain(char: str) -> bool:
    return char.isprintable() or char in JOINERS or unicodedata.category(char) == "Zs"


def report_line(error: BaseException) -> str:
    """Returns one line that reports an unexpected error, and saves its traceback in a file."""
    message = " ".join(str(error).split())[:MAX_MESSAGE]
    name = type(error).__name__ + (f": {message}" if message else "")
    try:  # a new file that only the user can read
        descriptor, path = tempfile.mkstemp(prefix="mivae-error-", suffix=".txt")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"mivae {__version__}, Python {sys.version}, {sys.platform}\n")
            traceback.print_exception(error, file=file)
        saved = f"Traceback: {path}"
    except (OSError, MemoryError, RecursionError) as failure:
        saved = f"The traceback could not be saved ({failure}); run again with 'mivae --debug'."
    return f"internal error, please report it. {name}. {saved}"
