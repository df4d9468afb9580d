"""Validation of evaluation records from untrusted files. Does not import torch.

A checksum shows that a record has not changed, not who wrote it. Before a comparison computes with
its values, their types and sizes are checked.
"""

__all__ = ["check_record"]

import math
from collections.abc import Mapping
from typing import Any

from .. import limits

COUNTS = (
    "iw_samples",
    "active_units",
    "latent_units",
    "units_above",
    "sentences",
    "tokens",
    "seed",
)
FIGURES = ("elbo", "nll", "iw_nll", "ppl_elbo", "ppl_iw", "distortion", "rate", "effective_units",
           "kl_aggregated_prior")  # fmt: skip
GROUPS = ("mi", "text", "checkpoint", "full")


def check_record(record: Mapping[str, Any]) -> None:
    """Raises ValueError, naming the key, if a value has the wrong type or is out of range.

    Missing and null values are accepted, and so are unknown keys with values in range.
    """
    for key in COUNTS:
        value = record.get(key)
        if value is not None and not (
            type(value) is int and 0 <= value <= limits.MAX_RECORD_COUNT
        ):
            raise ValueError(f"'{key}' is not a count (a whole number, 0 or more)")
    for key in FIGURES:
        if not _is_figure(record.get(key)):
            raise ValueError(f"'{key}' is not a finite number")
    for key in GROUPS:
        if not isinstance(record.get(key), Mapping | None):
            raise ValueError(f"'{key}' is not an object")  # noqa: TRY004
    rates = record.get("rates")
    if rates is not None and not (isinstance(rates, list) and all(map(_is_figure, rates))):
        raise ValueError("'rates' is not a list of numbers")
    name = (record.get("checkpoint") or {}).get("name")
    if not isinstance(name, str | None):
        raise ValueError("'checkpoint.name' is not a string")  # noqa: TRY004
    _check_sizes(record, "", limits.MAX_RECORD_DEPTH)


def _check_sizes(value: object, path: str, depth: int) -> None:
    """Raises ValueError for numbers out of range, and for objects nested too deeply."""
    if depth < 0:
        raise ValueError(f"'{path}' is nested too deeply")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _check_sizes(inner, f"{path}.{key}".lstrip(".")[:100], depth - 1)
    elif isinstance(value, list):
        for inner in value:
            _check_sizes(inner, path, depth - 1)
    elif isinstance(value, int | float) and not (isinstance(value, bool) or _is_figure(value)):
        raise ValueError(f"'{path}' is out of range")


def _is_figure(value: object) -> bool:
    """Returns whether a value is null or a number in range."""
    if value is None:
        return True
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if isinstance(value, int):
        return abs(value) <= limits.MAX_RECORD_COUNT
    return math.isfinite(value) and abs(value) <= limits.MAX_RECORD_VALUE
