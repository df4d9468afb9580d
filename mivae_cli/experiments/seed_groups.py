"""The name of several runs that differ in their seeds alone."""

__all__ = ["folded_name"]

import re
from collections.abc import Sequence

SEED = re.compile(r"(^|,)seed=\d+")  # as a sweep writes it
WORDS = re.compile(r"([-_.,+ ]?)([^-_.,+ ]*)")  # each with the separator before it
LETTER = re.compile(r"[^\W\d_]")
COUNTED = {"", "s", "r", "seed", "run"}  # what a number alone may be called


def folded_name(names: Sequence[str], preset: str = "") -> str:
    """Returns what the names of some runs have in common, or else the preset that made them.

    Of `mine,seed=0` and `mine,seed=1`, of `s0/mine` and `s1/mine`, and of `mine-1` and `mine-2`
    that is `mine`.

    Arguments:
        names: The paths of the runs, no two the same.
        preset: What all their configurations are called; empty if they are not called the same.
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
    """Returns what is common to a part of several paths: it, or those of its words that are."""
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
        elif len(stems) == 1 and not stems & COUNTED:
            kept += [column[0][0], *stems]
    name = "".join(kept).strip("-_.,+ ")
    return name if LETTER.search(name) and name not in COUNTED else ""
