"""Grids of runs: from alternatives on the command line to named, validated configurations.

A grid is a Cartesian product. Each preset option and each override is a factor, with alternatives
separated by commas. A member of the grid, a run, takes one alternative of each factor. Its name
lists those alternatives, without factors that have only one. The name therefore stays the same
when alternatives are added.
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

MAX_NAME = 100  # characters of a folder's name
BRACKETS = {"[": "]", "{": "}"}
UNSAFE = re.compile(r"[^A-Za-z0-9_.+=,-]+")  # replaced in folder names


@dataclass(frozen=True)
class Member:
    """One run of a grid: its name, and the presets and overrides of its configuration."""

    name: str
    presets: tuple[str, ...]
    overrides: tuple[str, ...]


def expand(
    presets: str | Sequence[str] = (), overrides: Sequence[str] = (), seeds: str | None = None
) -> list[Member]:
    """Returns the members of a grid, the last factor varying fastest.

    Arguments:
        presets: Factors of presets, each with alternatives separated by commas.
        overrides: Factors of settings, as `section.key=value,value`; see `alternatives`.
        seeds: Same as an override of `seed`.

    Raises:
        ConfigError: An alternative is empty or repeated, a key is repeated, or there are too many
            members.
    """
    presets = [presets] if isinstance(presets, str) else list(presets)
    factors: dict[str, list[str]] = {}
    for text in overrides:
        key, given = _factor(text)
        if key in factors:
            raise ConfigError(f"--set {key}: repeated key; write --set {key}=A,B")
        factors[key] = given
    if seeds is not None:
        if "seed" in factors:
            raise ConfigError("--seeds cannot be combined with --set seed=...")
        factors["seed"] = _checked(f"--seeds {seeds}", alternatives(seeds))
    families = [_checked(f"--preset {text}", alternatives(text)) for text in presets]
    count = math.prod(map(len, [*families, *factors.values()]))
    if count > limits.MAX_GRID_RUNS:
        raise ConfigError(f"the grid has {count:,} runs; the maximum is {limits.MAX_GRID_RUNS:,}")
    varying = [key for key, values in factors.items() if len(values) > 1]
    labels = {key: shortened(key, {*varying, "kind"}) for key in varying}
    members = []
    for chosen in itertools.product(*families, *factors.values()):
        combined, values = chosen[: len(families)], chosen[len(families) :]
        several = [p for p, family in zip(combined, families, strict=True) if len(family) > 1]
        parts = ["+".join(several)] if several else []
        setting = dict(zip(factors, values, strict=True))
        parts += [f"{labels[key]}={setting[key]}" for key in varying]
        name = ",".join(map(_safe, parts)) or _safe("+".join(combined) or "default")
        if len(name) > MAX_NAME:
            name = f"{name[:MAX_NAME]}-{_digest(name)}"
        members.append(Member(name, combined, tuple(map("=".join, setting.items()))))
    return members


def alternatives(text: str) -> list[str]:
    """Splits a text at commas, except at those inside quotes and brackets.

    As in TOML, a quote or bracket only counts at the start of a value or inside brackets: `it's`
    is a word.

    Raises:
        ConfigError: A quote or bracket is not closed.
    """
    parts, start, quote = [], 0, ""
    closing: list[str] = []  # the brackets that are still expected
    fresh = True  # only spaces since the last comma
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
            parts.append(text[start:place])
            start = place + 1
        fresh = char == "," or (fresh and char.isspace())
    if quote or closing:
        raise ConfigError(f"'{text[:80]}': missing {quote or closing[-1]} at the end of a value")
    return [part.strip() for part in [*parts, text[start:]]]


def configurations(
    members: Sequence[Member], file: Path | None, options: Mapping[str, object]
) -> list[RunConfig]:
    """Returns the configuration of each member.

    File and options are those of `read_config` for all members.

    Raises:
        ConfigError: Some are invalid, or two are equal. The message lists all mistakes.
    """
    found = []
    mistakes: dict[str, list[str]] = {}
    for member in members:
        try:
            found.append(read_config(member.presets, file, options, member.overrides))
        except ConfigError as error:
            mistakes.setdefault(str(error), []).append(member.name)
    if mistakes:
        messages = [
            message if len(names) == len(members) else f"{listing(names, 3)}: {message}"
            for message, names in mistakes.items()
        ]
        rest = len(messages) - MAX_MISTAKES
        more = f"; and {rest:,} more" if rest > 0 else ""
        raise ConfigError(f"{'; '.join(messages[:MAX_MISTAKES])}{more}")
    names_of: dict[str, list[str]] = {}
    for member, config in zip(members, found, strict=True):
        names_of.setdefault(config.model_dump_json(exclude={"name"}), []).append(member.name)
    equal = [" and ".join(names) for names in names_of.values() if len(names) > 1]
    if equal:
        raise ConfigError(
            f"runs with equal settings: {listing(equal, 3)}. Remove one of them, or the --config "
            "or --set value that overrides their presets."
        )
    return found


def shortened(key: str, among: Collection[str]) -> str:
    """Returns the shortest suffix of a dotted key that no other key has."""
    parts = key.split(".")
    for start in range(len(parts) - 1, 0, -1):
        end = ".".join(parts[start:])
        if not any(f".{other}".endswith(f".{end}") for other in among if other != key):
            return end
    return key


def _factor(text: str) -> tuple[str, list[str]]:
    key, equals, values = (part.strip() for part in text.partition("="))
    if not equals:
        raise ConfigError(f"--set {text[:80]}: expected section.key=value,value")
    return key, _checked(f"--set {text}", alternatives(values))


def _checked(given: str, values: list[str]) -> list[str]:
    if len(values) > 1 and not all(values):
        raise ConfigError(f"{given[:80]}: empty value; write '' for an empty text")
    if len(set(values)) < len(values):
        raise ConfigError(f"{given[:80]}: repeated value")
    return values


def _safe(part: str) -> str:
    """Returns a part of a folder's name without unsafe characters; a digest keeps it unique."""
    safe = UNSAFE.sub("-", part.replace(",", " ")).lstrip(".-=+,")
    return safe if safe == part else f"{safe or 'x'}-{_digest(part)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:6]
