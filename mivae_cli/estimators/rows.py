r"""Units of resampling: which rows are independent of which.

Splits, folds, jackknife groups and permutations treat rows as independent. If several rows come
from one person, document or image, or from nearby times, whole *units* must take their place:

| independent  every row is a unit
| groups       all rows with the same label are a unit
| blocks       each run of L successive rows is a unit; rows further apart than L are assumed to be
  nearly independent, as in a stationary time series with a correlation time well below L

Statistics of a permuted z then have the distribution that they would have if x and z were
independent of each other, with the dependence inside x and inside z kept.

Shapes: N rows, M chosen rows, U units, G jackknife groups.

References:
    | The jackknife and the bootstrap for general stationary observations (Künsch, 1989)
    | A shift test for independence in generic time series (Harris, 2020)
"""

__all__ = ["MIN_UNITS", "Rows"]

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ..errors import ConfigError, DataError
from ..limits import check_count

MIN_UNITS = 10
MISSING = ("", "nan", "<NA>", "NaT")  # labels of rows without one, as text
MIN_HELD_OUT = 3  # units of the validation and the test split, so that the jackknife can drop one
MIN_EXCHANGED = 8  # groups among which the rows of z are exchanged

RowsKind = Literal["independent", "groups", "blocks"]


class Split(NamedTuple):
    """Row numbers of the training, validation and test splits."""

    train: Tensor
    valid: Tensor
    test: Tensor


@dataclass(frozen=True, eq=False)
class Rows:
    """The unit of each of N rows.

    Attributes:
        unit: Unit numbers, with shape (N,); not necessarily consecutive in a subset.
        kind: What the units are.
        length: The number of rows of a block; 1 for other units.
    """

    unit: Tensor
    kind: RowsKind = "independent"
    length: int = 1

    @classmethod
    def independent(cls, count: int) -> "Rows":
        """Returns `count` independent rows."""
        return cls(torch.arange(count))

    @classmethod
    def of_sample(
        cls, numbers: Tensor, groups: Tensor | None = None, blocks: int | None = None
    ) -> "Rows":
        """Returns rows by group, in blocks, or independent ones if neither is given.

        Arguments:
            numbers: The number of each row in the input, from 0, with shape (N,).
            groups: The group of each row, with shape (N,).
            blocks: The length of blocks.

        Raises:
            DataError: There are fewer than 10 groups.
            ConfigError: Both are given, or there are fewer than 10 blocks.
        """
        if groups is not None and blocks is not None:
            raise ConfigError(
                "choose --groups or --blocks (in Python: groups= or blocks=), not both"
            )
        if blocks is not None:
            return cls.by_blocks(int(numbers.max()) + 1, blocks).take(numbers)
        return cls.independent(len(numbers)) if groups is None else cls.by_group(groups.numpy())

    @classmethod
    def by_group(cls, labels: ArrayLike, name: str = "groups") -> "Rows":
        """Returns rows that belong to the same unit if their labels are equal.

        Arguments:
            labels: Labels of any type with an order, such as strings or integers, shape (N,).
            name: Name of the labels in messages.

        Raises:
            DataError: The labels are not one per row, some are missing, or there are fewer than
                10 groups.
        """
        values = np.asarray(labels)
        if values.ndim == 2 and values.shape[1] == 1:
            values = values[:, 0]
        if values.ndim != 1:
            raise DataError(f"{name} has the shape {values.shape}; provide one label for each row")
        if values.dtype == object:
            values = np.array(["" if value is None else str(value) for value in values])
            missing = np.isin(values, MISSING)
        else:
            missing = np.isin(values.astype(str), MISSING)
        if missing.any():
            raise DataError(
                f"{name} has no label in {missing.sum():,} rows, the first in row "
                f"{missing.argmax() + 1:,}; remove these rows or give each its own label"
            )
        distinct, unit = np.unique(values, return_inverse=True)
        if len(distinct) < MIN_UNITS:
            raise DataError(
                f"{name} has {len(distinct)} distinct labels; intervals and tests by group need "
                f"at least {MIN_UNITS} groups"
            )
        return cls(torch.from_numpy(unit.reshape(-1).astype(np.int64)), "groups")

    @classmethod
    def by_blocks(cls, count: int, length: int) -> "Rows":
        """Returns rows in blocks of `length` successive rows; a short last block joins the last.

        Raises:
            ConfigError: There are fewer than 10 blocks.
        """
        length = check_count("the number of rows of a block", length, 1, max(1, count))
        blocks = count // length
        if blocks < MIN_UNITS:
            raise ConfigError(
                f"blocks of {length:,} rows divide {count:,} rows into {blocks} blocks; at least "
                f"{MIN_UNITS} are needed, so use --blocks {max(1, count // MIN_UNITS):,} or less "
                "(in Python, blocks=)"
            )
        return cls((torch.arange(count) // length).clamp(max=blocks - 1), "blocks", length)

    def __len__(self) -> int:
        return len(self.unit)

    @property
    def dependent(self) -> bool:
        """Whether a unit may have several rows."""
        return self.kind != "independent"

    @property
    def count(self) -> int:
        """The number of units, U."""
        return len(self.unit.unique())

    @property
    def effective(self) -> float:
        """The number of units of equal size with the same sum of squared shares."""
        sizes = self._compact().bincount().double()
        return float(sizes.sum().square() / sizes.square().sum())

    def take(self, rows: Tensor) -> "Rows":
        """Returns a subset of the rows (M,)."""
        return Rows(self.unit[rows], self.kind, self.length)

    def split(self, seed: int, test: int, valid: int) -> Split:
        """Returns a random split by whole units, with about the given numbers of rows.

        The splits of dependent rows keep the order of the rows. No test or validation split is
        larger than requested, except that each has at least three units.
        """
        if not self.dependent:
            order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))
            return Split(order[test + valid :], order[test : test + valid], order[:test])
        chosen, sizes = self._shuffled(seed)
        free, part = [test, valid], torch.full((len(sizes),), 2)
        for unit in chosen.tolist():
            size = int(sizes[unit])
            place = next((place for place in (0, 1) if size <= free[place]), 2)
            part[unit] = place
            if place < 2:
                free[place] -= size
        smallest = [unit for unit in sizes.argsort(stable=True).tolist() if part[unit] == 2]
        for place in (0, 1):  # units may be larger than the requested split
            for unit in smallest[: max(0, MIN_HELD_OUT - int((part == place).sum()))]:
                part[unit] = place
                smallest.remove(unit)
        of_row = part[self._compact()]
        held_out, chosen_valid, train = ((of_row == place).nonzero()[:, 0] for place in range(3))
        return Split(train, chosen_valid, held_out)

    def folds(self, count: int, seed: int) -> list[Tensor]:
        """Returns the row numbers of each of `count` folds of about equal size, by whole units."""
        if not self.dependent:
            order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))
            return [fold.sort().values for fold in order.tensor_split(count)]
        order, sizes = self._shuffled(seed)
        fold = _balanced(sizes, order, count)[self._compact()]
        return [(fold == number).nonzero()[:, 0] for number in range(count)]

    def jackknife_groups(self, number: int) -> Tensor:
        """Returns the jackknife group of each row, from 0 to at most `number` - 1, shape (N,).

        Each unit lies in one group. Groups of blocks are contiguous.
        """
        if not self.dependent:
            return torch.arange(len(self)) % min(number, len(self))
        unit = self._compact()
        sizes = unit.bincount()
        number = min(number, len(sizes))
        if self.kind == "blocks":
            return (torch.arange(len(sizes)) * number // len(sizes))[unit]
        return _balanced(sizes, torch.arange(len(sizes)), number)[unit]

    def same(self) -> Tensor:
        """Returns the number of rows in the unit of each row, itself included, with shape (N,)."""
        unit = self._compact()
        sizes: Tensor = unit.bincount()[unit]
        return sizes

    def permutation(self, generator: torch.Generator) -> Tensor:
        r"""Returns row numbers of z that break its dependence on x, with shape (N,).

        Independent rows are shuffled. *Blocks*: a circular shift by at least one block, so that
        both series stay as they are but for one jump. *Groups*: rows of whole groups change
        places in their order. Where enough groups have equal sizes, this is exact. Other groups
        are exchanged among the groups nearest in size, and the n rows of the receiving group get
        rows :math:`\lfloor (i + \frac{1}{2}) m / n \rfloor` of a group of m rows: a larger group
        is thinned, a smaller one is repeated.
        """
        if not self.dependent:
            return torch.randperm(len(self), generator=generator)
        if self.kind == "blocks":
            least = min(self.length, len(self) // 2)
            width = len(self) - 2 * least + 1
            shift = least + int(torch.randint(width, (), generator=generator))
            return torch.arange(len(self)).roll(shift)
        unit = self._compact()
        members = unit.argsort(stable=True)
        sizes = unit.bincount()
        starts = sizes.cumsum(0) - sizes
        source = torch.arange(len(sizes))
        for stratum in _strata(sizes):
            source[stratum] = stratum[torch.randperm(len(stratum), generator=generator)]
        position = torch.arange(len(self)) - starts.repeat_interleave(sizes)
        own, other = sizes.repeat_interleave(sizes), sizes[source].repeat_interleave(sizes)
        place = (2 * position + 1) * other // (2 * own)
        found = torch.empty_like(members)
        found[members] = members[starts[source].repeat_interleave(sizes) + place]
        return found

    def _compact(self) -> Tensor:
        """Returns the units numbered from 0 to U - 1, with shape (N,)."""
        compact: Tensor = self.unit.unique(return_inverse=True)[1]
        return compact

    def _shuffled(self, seed: int) -> tuple[Tensor, Tensor]:
        """Returns the compact units in random order, and their sizes."""
        sizes = self._compact().bincount()
        generator = torch.Generator().manual_seed(seed)
        return torch.randperm(len(sizes), generator=generator), sizes


def _balanced(sizes: Tensor, order: Tensor, count: int) -> Tensor:
    """Returns the part of each unit: units go to the part with the fewest rows, largest first."""
    order = order[sizes[order].argsort(descending=True, stable=True)]
    totals, part = [0] * count, torch.empty(len(sizes), dtype=torch.long)
    for unit in order.tolist():
        least = min(range(count), key=totals.__getitem__)
        part[unit] = least
        totals[least] += int(sizes[unit])
    return part


def _strata(sizes: Tensor) -> list[Tensor]:
    """Returns sets of units with equal sizes, or of at least eight units of similar sizes."""
    order = sizes.argsort(stable=True)
    runs = sizes[order].unique_consecutive(return_counts=True)[1].tolist()
    strata: list[list[Tensor]] = [[]]
    for run in order.split(runs):
        strata[-1].append(run)
        if sum(map(len, strata[-1])) >= MIN_EXCHANGED:
            strata.append([])
    if not strata[-1]:
        strata.pop()
    elif len(strata) > 1:  # the largest groups are too few for a stratum of their own
        strata[-2].extend(strata.pop())
    return [torch.cat(stratum) for stratum in strata]
