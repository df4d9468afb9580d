"""Columns as they come from files, arrays and data frames, before their type is decided.

Shapes: N rows, K columns of a block.
"""

__all__ = ["Block", "BlockKind", "Frame", "empty_mask"]

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

BlockKind = Literal["numbers", "integers", "booleans", "levels"]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Block:
    """Neighbouring columns of the same type.

    Attributes:
        kind: The type of the columns, which determines that of the values.
        values: An array of shape (N, K). "numbers": float64, NaN where missing; "integers": of
            NumPy, or Python integers beyond 64 bits; "booleans"; "levels": codes 0, 1, ... of
            categories in int64, -1 where missing.
        names: The names of the K columns.
        missing: Which values are missing, with shape (N, K); None if `values` says it.
        content: What the levels are, for messages.
        objection: Why the levels cannot be used unless the column is declared to be discrete.
    """

    kind: BlockKind
    values: NDArray[Any]
    names: tuple[str, ...]
    missing: Mask | None = None
    content: str = "strings"
    objection: str = ""

    def absent(self) -> Mask:
        """Returns which values are missing, with shape (N, K)."""
        if self.kind == "numbers":
            return np.asarray(np.isnan(self.values))
        if self.kind == "levels":
            return np.asarray(self.values < 0)
        return empty_mask(self.values.shape) if self.missing is None else self.missing

    def rows(self, index: NDArray[Any]) -> "Block":
        """Returns the block of some rows, given by their numbers or by a mask."""
        missing = None if self.missing is None else self.missing[index]
        return replace(self, values=self.values[index], missing=missing)


@dataclass(frozen=True, eq=False)
class Frame:
    """The columns of x, of z, or of another variable.

    Attributes:
        blocks: The columns; at least one.
        name: The name of the variable in messages.
        named: Whether the columns have names; otherwise messages give their numbers.
        lines: The number of the line of each row in a text file, with shape (N,).
        index: The index of a pandas object.
        warnings: Doubts about how the columns were read.
        notes: How the columns were read.
    """

    blocks: tuple[Block, ...]
    name: str
    named: bool = False
    lines: NDArray[np.int64] | None = None
    index: Any = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.blocks[0].values)

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of rows and columns."""
        return len(self), len(self.names)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of all columns."""
        return tuple(name for block in self.blocks for name in block.names)

    def label(self, column: int) -> str:
        """Returns "column 3" or "column 'age'", for the number of a column from 0."""
        return f"column '{self.names[column]}'" if self.named else f"column {column + 1}"

    def place(self, row: int, column: int) -> str:
        """Returns "row 7, column 2" for a row and a column from 0; in text files, the line."""
        if self.lines is not None:
            return f"line {self.lines[row]}, {self.label(column)}"
        return f"row {row + 1:,}, {self.label(column)}"

    def absent(self) -> Mask:
        """Returns which values are missing, with shape (N, columns)."""
        return np.concatenate([block.absent() for block in self.blocks], axis=1)

    def rows(self, index: NDArray[Any]) -> "Frame":
        """Returns the frame of some rows, given by their numbers or by a mask."""
        return replace(
            self,
            blocks=tuple(block.rows(index) for block in self.blocks),
            lines=None if self.lines is None else self.lines[index],
            index=None,
        )

    def selected(self, columns: Sequence[int]) -> str:
        """Returns "column 3 is" or "columns 1, 2, 3 and 5 more are", for columns from 0."""
        if len(columns) == 1:
            return f"{self.label(columns[0])} is"
        shown = [f"'{self.names[i]}'" if self.named else str(i + 1) for i in columns[:3]]
        rest = f" and {len(columns) - 3:,} more" if len(columns) > 3 else ""
        return f"columns {', '.join(shown)}{rest} are"


def empty_mask(shape: tuple[int, ...]) -> Mask:
    """Returns a mask of a shape in which nothing is missing, without using memory for it."""
    return np.broadcast_to(np.False_, shape)
