"""TOML of strangers, read within bounds; and values written as TOML."""

__all__ = ["Table", "read_toml", "toml_text", "toml_value"]

import json
import tomllib
from pathlib import Path
from typing import Any

from .. import limits
from ..errors import ConfigError
from .messages import cut

Table = dict[str, Any]


def read_toml(path: Path) -> Table:
    """Returns the tables of a file.

    Raises:
        ConfigError: It cannot be read, is no TOML, or is more than a configuration can be.
    """
    try:
        with path.open("rb") as file:
            content = file.read(limits.MAX_TOML_BYTES + 1)
        if len(content) > limits.MAX_TOML_BYTES:
            raise ValueError(f"a configuration has {limits.MAX_TOML_BYTES:,} bytes at most")
        text = content.decode("utf-8")
        for number, line in enumerate(text.split("\n"), start=1):
            if line.count(".") > limits.MAX_TOML_DOTS and not line.lstrip().startswith("#"):
                raise ValueError(f"line {number} has more than {limits.MAX_TOML_DOTS} dots")
        return _parsed(text)
    except OSError as error:
        raise ConfigError(f"cannot read '{path}': {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"cannot read '{path}': {cut(str(error), 200)}") from error


def toml_value(text: str) -> object:
    """Returns what a text stands for in TOML, a word without quotes for itself."""
    try:
        return _parsed(f"value = {text}")["value"]
    except (ValueError, RecursionError):  # too long a number is a bare ValueError
        return text


def toml_text(value: object) -> str:
    """Returns a number, a text, or a list of them as TOML."""
    if isinstance(value, float):
        return repr(value)  # as in TOML, also where it is infinite
    # JSON's other scalars are TOML's too, but for one character that TOML wants escaped
    text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    # so many dots on a line would be taken for those of a key
    return text.replace(".", "\\u002e") if text.count(".") > limits.MAX_TOML_DOTS else text


def _parsed(text: str) -> Table:
    table = tomllib.loads(text)
    if _has_long_integer(table):  # which Python may refuse to print; TOML promises 64 bits
        raise ValueError("an integer has more than 64 bits")
    return table


def _has_long_integer(value: object) -> bool:
    match value:
        case int():
            return value.bit_length() > 64
        case dict():
            return any(map(_has_long_integer, value.values()))
        case list():
            return any(map(_has_long_integer, value))
    return False
