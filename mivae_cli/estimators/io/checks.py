"""Check samples, and turn them into variables.

Shapes: N rows; x has X varying columns and z has Z. Messages count rows and columns from 1.
"""

__all__ = ["Sample", "check_variables", "checked_tensors"]

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...choices import Discrete, check_choice
from ...errors import DataError, listing
from ..variables import Variable
from .column_types import Mode, Typed, typed
from .data_frames import aligned, frame_of
from .frames import Frame
from .magnitudes import distinct, steady
from .pairs import check_lengths
from .repetition import least_tied, repeated_pairs, ties

MIN_PAIRS = 50
MISSING = "drop these rows with --drop-missing (in Python, drop_missing=True)"


@dataclass(frozen=True, eq=False)
class Sample:
    """Checked samples of the same N rows.

    Attributes:
        x: The columns of x that vary.
        z: The columns of z that vary.
        given: The variable on which x and z are conditioned; None if there is none.
        groups: The group 0, 1, ... of each row, with shape (N,); None without groups.
        rows: The number of each row in the input, from 0, with shape (N,).
        warnings: Doubts about the samples.
        notes: How the samples were read.
    """

    x: Variable
    z: Variable
    given: Variable | None
    groups: Tensor | None
    rows: Tensor
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows)

    def tensors(self) -> tuple[Tensor, Tensor]:
        """Returns x and z as numbers, with shapes (N, X) and (N, Z), the codes among them."""
        x, z = (torch.cat([side.continuous, side.codes.double()], 1) for side in (self.x, self.z))
        return x, z


def check_variables(
    x: object,
    z: object,
    *,
    given: object = None,
    groups: object = None,
    discrete: Discrete = "auto",
    drop_missing: bool = False,
    names: tuple[str, str] = ("x", "z"),
) -> Sample:
    """Returns samples as variables without constant columns.

    There is at most one warning for each variable and problem.

    Arguments:
        x: An array, tensor, data frame, series or nested lists, with N >= 50 rows, or a frame of
            `read_pairs`.
        z: Likewise. Rows of pandas objects are aligned by unique index labels.
        given: The columns on which x and z are conditioned.
        groups: A column of labels; rows with the same label depend on each other.
        discrete: The variables of which all columns are discrete; of the others, only strings and
            categories are. "none": no column is; "auto": see `column_types`.
        drop_missing: Whether to drop rows with missing values; otherwise they are errors.
        names: The names of x and z in messages.

    Raises:
        DataError: The samples are not rows of finite numbers and labels, their lengths or indexes
            differ, there are fewer than 50, or every column of a variable is constant.
        ConfigError: `discrete` is not a valid choice.
    """
    check_choice("choice for discrete", discrete, Discrete)
    forced = {side for side in ("x", "z") if discrete in (side, "both")}
    x_frame, z_frame = frame_of(x, names[0], "x" in forced), frame_of(z, names[1], "z" in forced)
    others = [
        None if values is None else frame_of(values, name, name == "groups")
        for values, name in ((given, "given"), (groups, "groups"))
    ]
    frames, notes = aligned([x_frame, z_frame, *others])
    present = [frame for frame in frames if frame is not None]
    check_lengths(*present)
    warnings = [warning for frame in present for warning in frame.warnings]
    notes = [note for frame in present for note in frame.notes] + notes
    rows = np.arange(len(present[0]))
    kept = _complete(present, drop_missing)
    if not kept.all():
        lost = int((~kept).sum())
        warnings.append(f"{lost:,} of {len(kept):,} rows with missing values were dropped")
        rows = rows[kept]
        frames = [None if frame is None else frame.rows(kept) for frame in frames]
    if len(rows) < MIN_PAIRS:
        raise DataError(f"{len(rows):,} pairs are too few; provide at least {MIN_PAIRS}")
    variables: list[Variable | None] = []
    discrete_columns = []
    shares = []
    for frame, name, side in zip(frames, (*names, "given"), ("x", "z", ""), strict=False):
        if frame is None:
            variables.append(None)
            continue
        variable, found, told = _checked(frame, name, _mode(discrete, side), side)
        variables.append(variable)
        discrete_columns += told
        warnings += found
        shares.append(least_tied(variable))
    checked_x, checked_z = variables[:2]
    if checked_x is None or checked_z is None:
        raise AssertionError
    if discrete_columns and discrete == "auto":
        notes.append(
            f"treated as discrete: {listing(discrete_columns)}; choose with --discrete none, x, z "
            "or both (in Python, discrete=)"
        )
    warnings += repeated_pairs(checked_x, checked_z, min(shares[:2]))
    dimensions = len(checked_x.columns) + len(checked_z.columns)
    if dimensions >= len(rows) / 2:
        warnings.append(
            f"{names[0]} and {names[1]} have {dimensions:,} dimensions for {len(rows):,} "
            "pairs: Gaussian estimates are unreliable"
        )
    return Sample(
        checked_x,
        checked_z,
        variables[2],
        _group_codes(frames[3]),
        torch.from_numpy(rows),
        warnings,
        notes,
    )


def checked_tensors(
    x: object, z: object, names: tuple[str, str] = ("x", "z")
) -> tuple[tuple[Tensor, Tensor], list[str]]:
    """Returns continuous x and z of shapes (N, X) and (N, Z), and the warnings of the check."""
    sample = check_variables(x, z, discrete="none", names=names)
    return sample.tensors(), sample.warnings


def _mode(discrete: Discrete, side: str) -> Mode:
    match discrete:
        case "auto":
            return "auto"
        case "none":
            return "none" if side else "strings"
    if not side:
        return "auto"
    return "discrete" if discrete in (side, "both") else "strings"


def _complete(frames: Sequence[Frame], drop: bool) -> NDArray[np.bool_]:
    """Returns which rows have no missing values in any frame."""
    kept = np.ones(len(frames[0]), bool)
    for frame in frames:
        absent = frame.absent()
        if absent.any() and not drop:
            row, column = divmod(int(absent.argmax()), absent.shape[1])
            raise DataError(
                f"{frame.name} has missing values (NaN or empty), {int(absent.sum()):,} in all, "
                f"the first in {frame.place(row, column)}; {MISSING}"
            )
        kept &= ~absent.any(axis=1)
    return kept


def _checked(
    frame: Frame, name: str, mode: Mode, side: str
) -> tuple[Variable, list[str], list[str]]:
    """Returns a variable of the columns that vary, warnings, and its discrete columns."""
    _check_finite(frame)
    found = typed(frame, name, mode, side)
    counts = [distinct(column) for column in found.numbers.T]
    varying = [i for i, count in enumerate(counts) if count > 1]
    levels = [int(codes.max()) + 1 for codes in found.codes]
    discrete = [i for i, count in enumerate(levels) if count > 1]
    if not varying and not discrete:
        raise DataError(f"every column of {name} is constant")
    warnings = []
    used = {found.number_columns[i] for i in varying} | {found.code_columns[i] for i in discrete}
    if constant := [i for i in range(len(frame.names)) if i not in used]:
        warnings.append(f"{name} {frame.selected(constant)} constant and ignored")
    numbers = found.numbers if len(varying) == len(counts) else found.numbers[:, varying]
    number_columns = [found.number_columns[i] for i in varying]
    warnings += ties(frame, name, side, numbers, number_columns)
    if varying:
        numbers, replaced = steady(numbers)
        if replaced:
            which = frame.selected([number_columns[i] for i in replaced])
            warnings.append(
                f"{name} {which} of very unequal magnitudes, and replaced by normal scores of "
                "ranks, which have the same mutual information"
            )
    codes = [found.codes[i] for i in discrete]
    code_columns = [found.code_columns[i] for i in discrete]
    variable = Variable(
        torch.from_numpy(np.require(numbers, np.float64, ["C", "W"])),
        torch.from_numpy(np.column_stack(codes) if codes else np.empty((len(frame), 0), np.int64)),
        name,
        tuple(frame.names[i] for i in number_columns + code_columns),
    )
    told = [
        f"{name} {frame.label(column)} ({levels[i]} levels)"
        for i, column in zip(discrete, code_columns, strict=True)
    ]
    return variable, warnings, told


def _check_finite(frame: Frame) -> None:
    start = 0
    for block in frame.blocks:
        if block.kind == "numbers":
            wrong = np.isinf(block.values)
            if count := int(wrong.sum()):
                row, column = divmod(int(wrong.argmax()), wrong.shape[1])
                raise DataError(
                    f"{frame.name} has infinite values, {count:,} in all, the first in "
                    f"{frame.place(row, start + column)}; remove these rows"
                )
        start += len(block.names)


def _group_codes(frame: Frame | None) -> Tensor | None:
    if frame is None:
        return None
    found: Typed = typed(frame, "groups", "discrete", "")
    return Variable.of("groups", codes=torch.from_numpy(np.column_stack(found.codes))).joint_code()
