"""Grids of runs: from alternatives on the command line to named, checked configurations.

A grid is a product. A preset option and an override each give a factor, their alternatives
separated by commas; every choice of one alternative from each factor is a member: a run. Its
name says what it chose where there was a choice, so the same member has the same name whenever
the same factors vary.
"""

__all__ = ["Member", "alternatives", "configurations", "expand", "shortened"]

import hashlib
import itertools
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import limits
from ..errors import ConfigError, listing
from .messages import MAX_MISTAKES
from .resolve import read_config
from .run import RunConfig

LONGEST = 100  # characters of a name, which is to be a folder's
BRACKETS = {"[": "]", "{": "}"}
ODD = re.compile(r"[^A-Za-z0-9_.+=,-]+")  # what a folder's name is better without


@dataclass(frozen=True)
class Member:
    """One run of a grid: its name, and the presets and overrides that make its configuration."""

    name: str
    presets: tuple[str, ...]
    overrides: tuple[str, ...]


def expand(
    presets: Sequence[str] = (), overrides: Sequence[str] = (), seeds: str | None = None
) -> list[Member]:
    """Returns the members of a grid, the last factor varying fastest.

    Arguments:
        presets: Alternatives separated by commas; one of each of these texts is combined.
        overrides: Texts of the form `section.key=value,value`; see `alternatives`.
        seeds: The same as an override of `seed`.

    Raises:
        ConfigError: An alternative is missing or there twice, a key is, or there are too many
            members.
    """
    factors = dict(_factor(text) for text in overrides)
    if len(factors) < len(overrides):
        raise ConfigError("--set: a key is there twice; name its alternatives together, KEY=A,B")
    if seeds is not None:
        if "seed" in factors:
            raise ConfigError("give the seeds by --seeds or by --set seed=..., not by both")
        factors["seed"] = _checked(f"--seeds {seeds}", alternatives(seeds))
    families = [_checked(f"--preset {text}", alternatives(text)) for text in presets]
    count = math.prod(map(len, [*families, *factors.values()]))
    if count > limits.MAX_GRID_RUNS:
        raise ConfigError(
            f"the grid has {count:,} runs, and may have {limits.MAX_GRID_RUNS:,} at most"
        )
    varying = [key for key, values in factors.items() if len(values) > 1]
    labels = {key: shortened(key, {*varying, "kind"}) for key in varying}
    members = []
    for chosen in itertools.product(*families, *factors.values()):
        combined, values = chosen[: len(families)], chosen[len(families) :]
        several = [p for p, family in zip(combined, families, strict=True) if len(family) > 1]
        parts = ["+".join(several)] if several else []
        setting = dict(zip(factors, values, strict=True))
        parts += [f"{labels[key]}={setting[key]}" for key in varying]
        name = ",".join(map(_tame, parts)) or _tame("+".join(combined) or "default")
        members.append(
            Member(_cut(name), combined, tuple(f"{key}={value}" for key, value in setting.items()))
        )
    return members


def alternatives(text: str) -> list[str]:
    """Returns what stands between commas, those inside quotes and brackets not counted.

    As in TOML, quotes and brackets are such only where a value begins, or within brackets: `it's`
    is a word. A value that has a comma is written in quotes, a list in brackets.

    Raises:
        ConfigError: A quote or bracket is not closed.
    """
    parts, begun = [], 0
    closing: list[str] = []  # of the brackets that are open
    quote = ""
    fresh = True  # nothing but spaces since the last comma
    characters = iter(enumerate(text))
    for place, char in characters:
        if quote:
            if char == "\\" and quote == '"':
                next(characters, None)
            elif char == quote:
                quote = ""
        elif char in "\"'" and (fresh or closing):
            quote = char
        elif char in BRACKETS and (fresh or closing):
            closing.append(BRACKETS[char])
        elif closing and char == closing[-1]:
            closing.pop()
        elif char == "," and not closing:
            parts.append(text[begun:place])
            begun = place + 1
        fresh = char == "," or (fresh and char.isspace())
    if quote or closing:
        raise ConfigError(
            f"'{text[:80]}': {quote or closing[-1]} is missing at the end of a value"
        )
    return [part.strip() for part in [*parts, text[begun:]]]


def configurations(
    members: Sequence[Member], file: Path | None, options: Mapping[str, object]
) -> list[RunConfig]:
    """Returns the configuration of each member.

    Arguments:
        members: The grid.
        file: A TOML file under all of them.
        options: Values by dotted key, the same for all; None stands for an option not given.

    Raises:
        ConfigError: Some are not valid, or two are the same; all mistakes are told at once.
    """
    found = []
    mistakes: dict[str, list[str]] = {}
    for member in members:
        try:
            found.append(read_config(member.presets, file, options, member.overrides))
        except ConfigError as error:
            mistakes.setdefault(str(error), []).append(member.name)
    if mistakes:
        told = [
            message if len(names) == len(members) else f"{listing(names, 3)}: {message}"
            for message, names in mistakes.items()
        ]
        more = f"; and {len(told) - MAX_MISTAKES:,} more" if len(told) > MAX_MISTAKES else ""
        raise ConfigError(f"{'; '.join(told[:MAX_MISTAKES])}{more}")
    alike: dict[str, list[str]] = {}
    for member, config in zip(members, found, strict=True):
        alike.setdefault(config.model_dump_json(exclude={"name"}), []).append(member.name)
    twice = [" and ".join(names) for names in alike.values() if len(names) > 1]
    if twice:
        raise ConfigError(
            f"the same run would be made twice: {listing(twice, 3)}; where presets differ, see whether "
            "--config or --set, which come after them, say otherwise"
        )
    return found


def shortened(key: str, among: Collection[str]) -> str:
    """Returns the shortest end of a dotted key that no other key has."""
    parts = key.split(".")
    for start in range(len(parts) - 1, 0, -1):
        end = ".".join(parts[start:])
        if not any(f".{other}".endswith(f".{end}") for other in among if other != key):
            return end
    return key


def _factor(text: str) -> tuple[str, list[str]]:
    key, equals, values = (part.strip() for part in text.partition("="))
    if not equals:
        raise ConfigError(f"--set {text[:80]}: write it as section.key=value,value")
    return key, _checked(f"--set {text}", alternatives(values))


def _checked(given: str, values: list[str]) -> list[str]:
    if len(values) > 1 and not all(values):
        raise ConfigError(f"{given[:80]}: an alternative is empty; an empty text is written ''")
    if len(set(values)) < len(values):
        raise ConfigError(f"{given[:80]}: an alternative is there twice")
    return values


def _tame(part: str) -> str:
    """Returns a part of a name as a folder's name can have it, and still no two the same."""
    tame = ODD.sub("-", part.replace(",", " ")).lstrip(".-=+,")
    return tame if tame == part else f"{tame or 'x'}-{_digest(part)}"


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[:LONGEST]}-{_digest(name)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:6]
