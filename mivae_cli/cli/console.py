"""Where things are shown: results on stdout, all else on stderr."""

__all__ = ["note", "plain", "print_json", "print_line", "print_text", "stderr", "stdout"]

import json
import math
import sys
from typing import Any

from rich.console import Console
from rich.markup import escape

stdout = Console(soft_wrap=False)
stderr = Console(stderr=True, highlight=False)


def note(message: str) -> None:
    """Says something on stderr; brackets in it are text, not markup."""
    stderr.print(escape(plain(message)), style="dim", soft_wrap=True)


def print_line(text: str) -> None:
    """Prints a sentence as one line, less what could steer a terminal."""
    sys.stdout.write(plain(text, kept="\t") + "\n")


def print_text(text: str) -> None:
    """Prints a text of several lines, less what could steer a terminal."""
    sys.stdout.write(plain(text) + "\n")


def print_json(value: Any, indent: int | None = None) -> None:  # noqa: ANN401  # any JSON
    """Prints a value as JSON; numbers that JSON lacks become null."""
    text = json.dumps(_finite(value), indent=indent, ensure_ascii=False, allow_nan=False)
    sys.stdout.write(text + "\n")


def plain(text: str, kept: str = "\n\t") -> str:
    """Returns text with control characters replaced, apart from those that are kept."""
    return "".join(char if char.isprintable() or char in kept else "\ufffd" for char in text)


def _finite(value: Any) -> Any:  # noqa: ANN401  # any JSON
    match value:
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {key: _finite(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_finite(inner) for inner in value]
        case _:
            return value
