"""Read and check paired samples (x_i, z_i).

Shapes: N pairs; x has shape (N, x_dim) and z has shape (N, z_dim). Messages count rows and columns
from 1.
"""

__all__ = ["Pairs", "check_pairs", "checked_tensors", "read_pairs"]

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ...data.lines import PICKLES
from ...errors import ConfigError, DataError, listing
from .arrays import matrix, read_npy, read_two
from .number_tables import read_parquet, read_table

MIN_PAIRS = 50
MAX_MAGNITUDE = 1e30  # of a column, below the largest number in single precision
MAX_TIED = 0.1  # share of rows that repeat an earlier value of their column
MAX_REPEATED = 0.01  # share of rows that repeat an earlier pair
FORMATS = (".npz", ".safetensors", ".csv", ".tsv", ".parquet", ".npy")


@dataclass(frozen=True, eq=False)
class Pairs:
    """Samples drawn jointly, one pair per row, in double precision."""

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
    """Returns the pairs in a file, or in two `.npy` files: first x, then z.

    Checks that both contain the same number of rows of numbers; `check_pairs` checks the rest.
    Never loads pickles.

    Arguments:
        paths: One `.npz`, `.safetensors`, `.csv`, `.tsv` (`.gz` may follow) or `.parquet` file,
            or two `.npy` files.
        x: The name of x in a file of arrays; default "x".
        z: The name of z in a file of arrays; default "z".
        x_columns: Columns of x in a table; see `read_table`.
        z_columns: Columns of z, likewise.

    Raises:
        DataError: A file is missing, damaged, of another format, or has no rows of numbers.
        ConfigError: The array or column does not exist, or pyarrow is not installed.
    """
    for path in paths:
        _check_readable(path)
    formats = [_format(path) for path in paths]
    if formats != [".npy", ".npy"] and (len(paths) != 1 or formats == [".npy"]):
        given = listing(f"'{path}'" for path in paths) or "no file"
        raise ConfigError(
            f"cannot read pairs from {given}; provide one file with both x and z, or two .npy "
            "files, first x, then z"
        )
    if (x or z) and formats[0] not in {".npz", ".safetensors"}:
        raise ConfigError(f"--x and --z apply to .npz and .safetensors files, not to '{paths[0]}'")
    if (x_columns or z_columns) and formats[0] not in {".csv", ".tsv", ".parquet"}:
        raise ConfigError(
            "--x-columns and --z-columns apply to .csv, .tsv and .parquet files, not to "
            f"'{paths[0]}'"
        )
    names = [f"x of '{paths[0]}'", f"z of '{paths[-1]}'"]
    match formats[0]:
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
    x: ArrayLike, z: ArrayLike, names: tuple[str, str] = ("x", "z")
) -> tuple[Pairs, list[str]]:
    """Returns the pairs without constant columns, and warnings about the samples.

    There is at most one warning each for constant columns, tied columns, repeated pairs and too
    many dimensions. `names` are those of x and z in messages.

    Raises:
        DataError: x or z are not rows of finite numbers, their lengths differ, there are fewer
            than 50 pairs, or every column is constant.
    """
    pairs = _paired(x, z, *names)
    if len(pairs) < MIN_PAIRS:
        raise DataError(f"{len(pairs)} pairs are too few; provide at least {MIN_PAIRS}")
    for values, name in zip((pairs.x, pairs.z), names, strict=True):
        _check_finite(values, name)
    scaled = _scaled(pairs.x), _scaled(pairs.z)
    sides = [_survey(values, name) for values, name in zip(scaled, names, strict=True)]
    varying = Pairs(*(side.varying for side in sides))
    warnings = [warning for side in sides for warning in side.warnings]
    # at most as many pairs repeat as values of any column, so most data skip this slow check
    if min(side.least_tied for side in sides) > MAX_REPEATED:
        repeated = 1 - _distinct_rows(varying) / len(varying)
        if repeated > MAX_REPEATED:
            warnings.append(
                f"{repeated:.0%} of the pairs are exact duplicates: nearest-neighbour distances "
                "tie, and the same pair may be in the training and test splits"
            )
    dimensions = varying.x.shape[1] + varying.z.shape[1]
    if dimensions >= len(varying) / 2:
        warnings.append(
            f"{names[0]} and {names[1]} have {dimensions:,} dimensions for {len(varying):,} "
            "pairs: Gaussian estimates are unreliable"
        )
    return varying, warnings


def checked_tensors(
    x: ArrayLike, z: ArrayLike, names: tuple[str, str] = ("x", "z")
) -> tuple[tuple[Tensor, Tensor], list[str]]:
    """Returns the pairs of `check_pairs` as tensors, and its warnings."""
    pairs, warnings = check_pairs(x, z, names)
    return (torch.from_numpy(pairs.x), torch.from_numpy(pairs.z)), warnings


def _scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns columns of very large or very small numbers times a power of two.

    Their squares would overflow or underflow. The factor does not change mutual information.
    """
    largest = np.abs(values).max(axis=0)
    extreme = (largest > MAX_MAGNITUDE) | (largest < 1 / MAX_MAGNITUDE)
    if not extreme.any():
        return values
    return np.where(extreme, np.ldexp(values, -np.frexp(largest)[1]), values)


class _Survey(NamedTuple):
    """Properties of the columns of x or of z."""

    varying: NDArray[np.float64]
    warnings: list[str]
    least_tied: float  # the smallest share of rows that repeat a value, over columns


def _survey(values: NDArray[np.float64], name: str) -> _Survey:
    """Finds constant and tied columns."""
    rows = len(values)
    distinct = np.array([_distinct(column) for column in values.T])
    varies = distinct > 1
    if not varies.any():
        raise DataError(f"every column of {name} is constant")
    tied = varies & (1 - distinct / rows > MAX_TIED)
    warnings = []
    if not varies.all():
        which, several = _columns(~varies)
        warnings.append(f"{name} {which} {'are' if several else 'is'} constant and ignored")
    if tied.any():
        which, several = _columns(tied)
        count = f"{'have at most' if several else 'has'} {distinct[tied].max():,}"
        warnings.append(
            f"{name} {which} {count} distinct values in {rows:,} rows: nearest-neighbour and "
            "rank-based estimates assume continuous values"
        )
    kept = values if varies.all() else values[:, varies]
    return _Survey(kept, warnings, least_tied=float(1 - distinct.max() / rows))


def _columns(chosen: NDArray[np.bool_]) -> tuple[str, bool]:
    """Returns 'column 3' or 'columns 1, 2, 3 and 5 more', and whether it is a plural."""
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
    rows = np.ascontiguousarray(rows + 0.0)  # -0 becomes 0, because bytes are compared
    whole = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1])))
    return len(np.unique(whole))


def _paired(x: ArrayLike, z: ArrayLike, x_name: str, z_name: str) -> Pairs:
    pairs = Pairs(matrix(x, x_name), matrix(z, z_name))
    if len(pairs.x) != len(pairs.z):
        raise DataError(
            f"{x_name} has {len(pairs.x):,} rows, but {z_name} has {len(pairs.z):,}; provide one "
            "row of each for every pair"
        )
    return pairs


def _check_finite(values: NDArray[np.float64], name: str) -> None:
    wrong = ~np.isfinite(values)
    if count := int(wrong.sum()):
        row, column = divmod(int(wrong.argmax()), wrong.shape[1])
        raise DataError(
            f"{name} contains {count:,} NaN or infinite values, the first in row {row + 1:,}, "
            f"column {column + 1}; remove these pairs"
        )


def _format(path: Path) -> str:
    """Returns the extension that determines the format, without the `.gz` of a table."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"] and suffixes[-2:-1] in ([".csv"], [".tsv"]):
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _check_readable(path: Path) -> None:
    name = _format(path)
    if name in PICKLES:
        raise DataError(
            f"'{path}' is a pickle, which mivae never reads; save the arrays with numpy.savez or "
            "safetensors"
        )
    if name not in FORMATS:
        raise DataError(f"'{path}' has an unsupported format; provide {', '.join(FORMATS)}")
    if not path.is_file():
        raise DataError(f"file not found: '{path}'")
