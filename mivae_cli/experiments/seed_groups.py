"""A common name for runs that differ only in the seed."""

__all__ = ["group_name"]

import re
from collections.abc import Sequence

SEED = re.compile(r"(^|,)seed=\d+")  # as a sweep writes it
WORDS = re.compile(r"([-_.,+ ]?)([^-_.,+ ]*)")  # each with the preceding separator
LETTER = re.compile(r"[^\W\d_]")
COUNTERS = {"", "s", "r", "seed", "run"}  # prefixes of a number that name nothing


def group_name(names: Sequence[str], preset: str = "") -> str:
    """Returns the common part of the names of some runs, or else their preset.

    Examples: `mine` for `mine,seed=0` and `mine,seed=1`, for `s0/mine` and `s1/mine`, and for
    `mine-1` and `mine-2`.

    Arguments:
        names: The paths of the runs, all different.
        preset: The name of their configurations; empty if they have different names.
    """
    if len(names) == 1:
        return names[0]
    paths = [SEED.sub("", name).strip(",").split("/") for name in names]
    parts: list[str] = []
    if len({len(path) for path in paths}) == 1:
        parts = [_common(column) for column in zip(*paths, strict=True)]
    name = "/".join(filter(None, parts))
    if LETTER.search(name):
        return name
    return preset or f"{names[0]} and {len(names) - 1} more"


def _common(parts: Sequence[str]) -> str:
    """Returns a path component if all are equal, or else the words that they have in common."""
    if len(set(parts)) == 1:
        return parts[0]
    words = [WORDS.findall(part) for part in parts]
    if len({len(found) for found in words}) > 1:
        return ""
    kept = []
    for column in zip(*words, strict=True):
        stems = {word.rstrip("0123456789") for _, word in column}
        if len(set(column)) == 1:
            kept += column[0]
        elif len(stems) == 1 and not stems & COUNTERS:
            kept += [column[0][0], *stems]
    name = "".join(kept).strip("-_.,+ ")
    return name if LETTER.search(name) and name not in COUNTERS else ""
