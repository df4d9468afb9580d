"""Paired samples (x_i, z_i): read from files, and checked before anything is measured.

Shapes: N pairs; x has shape (N, x_dim) and z has shape (N, z_dim). Rows and columns are counted
from 1 in every message.
"""

__all__ = ["Pairs", "check_pairs", "read_pairs"]

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...data.lines import PICKLES
from ...errors import ConfigError, DataError, listing
from .arrays import matrix, read_npy, read_two
from .number_tables import read_parquet, read_table

FEWEST = 50  # pairs below which no estimator says anything
TIED = 0.1  # share of rows that repeat an earlier value of their column
REPEATED = 0.01  # share of rows that repeat an earlier pair
FORMS = ".npz, .safetensors, .csv, .tsv, .parquet or two .npy files"


@dataclass(frozen=True, eq=False)
class Pairs:
    """Samples drawn jointly, row by row, in double precision."""

    x: NDArray[np.float64]  # (N, x_dim)
    z: NDArray[np.float64]  # (N, z_dim)

    def __len__(self) -> int:
        return len(self.x)


def read_pairs(
    paths: Sequence[Path],
    x: str | None = None,
    z: str | None = None,
    x_columns: Sequence[str] = (),
    z_columns: Sequence[str] = (),
) -> Pairs:
    """Returns the pairs of a file, or of two `.npy` files: first x, then z.

    What is read are numbers in rows, as many of x as of z; `check_pairs` says whether they can
    be measured. No pickle is ever loaded.

    Arguments:
        paths: One `.npz`, `.safetensors`, `.csv`, `.tsv` (`.gz` may follow) or `.parquet` file,
            or two `.npy` files.
        x: The name of x in a file of arrays; `x` if it is not given.
        z: The name of z in a file of arrays; `z` if it is not given.
        x_columns: Columns of x in a table: names, numbers counted from 1, and ranges of these
            such as `1-20`, singly or with commas between them. Without any, the columns named
            x, or x and a number.
        z_columns: The same for z.

    Raises:
        DataError: A file is missing, damaged, of another form, or holds no rows of numbers.
        ConfigError: There is no such array or column, or pyarrow is not installed.
    """
    for path in paths:
        _check_readable(path)
    forms = [_form(path) for path in paths]
    if forms != [".npy", ".npy"] and (len(paths) != 1 or forms == [".npy"]):
        given = listing(f"'{path}'" for path in paths) or "no file"
        raise ConfigError(
            f"cannot take pairs from {given}: give one file that holds both x and z, or two "
            ".npy files, first x, then z"
        )
    if (x or z) and forms[0] not in {".npz", ".safetensors"}:
        raise ConfigError(
            f"--x and --z name arrays in .npz and .safetensors files, and '{paths[0]}' is none"
        )
    if (x_columns or z_columns) and forms[0] not in {".csv", ".tsv", ".parquet"}:
        raise ConfigError(
            f"--x-columns and --z-columns choose columns of tables, and '{paths[0]}' is none"
        )
    names = [f"x of '{paths[0]}'", f"z of '{paths[-1]}'"]
    match forms[0]:
        case ".npy":
            found = read_npy(paths[0]), read_npy(paths[1])
        case ".npz" | ".safetensors":
            found = read_two(paths[0], x, z)
            names = [f"'{name}' in '{paths[0]}'" for name in (x or "x", z or "z")]
        case ".parquet":
            found = read_parquet(paths[0], x_columns, z_columns)
        case _:
            found = read_table(paths[0], x_columns, z_columns)
    return _paired(*found, *names)


def check_pairs(
    x: object, z: object, names: tuple[str, str] = ("x", "z")
) -> tuple[Pairs, list[str]]:
    """Returns what can be measured, and warnings about what makes the measure doubtful.

    Constant columns are left out: they carry no information.

    Arguments:
        x: An array, a tensor or nested lists, with shape (N,) or (N, x_dim).
        z: The same, with shape (N,) or (N, z_dim).
        names: What messages call them.

    Returns:
        The pairs, and one sentence for each kind of constant or tied columns, for repeated
        pairs, and for too many dimensions.

    Raises:
        DataError: These are not rows of finite numbers, they differ in number, they are fewer
            than 50, or nothing in them varies.
    """
    pairs = _paired(x, z, *names)
    if len(pairs) < FEWEST:
        raise DataError(f"{len(pairs)} pairs are too few to measure: {FEWEST} are needed at least")
    for values, name in zip((pairs.x, pairs.z), names, strict=True):
        _check_finite(values, name)
    sides = [_survey(values, name) for values, name in zip((pairs.x, pairs.z), names, strict=True)]
    varying = Pairs(*(side.varying for side in sides))
    warnings = [warning for side in sides for warning in side.warnings]
    # no more pairs repeat than values of any one column: most data need no second look
    if min(side.least_tied for side in sides) > REPEATED:
        repeated = 1 - _distinct_rows(varying) / len(varying)
        if repeated > REPEATED:
            warnings.append(
                f"{repeated:.0%} of the pairs repeat another exactly: k-nn distances tie, and a "
                "split may put the same pair in training and test"
            )
    dimensions = varying.x.shape[1] + varying.z.shape[1]
    if dimensions >= len(varying) / 2:
        warnings.append(
            f"{names[0]} and {names[1]} have {dimensions:,} dimensions for {len(varying):,} "
            "pairs: Gaussian estimates are unreliable"
        )
    return varying, warnings


class _Side(NamedTuple):
    """What there is to know about the columns of x, or of z."""

    varying: NDArray[np.float64]
    warnings: list[str]
    least_tied: float  # the smallest share of rows that repeat a value, over columns


def _survey(values: NDArray[np.float64], name: str) -> _Side:
    """Looks at columns one by one."""
    rows = len(values)
    distinct = np.array([_distinct(column) for column in values.T])
    varies = distinct > 1
    if not varies.any():
        raise DataError(f"every column of {name} is constant: nothing to measure")
    tied = varies & (1 - distinct / rows > TIED)
    warnings = []
    if not varies.all():
        which, several = _columns(~varies)
        verb, whose = ("are", "they carry") if several else ("is", "it carries")
        warnings.append(f"{name} {which} {verb} constant and left out: {whose} no information")
    if tied.any():
        which, several = _columns(tied)
        count = f"{'have at most' if several else 'has'} {distinct[tied].max():,}"
        warnings.append(
            f"{name} {which} {count} distinct values in {rows:,} rows: treated as numbers; k-nn "
            "and rank-based estimates assume continuous values"
        )
    kept = values if varies.all() else values[:, varies]
    return _Side(kept, warnings, least_tied=float(1 - distinct.max() / rows))


def _columns(chosen: NDArray[np.bool_]) -> tuple[str, bool]:
    """Returns 'column 3' or 'columns 1, 2, 3 and 5 more', and whether there are several."""
    numbers = [int(index) + 1 for index in np.flatnonzero(chosen)]
    if len(numbers) == 1:
        return f"column {numbers[0]}", False
    rest = f" and {len(numbers) - 3:,} more" if len(numbers) > 3 else ""
    return f"columns {', '.join(map(str, numbers[:3]))}{rest}", True


def _distinct(column: NDArray[np.float64]) -> int:
    ordered = np.sort(column)
    return 1 + int((ordered[1:] != ordered[:-1]).sum())


def _distinct_rows(pairs: Pairs) -> int:
    rows = np.concatenate([pairs.x, pairs.z], axis=1)
    rows = np.ascontiguousarray(rows + 0.0)  # -0 becomes 0: bytes are compared
    whole = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1])))
    return len(np.unique(whole))


def _paired(x: object, z: object, x_name: str, z_name: str) -> Pairs:
    pairs = Pairs(matrix(x, x_name), matrix(z, z_name))
    if len(pairs.x) != len(pairs.z):
        raise DataError(
            f"{x_name} has {len(pairs.x):,} rows and {z_name} has {len(pairs.z):,}: each pair "
            "takes one of both"
        )
    return pairs


def _check_finite(values: NDArray[np.float64], name: str) -> None:
    wrong = ~np.isfinite(values)
    if count := int(wrong.sum()):
        row, column = divmod(int(wrong.argmax()), wrong.shape[1])
        raise DataError(
            f"{name} holds {count:,} values that are NaN or infinite, the first in row "
            f"{row + 1:,}, column {column + 1}: remove these pairs first"
        )


def _form(path: Path) -> str:
    """Returns the extension that says how a file is read, without a `.gz` around a table."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"] and suffixes[-2:-1] in ([".csv"], [".tsv"]):
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _check_readable(path: Path) -> None:
    form = _form(path)
    if form in PICKLES:
        raise DataError(
            f"'{path}' is a pickle; mivae never reads pickles: save the arrays with numpy.savez "
            "or safetensors"
        )
    if form not in {".npz", ".npy", ".safetensors", ".csv", ".tsv", ".parquet"}:
        raise DataError(f"'{path}' is of no form that pairs are read from: give {FORMS}")
    if not path.is_file():
        raise DataError(f"there is no file '{path}'")
