r"""Mutual information of mixed variables by the chain rule over levels, in nats.

If x has levels d and numbers c,

.. math:: I(x; z) = I(d; z) + \sum_d p(d)\, I(c; z \mid d).

Each term has one variable less of both kinds, so in the end only pairs of levels, labels with
numbers, and numbers remain, each with the estimator made for it. A value that many rows repeat,
such as the zeros of a zero-inflated column, is an atom: rows with this value form a level of their
own, within which the number is constant.

Shapes: N rows.
"""

__all__ = ["PairEstimate", "chain", "is_inflated", "split_atoms"]

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..intervals import Interval
from ..nearest_neighbours import ksg_interval
from ..variables import Variable
from .labels import label_estimates
from .plug_in import QUANTILE, plug_in

PairEstimate = Callable[[Tensor, Tensor], Interval]

MIN_ATOM = 20  # rows
# Atoms of an inflated column, their share of the rows, and the share of distinct other values
MAX_INFLATED, MIN_INFLATED, MIN_DISTINCT = 5, 0.05, 0.9
MIN_SHARE = 0.01  # of the rows
MAX_VALUES = 50  # of a column of which all values are atoms
VALUE_ROWS = 10  # of each value on average, likewise
MIN_LEVEL_ROWS = 50
MAX_IGNORED = 0.05  # share of the rows in smaller levels


def is_inflated(variable: Variable) -> bool:
    """Returns whether a column of numbers has a few atoms among values that hardly repeat.

    For example rainfall, which is often exactly 0. Rounded numbers have no such atoms.
    """
    for column in variable.continuous.T:
        values, sizes = torch.unique(column, return_counts=True)
        atom = sizes >= max(MIN_ATOM, MIN_SHARE * len(column))
        of_atoms, rest = int(sizes[atom].sum()), len(values) - int(atom.sum())
        others = len(column) - of_atoms
        if (
            0 < int(atom.sum()) <= MAX_INFLATED
            and of_atoms >= MIN_INFLATED * len(column)
            and rest >= MIN_DISTINCT * max(others, 1)
            and others >= MIN_ATOM
        ):
            return True
    return False


def split_atoms(variable: Variable) -> Variable:
    """Returns the variable with a discrete column for each column of numbers with atoms.

    Level 0 is that of the rows without an atom; the others are the atoms. A column of atoms alone
    keeps only its levels. Values are atoms if 20 rows and 1 % of the rows repeat them, or if the
    column has at most 50 values, each in 10 rows on average.
    """
    rows, levels, numbers = len(variable), [], []
    names: list[list[str]] = [[], []]
    count = variable.continuous.shape[1]
    for name, column in zip(variable.columns, variable.continuous.T, strict=False):
        _, places, sizes = torch.unique(column, return_inverse=True, return_counts=True)
        atom = sizes >= max(MIN_ATOM, MIN_SHARE * rows)
        if len(sizes) <= min(MAX_VALUES, rows / VALUE_ROWS):
            atom = torch.ones_like(atom)
        if atom.any():
            levels.append((atom.cumsum(0) * atom)[places])
            names[1].append(name)
        if not atom.all():
            numbers.append(column)
            names[0].append(name)
    codes = torch.stack([*variable.codes.T, *levels], dim=1) if levels else variable.codes
    empty = variable.continuous[:, :0]
    continuous = torch.stack(numbers, dim=1) if numbers else empty
    columns = (*names[0], *variable.columns[count:], *names[1])
    return Variable(continuous, codes, variable.name, columns)


def chain(
    x: Variable,
    z: Variable,
    neighbours: int = 3,
    *,
    continuous: PairEstimate = ksg_interval,
    seed: int = 0,
) -> Interval | None:
    """Returns the estimate by the chain rule with its 95 % interval, or None.

    None means that over 5 % of the rows belong to levels with fewer than 50 rows. The interval
    adds the errors of the terms as if they were independent.

    Arguments:
        x: N rows of numbers, of levels, or of both, without atoms.
        z: The rows observed with them.
        neighbours: The number k of neighbours of labels.
        continuous: Estimates the information of numbers (N, X) and numbers (N, Z).
        seed: Seed of all draws.
    """
    sides = _varying(x), _varying(z)
    if sides[0] is None or sides[1] is None:
        return Interval(0.0, 0.0, 0.0)  # nothing varies
    x, z = sides[0], sides[1]
    kinds = x.kind, z.kind
    if kinds == ("discrete", "discrete"):
        found = plug_in(x.joint_code(), z.joint_code(), seed=seed)
        return _interval(found.value, found.ci_low, found.ci_high)
    if kinds == ("continuous", "continuous"):
        return continuous(x.continuous, z.continuous)
    if kinds == ("continuous", "discrete"):
        return chain(z, x, neighbours, continuous=continuous, seed=seed)
    if kinds == ("discrete", "continuous"):
        label = x.joint_code()
        if int(label.bincount().max()) < 2:
            return None
        best = label_estimates(z.continuous, label, neighbours, seed=seed).recommended
        return _interval(best.value, best.ci_low, best.ci_high)
    if x.kind != "mixed":
        return chain(z, x, neighbours, continuous=continuous, seed=seed)
    codes = x.joint_code()
    sizes = codes.bincount()
    if int(sizes[sizes < MIN_LEVEL_ROWS].sum()) > MAX_IGNORED * len(x):
        return None
    count = x.continuous.shape[1]
    levels = Variable(x.continuous[:, :0], x.codes, x.name, x.columns[count:])
    numbers = Variable(x.continuous, x.codes[:, :0], x.name, x.columns[:count])
    first = chain(levels, z, neighbours, continuous=continuous, seed=seed)
    parts: list[tuple[float, Interval]] = []
    for level in (sizes >= MIN_LEVEL_ROWS).nonzero()[:, 0]:
        chosen = codes == level
        given = numbers.rows(chosen), z.rows(chosen)
        part = chain(*given, neighbours, continuous=continuous, seed=seed)
        if part is None:
            return None
        parts.append((float(sizes[level]) / len(x), part))
    return None if first is None else _sum(first, parts, len(x))


def _sum(first: Interval, parts: list[tuple[float, Interval]], count: int) -> Interval:
    """Returns the sum of the first term and of the weighted terms of the levels."""
    value = first.value + sum(weight * part.value for weight, part in parts)
    mean = sum(weight * part.value for weight, part in parts)
    spread = sum(weight * (part.value - mean) ** 2 for weight, part in parts) / count
    margins = [first.high - first.value, QUANTILE * math.sqrt(spread)]
    margins += [weight * (part.high - part.value) for weight, part in parts]
    margin = math.hypot(*margins)
    return Interval(value, value - margin, value + margin)


def _interval(value: float, low: float | None, high: float | None) -> Interval:
    return Interval(value, value if low is None else low, value if high is None else high)


def _varying(variable: Variable) -> Variable | None:
    """Returns the variable without constant columns, or None if no column varies."""
    numbers = variable.continuous.amax(dim=0) > variable.continuous.amin(dim=0)
    levels = variable.codes.amax(dim=0) > variable.codes.amin(dim=0)
    kept = torch.cat([numbers, levels]).tolist()
    if all(kept):
        return variable
    if not any(kept):
        return None
    columns = tuple(name for name, keep in zip(variable.columns, kept, strict=True) if keep)
    return Variable(
        variable.continuous[:, numbers], variable.codes[:, levels], variable.name, columns
    )
