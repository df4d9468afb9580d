"""Which columns are discrete and which are continuous.

Strings, categories and booleans are discrete. Integers, and whole numbers in floating point, are
discrete if they have few levels: at most 50, and on average at least ten rows per level. With
fewer rows per level, the bias of frequencies outweighs that of treating ties as a continuous
variable; with more levels, integers such as an age resemble a continuous variable. Numbers with
few levels each but many in combination, such as the pixels of an image, are not discrete.

Shapes: N rows, K columns of a block.
"""

__all__ = ["Mode", "Typed", "discrete_option", "typed"]

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from .frames import Block, Frame
from .magnitudes import integers_as_floats

MAX_LEVELS = 50
MIN_ROWS_PER_LEVEL = 10  # on average
MAX_TEXTS = 0.5  # distinct strings per row, above which they are no labels

# "auto": by the rule above; "discrete": all columns; "strings": strings and categories only;
# "none": no column
Mode = Literal["auto", "discrete", "strings", "none"]


@dataclass(frozen=True, eq=False)
class Typed:
    """The columns of a frame, by type.

    Attributes:
        numbers: The continuous columns, with shape (N, C).
        number_columns: Their numbers in the frame, from 0.
        codes: The codes 0, 1, ... of each discrete column, each with shape (N,).
        code_columns: Their numbers in the frame, from 0.
    """

    numbers: NDArray[np.float64]
    number_columns: list[int]
    codes: list[NDArray[np.int64]]
    code_columns: list[int]


@dataclass(frozen=True, eq=False)
class _Discrete:
    column: int
    codes: NDArray[np.int64]
    block: Block | None  # that has numbers for the column as well
    place: int = 0  # of the column in its block


def discrete_option(choice: str) -> str:
    """Returns how to declare columns as discrete, on the command line and in Python."""
    return f"--discrete {choice} (in Python, discrete='{choice}')"


def typed(frame: Frame, name: str, mode: Mode, side: str) -> Typed:
    """Returns the columns of a frame without missing values, by type.

    Arguments:
        frame: The columns.
        name: The name of the variable in messages.
        mode: Which columns are discrete.
        side: The value of --discrete that makes this variable discrete; "" if there is none.

    Raises:
        DataError: A column is of no type that the mode allows, or loses digits.
    """
    discrete: list[_Discrete] = []
    continuous: list[tuple[int, NDArray[np.float64]]] = []
    start = 0
    for block in frame.blocks:
        labels = [_title(frame, name, start + i) for i in range(len(block.names))]
        if block.kind == "levels":
            codes = _levels(block, labels[0], mode, side)
            discrete.append(_Discrete(start, codes, None))
        else:
            chosen = _discrete_columns(block, mode)
            for place in range(len(block.names)):
                if place in chosen:
                    codes = np.unique(block.values[:, place], return_inverse=True)[1]
                    kept = block if mode == "auto" else None
                    discrete.append(_Discrete(start + place, codes.astype(np.int64), kept, place))
                else:
                    continuous.append((start + place, _floats(block, place, labels[place])))
        start += len(block.names)
    numeric = [each for each in discrete if each.block is not None]
    if len(numeric) > 1 and _are_sparse(numeric):
        discrete = [each for each in discrete if each.block is None]
        for each in numeric:
            if each.block is not None:
                title = _title(frame, name, each.column)
                continuous.append((each.column, _floats(each.block, each.place, title)))
        continuous.sort(key=lambda pair: pair[0])
    numbers = np.empty((len(frame), len(continuous)))
    for place, (_, column) in enumerate(continuous):
        numbers[:, place] = column
    return Typed(
        numbers,
        [column for column, _ in continuous],
        [each.codes for each in discrete],
        [each.column for each in discrete],
    )


def _title(frame: Frame, name: str, column: int) -> str:
    """Returns "x, column 3", or "x" if it has a single column without a name."""
    return f"{name}, {frame.label(column)}" if frame.named or len(frame.names) > 1 else name


def _levels(block: Block, title: str, mode: Mode, side: str) -> NDArray[np.int64]:
    """Returns the codes of a column of labels; those without rows are left out."""
    advice = f"; if these are labels, use {discrete_option(side)}" if side else ""
    if block.objection and mode != "discrete":
        raise DataError(f"{block.objection}{advice}")
    if mode == "none":
        raise DataError(
            f"{title} contains {block.content}, which are always discrete; use {discrete_option('auto')}"
        )
    found, codes = np.unique(block.values[:, 0], return_inverse=True)
    if mode != "discrete" and block.content == "strings" and len(found) > MAX_TEXTS * len(codes):
        raise DataError(
            f"{title} contains strings, with {len(found):,} different ones in {len(codes):,} rows: "
            f"too many for labels. If they are numbers, write them as 1.5 and not as 1,5{advice}"
        )
    return codes.astype(np.int64)


def _discrete_columns(block: Block, mode: Mode) -> set[int]:
    """Returns the discrete columns of a block of numbers, integers or booleans."""
    columns = range(len(block.names))
    if mode == "discrete":
        return set(columns)
    if mode != "auto":
        return set()
    if block.kind == "booleans":
        return {i for i in columns if 0 < np.count_nonzero(block.values[:, i]) < len(block.values)}
    whole = np.ones(len(block.names), bool)
    if block.kind == "numbers":
        whole = (block.values == np.floor(block.values)).all(axis=0)
    return {int(i) for i in np.flatnonzero(whole) if _has_few_levels(block.values[:, i])}


def _has_few_levels(column: NDArray[Any]) -> bool:
    rows = len(column)
    most = min(MAX_LEVELS, rows // MIN_ROWS_PER_LEVEL)
    if len(np.unique(column[: 2 * MAX_LEVELS + 1000])) > most:  # the usual case, without a sort
        return False
    return 1 < len(np.unique(column)) <= most


def _are_sparse(columns: list[_Discrete]) -> bool:
    """Returns whether the combinations of levels have few rows on average."""
    rows = len(columns[0].codes)
    joint = np.zeros(rows, np.int64)
    for each in columns:
        joint = np.unique(joint * (each.codes.max() + 1) + each.codes, return_inverse=True)[1]
        if (joint.max() + 1) * MIN_ROWS_PER_LEVEL > rows:
            return True
    return False


def _floats(block: Block, place: int, title: str) -> NDArray[np.float64]:
    column = block.values[:, place]
    if block.kind == "integers":
        return integers_as_floats(column, title)
    return column.astype(np.float64)
