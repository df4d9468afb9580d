"""Warnings about values, columns and pairs that repeat.

Shapes: N rows.
"""

__all__ = ["least_tied", "repeated_pairs", "ties"]

import numpy as np
import torch
from numpy.typing import NDArray

from ..variables import Variable
from .column_types import discrete_option
from .frames import Frame
from .magnitudes import distinct

MAX_TIED = 0.1  # share of rows that repeat an earlier value of their column
MIN_ROWS_PER_LABEL = 4  # on average; a column with fewer rows per level is not advised as a label
MAX_REPEATED = 0.01  # share of rows that repeat an earlier pair


def ties(
    frame: Frame, name: str, side: str, numbers: NDArray[np.float64], columns: list[int]
) -> list[str]:
    """Returns warnings about continuous columns that repeat values."""
    rows = len(numbers)
    tied, spiked = [], []
    for place, column in enumerate(numbers.T):
        values, counts = np.unique(column, return_counts=True)
        if 1 - len(values) / rows <= MAX_TIED:
            continue
        share = counts.max() / rows
        if share > MAX_TIED and (counts == 1).sum() > rows / 4:
            spiked.append((place, float(values[counts.argmax()]), share))
        else:
            tied.append((place, len(values)))
    warnings = []
    if spiked:
        which = frame.selected([columns[place] for place, _, _ in spiked])
        _, value, share = max(spiked, key=lambda each: each[2])
        up_to = "up to " if len(spiked) > 1 else ""
        warnings.append(
            f"{name} {which} continuous but for a repeated value, such as {value:g} in "
            f"{up_to}{share:.0%} of the rows"
        )
    if tied:
        which = frame.selected([columns[place] for place, _ in tied])
        which, _, verb = which.rpartition(" ")
        have = "have at most" if verb == "are" else "has"
        most = max(count for _, count in tied)
        plausible = side and most * MIN_ROWS_PER_LABEL <= rows
        advice = f"; if they are labels, use {discrete_option(side)}" if plausible else ""
        warnings.append(
            f"{name} {which} {have} {most:,} distinct values in "
            f"{rows:,} rows, but {verb} taken as continuous{advice}"
        )
    return warnings


def least_tied(variable: Variable) -> float:
    """Returns the smallest share of rows that repeat a value, over the columns."""
    columns = [*variable.continuous.numpy().T, *variable.codes.numpy().T]
    return min(1 - distinct(column) / len(variable) for column in columns)


def repeated_pairs(x: Variable, z: Variable, least_tied_share: float) -> list[str]:
    """Returns a warning about pairs that occur several times, if x and z have numbers."""
    # at most as many pairs repeat as values of any column, so most data skip this slow check
    if least_tied_share <= MAX_REPEATED or "discrete" in (x.kind, z.kind):
        return []
    parts = [x.continuous, z.continuous, x.codes.double(), z.codes.double()]
    rows = torch.cat(parts, dim=1).numpy() + 0.0  # -0 becomes 0, because bytes are compared
    whole = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.itemsize * rows.shape[1])))
    repeated = 1 - len(np.unique(whole)) / len(rows)
    if repeated <= MAX_REPEATED:
        return []
    warning = (
        f"{repeated:.0%} of the pairs are exact duplicates: nearest-neighbour distances tie, and "
        "the same pair may be in the training and test splits"
    )
    return [warning]
