"""Variables whose mutual information is estimated: numbers, categories, or both.

Shapes: N rows, C continuous columns, D discrete columns.
"""

__all__ = ["Kind", "Variable"]

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Kind = Literal["continuous", "discrete", "mixed"]


@dataclass(frozen=True, eq=False)
class Variable:
    """N samples of x, of z, or of the variable on which both are conditioned.

    Attributes:
        continuous: Columns of numbers, with shape (N, C) in double precision; C may be 0.
        codes: Columns of levels, with shape (N, D); D may be 0. The levels of each column are
            coded 0, 1, ...
        name: The name of the variable in messages.
        columns: The names of the C + D columns, continuous ones first.

    Raises:
        ValueError: The shapes or types do not fit together, or there is no column.

    >>> label = Variable.of("label", codes=torch.tensor([0, 2, 1, 2]))
    >>> label.kind, label.levels, len(label)
    ('discrete', (3,), 4)
    """

    continuous: Tensor
    codes: Tensor
    name: str
    columns: tuple[str, ...]

    def __post_init__(self) -> None:
        shapes = self.continuous.shape, self.codes.shape
        if len(shapes[0]) != 2 or len(shapes[1]) != 2 or shapes[0][0] != shapes[1][0]:
            raise ValueError(f"continuous columns {shapes[0]} and codes {shapes[1]} do not fit")
        if self.continuous.dtype != torch.float64 or self.codes.dtype != torch.int64:
            raise ValueError("continuous columns must be float64, and codes int64")
        columns = shapes[0][1] + shapes[1][1]
        if not columns or columns != len(self.columns):
            raise ValueError(f"{len(self.columns)} names for {columns} columns")
        if self.codes.numel() and int(self.codes.min()) < 0:
            raise ValueError("codes of discrete columns must be at least 0")

    @classmethod
    def of(
        cls,
        name: str,
        continuous: Tensor | None = None,
        codes: Tensor | None = None,
        columns: Sequence[str] = (),
    ) -> "Variable":
        """Returns a variable of columns, or of a single column with shape (N,).

        Arguments:
            name: The name of the variable.
            continuous: Numbers, with shape (N,) or (N, C).
            codes: Levels coded 0, 1, ..., with shape (N,) or (N, D).
            columns: The names of the columns; default: 1, 2, ...
        """
        given = [part for part in (continuous, codes) if part is not None]
        if not given:
            raise ValueError("a variable needs at least one column")
        rows = len(given[0])
        numbers = torch.empty(rows, 0) if continuous is None else continuous
        levels = torch.empty(rows, 0) if codes is None else codes
        numbers = numbers[:, None] if numbers.ndim == 1 else numbers
        levels = levels[:, None] if levels.ndim == 1 else levels
        names = columns or [str(1 + i) for i in range(numbers.shape[1] + levels.shape[1])]
        return cls(numbers.double(), levels.long(), name, tuple(names))

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def kind(self) -> Kind:
        """Whether the columns are continuous, discrete, or of both types."""
        if not self.codes.shape[1]:
            return "continuous"
        return "mixed" if self.continuous.shape[1] else "discrete"

    @property
    def levels(self) -> tuple[int, ...]:
        """The number of levels of each discrete column: its largest code plus one."""
        return tuple(int(column.max()) + 1 if len(self) else 0 for column in self.codes.T)

    def numbers(self) -> Tensor:
        """Returns all columns as numbers, codes last, with shape (N, C + D)."""
        return torch.cat([self.continuous, self.codes.double()], dim=1)

    def joint_code(self) -> Tensor:
        """Returns one code 0, 1, ... for each distinct row of `codes`, with shape (N,).

        Codes follow the lexicographic order of the rows; without discrete columns, all are 0.
        """
        joint = torch.zeros(len(self), dtype=torch.int64)
        for column, levels in zip(self.codes.T, self.levels, strict=True):
            # coded again after each column, so that the product cannot overflow
            joint = torch.unique(joint * levels + column, return_inverse=True)[1]
        return joint

    def rows(self, index: Tensor) -> "Variable":
        """Returns the variable of some rows, given by their numbers or by a mask.

        The codes stay the same, so that some levels may have no rows.
        """
        return Variable(self.continuous[index], self.codes[index], self.name, self.columns)
