"""Read untrusted TOML, with size limits; write values as TOML."""

__all__ = ["Table", "read_toml", "toml_text", "toml_value"]

import json
import tomllib
from pathlib import Path
from typing import Any

from .. import limits
from ..errors import ConfigError, reason

Table = dict[str, Any]


def read_toml(path: Path) -> Table:
    """Returns the content of a TOML file.

    Raises:
        ConfigError: The file cannot be read, is not valid TOML, or exceeds a limit.
    """
    try:
        with path.open("rb") as file:
            content = file.read(limits.MAX_TOML_BYTES + 1)
        if len(content) > limits.MAX_TOML_BYTES:
            raise ValueError(f"more than {limits.MAX_TOML_BYTES:,} bytes")
        text = content.decode("utf-8")
        for number, line in enumerate(text.split("\n"), start=1):
            if line.count(".") > limits.MAX_TOML_DOTS and not line.lstrip().startswith("#"):
                raise ValueError(f"line {number} has more than {limits.MAX_TOML_DOTS} dots")
        return _parsed(text)
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"cannot read '{path}': {reason(error)}") from error


def toml_value(text: str) -> object:
    """Returns the value of a TOML expression; text that is not TOML stands for itself."""
    try:
        return _parsed(f"value = {text}")["value"]
    except (ValueError, RecursionError):  # a number with too many digits is a plain ValueError
        return text


def toml_text(value: object) -> str:
    """Returns a number, a string or a list of them as TOML."""
    if isinstance(value, float):
        return repr(value)  # also valid TOML for inf and nan
    # JSON scalars are valid TOML, except that TOML requires DEL to be escaped
    text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    # escape dots, which the limit on dots per line would count
    return text.replace(".", "\\u002e") if text.count(".") > limits.MAX_TOML_DOTS else text


def _parsed(text: str) -> Table:
    table = tomllib.loads(text)
    if _has_long_integer(table):  # TOML guarantees 64 bits, and Python cannot print huge integers
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
