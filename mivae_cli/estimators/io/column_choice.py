"""Which columns of a table are those of x, of z, and of other variables.

Columns are chosen by name, by range of names such as `r1-r4`, or by number or range of numbers
from 1 if no column name is a number.
"""

__all__ = ["ROLES", "Choice", "choose_columns"]

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import ConfigError, DataError, listing

# What columns are used for, and the option that chooses them
ROLES = {"x": "--x-columns", "z": "--z-columns", "given": "--given", "groups": "--groups"}


@dataclass(frozen=True)
class Choice:
    """The columns of each variable, as a user writes them.

    Attributes:
        x: Names, numbers or ranges, separately or separated by commas; by default, the columns
            called x, or x and a number.
        z: Likewise for z.
        given: The columns on which x and z are conditioned; by default, none.
        groups: The columns that tell groups of rows apart; by default, none.
        labels: The variables that are declared to be discrete.
    """

    x: Sequence[str] = ()
    z: Sequence[str] = ()
    given: Sequence[str] = ()
    groups: Sequence[str] = ()
    labels: frozenset[str] = frozenset({"groups"})


def choose_columns(
    path: Path, names: list[str], has_header: bool, choice: Choice
) -> dict[str, list[int]]:
    """Returns the indices of the columns of x, z and, if chosen, the other variables.

    Raises:
        ConfigError: A column does not exist, is ambiguous or is chosen twice.
        DataError: The table is empty.
    """
    if not names:
        raise DataError(f"'{path}' is empty; provide a table")
    known = f"columns: {listing(map(repr, names))}"
    if not has_header:
        known = f"{len(names)} columns, no header"
    chosen = {}
    for role, option in ROLES.items():
        wanted = getattr(choice, role)
        if wanted:
            chosen[role] = _named(path, names, wanted, known, option)
        elif role in "xz":
            own = re.compile(rf"{role}[_.]?\d*")
            chosen[role] = [index for index, name in enumerate(names) if own.fullmatch(name)]
            if not chosen[role]:
                raise ConfigError(
                    f"'{path}' has no columns called {role} or {role}1, {role}2, ... "
                    f"({known}); choose some with {option}, by name or by number"
                )
    # a column of the conditioning variable may tell groups apart as well
    used = [index for role, places in chosen.items() if role != "groups" for index in places]
    for index, count in Counter(used).items():
        if count > 1:
            raise ConfigError(
                f"column '{names[index]}' of '{path}' is chosen twice; use each column once, for "
                "x or for z" + (" or for --given" if choice.given else "")
            )
    return chosen


def _named(
    path: Path, names: list[str], wanted: Sequence[str], known: str, option: str
) -> list[int]:
    """Returns the indices of columns chosen by names, numbers and ranges."""
    numbered = not any(name.isdecimal() for name in names)  # otherwise '2' would be ambiguous

    def exists(item: str) -> bool:
        is_number = numbered and re.fullmatch("[0-9]{1,9}", item)
        return item in names or bool(is_number and 1 <= int(item) <= len(names))

    def index_of(item: str) -> int:
        if names.count(item) > 1:
            raise ConfigError(
                f"'{path}' has {names.count(item)} columns called '{item}' ({known})"
            )
        if not exists(item):
            raise ConfigError(f"'{path}' has no column '{item}' ({known}); choose with {option}")
        return names.index(item) if item in names else int(item) - 1

    def ends_of(item: str) -> tuple[str, str] | None:
        """Returns both ends of a range; names may contain hyphens."""
        if item in names:
            return None
        ends = [
            (item[: found.start()].strip(), item[found.end() :].strip())
            for found in re.finditer("-", item)
        ]
        known_ends = [(start, stop) for start, stop in ends if exists(start) and exists(stop)]
        if len(known_ends) > 1:
            raise ConfigError(f"{option} {item} could be several ranges ({known}); list the names")
        if not known_ends and (numbers := re.fullmatch("([0-9]+)-([0-9]+)", item)):
            return numbers[1], numbers[2]
        return known_ends[0] if known_ends else None

    chosen: list[int] = []
    for item in (item.strip() for group in wanted for item in group.split(",")):
        if ends := ends_of(item):
            start, stop = map(index_of, ends)
            if stop < start:
                raise ConfigError(f"{option} {item}: the first column comes after the last")
            chosen.extend(range(start, stop + 1))
        elif item:
            chosen.append(index_of(item))
    if not chosen:
        raise ConfigError(f"{option} chooses no column of '{path}' ({known})")
    return chosen
