"""Checks of an evaluation record from a file: figures are numbers, and counts are counts.

A checksum says that nothing has changed since a record was written, not who wrote it. What a
comparison computes with has to be of the right kind and size. Without torch.
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
    """Raises ValueError, which names the key, unless a record is one that mivae could write.

    Keys that are missing or null are no error, nor are unknown ones whose numbers are of a
    usual size.
    """
    for key in COUNTS:
        value = record.get(key)
        if value is not None and not (
            type(value) is int and 0 <= value <= limits.MAX_RECORD_COUNT
        ):
            raise ValueError(f"'{key}' of a record is no count")
    for key in FIGURES:
        if not _is_figure(record.get(key)):
            raise ValueError(f"'{key}' of a record is no number")
    for key in GROUPS:
        if not isinstance(record.get(key), Mapping | None):
            raise ValueError(f"'{key}' of a record is no group of figures")  # noqa: TRY004
    rates = record.get("rates")
    if rates is not None and not (isinstance(rates, list) and all(map(_is_figure, rates))):
        raise ValueError("'rates' of a record are no numbers")
    name = (record.get("checkpoint") or {}).get("name")
    if not isinstance(name, str | None):
        raise ValueError("'checkpoint' of a record has no name")  # noqa: TRY004
    _check_sizes(record, "", limits.MAX_RECORD_DEPTH)


def _check_sizes(value: object, path: str, depth: int) -> None:
    """Raises ValueError for numbers too large to compute with, and for groups nested too deeply."""
    if depth < 0:
        raise ValueError(f"'{path}' of a record is nested too deeply")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _check_sizes(inner, f"{path}.{key}".lstrip(".")[:100], depth - 1)
    elif isinstance(value, list):
        for inner in value:
            _check_sizes(inner, path, depth - 1)
    elif isinstance(value, int | float) and not (isinstance(value, bool) or _is_figure(value)):
        raise ValueError(f"'{path}' of a record is beyond any figure")


def _is_figure(value: object) -> bool:
    """Returns whether a value is a number of a usual size, or null."""
    if value is None:
        return True
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if isinstance(value, int):
        return abs(value) <= limits.MAX_RECORD_COUNT
    return math.isfinite(value) and abs(value) <= limits.MAX_RECORD_VALUE
