"""JSON without NaN and infinite numbers, which the standard does not allow."""

__all__ = ["json_value", "parse_json"]

import json
import math
from pathlib import Path
from typing import Any, NoReturn

from ..errors import CheckpointError


def json_value(value: Any) -> Any:  # noqa: ANN401  # any JSON
    """Returns a value with NaN and infinite numbers, which JSON lacks, replaced by null."""
    match value:
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {key: json_value(inner) for key, inner in value.items()}
        case list() | tuple():
            return [json_value(inner) for inner in value]
        case _:
            return value


def parse_json(data: bytes, path: Path) -> Any:  # noqa: ANN401  # whatever JSON can hold
    """Returns the value of a JSON text. NaN and Infinity are rejected.

    Raises:
        CheckpointError: The text is not valid JSON, or is nested too deeply.
    """
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_reject)
    except (ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else error
        raise CheckpointError(f"'{path}' is damaged: invalid JSON ({why})") from error


def _reject(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not allowed")
