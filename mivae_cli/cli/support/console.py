"""Where things are shown: results on stdout, all else on stderr."""

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

from ...storage.sealed_json import json_value


class _Remarks(Console):
    """Says what it can; where nobody can hear it, that ends no training."""

    def print(self, *objects: Any, **settings: Any) -> None:  # noqa: ANN401  # as in rich
        try:
            super().print(*objects, **settings)
        except OSError as error:
            # a log on a full disk may have room again; a terminal that is closed stays so
            self.quiet = error.errno != errno.ENOSPC

    def on_broken_pipe(self) -> None:
        self.quiet = True


class _Results(Console):
    """Leaves it to the program's end what a reader that has gone means."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


# a name with :bomb: in it is no emoji
stdout = _Results(soft_wrap=False, emoji=False)
stderr = _Remarks(stderr=True, highlight=False, emoji=False)

JOINERS = "\u00ad\u200c\u200d\u200e\u200f"  # soft hyphen; what shapes letters, emoji and lines
# What JSON lets stand though a terminal obeys it, or though no encoding can write it: DEL and C1,
# line and paragraph separators, overrides of the writing direction, halves of surrogate pairs.
STEERING = re.compile("[\x7f-\x9f\u061c\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def note(message: str) -> None:
    """Says something on stderr; brackets in it are text, not markup."""
    stderr.print(plain(message), style="dim", markup=False, soft_wrap=True)


def warn(message: str) -> None:
    """Says on stderr what may go wrong."""
    stderr.print(f"warning: {plain(message)}", style="yellow", markup=False, soft_wrap=True)


def complain(message: str) -> None:
    """Says on stderr what went wrong."""
    stderr.print(Text.assemble(("error:", "bold red"), f" {plain(message)}"), soft_wrap=True)


def print_line(text: str) -> None:
    """Prints a sentence as one line, less what could steer a terminal."""
    sys.stdout.write(plain(text, kept="\t") + "\n")


def print_text(text: str) -> None:
    """Prints a text of several lines, less what could steer a terminal."""
    sys.stdout.write(plain(text) + "\n")


def print_json(value: Any, indent: int | None = None) -> None:  # noqa: ANN401  # any JSON
    """Prints a value as JSON; numbers that JSON lacks become null, what steers is escaped.

    So is every character that the output's encoding lacks, in a way that JSON knows.
    """
    value = json_value(value)
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    text = STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=indent, allow_nan=False)
    sys.stdout.write(text + "\n")


def plain(text: str, kept: str = "\n\t") -> str:
    """Returns text with what could steer a terminal replaced, apart from what is kept.

    That is all that Python calls unprintable, but for spaces of every width and the joiners
    that Persian and emoji are written with.
    """
    if text.isprintable():
        return text
    return "".join(char if _is_plain(char) or char in kept else "\ufffd" for char in text)


def _is_plain(char: str) -> bool:
    return char.isprintable() or char in JOINERS or unicodedata.category(char) == "Zs"
