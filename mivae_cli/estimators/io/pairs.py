"""Read paired samples (x_i, z_i), and further variables of the same rows, from files.

Messages count rows and columns from 1.
"""

__all__ = ["Pairs", "check_lengths", "read_pairs"]

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...choices import Discrete
from ...data.lines import PICKLES
from ...errors import ConfigError, DataError, listing
from .arrays import read_arrays, read_npy
from .arrow import read_parquet
from .column_choice import Choice
from .data_frames import frame_of
from .frames import Frame
from .tables import read_table

FORMATS = (".npz", ".safetensors", ".csv", ".tsv", ".parquet", ".npy")
TABLES = {".csv", ".tsv", ".parquet"}


@dataclass(frozen=True, eq=False)
class Pairs:
    """Samples drawn jointly, one pair per row, as they are in a file.

    Attributes:
        x: The columns of x.
        z: The columns of z.
        given: The columns of the variable on which x and z are conditioned.
        groups: The column that tells groups of rows apart.
    """

    x: Frame
    z: Frame
    given: Frame | None = None
    groups: Frame | None = None

    def __len__(self) -> int:
        return len(self.x)


def read_pairs(
    paths: Sequence[Path],
    x: str | None = None,
    z: str | None = None,
    x_columns: Sequence[str] = (),
    z_columns: Sequence[str] = (),
    given_columns: Sequence[str] = (),
    groups_column: str | None = None,
    *,
    header: bool | None = None,
    delimiter: str | None = None,
    discrete: Discrete = "auto",
) -> Pairs:
    """Returns the pairs in a file, or in two `.npy` files: first x, then z.

    Checks that all variables have the same number of rows; `check_variables` checks the rest.
    Never loads pickles.

    Arguments:
        paths: One `.npz`, `.safetensors`, `.csv`, `.tsv` (`.gz` may follow) or `.parquet` file,
            or two `.npy` files.
        x: The name of x in a file of arrays; default "x".
        z: The name of z in a file of arrays; default "z".
        x_columns: Columns of x in a table; see `Choice`.
        z_columns: Columns of z, likewise.
        given_columns: Columns of a table, or names of arrays, on which x and z are conditioned.
        groups_column: The column of a table, or the name of an array, that tells groups apart.
        header: Whether the first row of a `.csv` or `.tsv` file contains the names of the
            columns; None to detect it.
        delimiter: The character between the cells of such a file, or "tab"; None to detect it.
        discrete: The variables that contain labels, of which some may be numbers.

    Raises:
        DataError: A file is missing, damaged, of another format, or has columns that are neither
            numbers nor labels.
        ConfigError: The array or column does not exist, or pyarrow is not installed.
    """
    for path in paths:
        _check_readable(path)
    formats = [_format(path) for path in paths]
    if formats != [".npy", ".npy"] and (len(paths) != 1 or formats == [".npy"]):
        named = listing(f"'{path}'" for path in paths) or "no file"
        raise ConfigError(
            f"cannot read pairs from {named}; provide one file with both x and z, or two .npy "
            "files, first x, then z"
        )
    if (x or z) and formats[0] not in {".npz", ".safetensors"}:
        raise ConfigError(f"--x and --z apply to .npz and .safetensors files, not to '{paths[0]}'")
    if (x_columns or z_columns) and formats[0] not in TABLES:
        raise ConfigError(
            "--x-columns and --z-columns apply to .csv, .tsv and .parquet files, not to "
            f"'{paths[0]}'"
        )
    if header is not None and formats[0] not in {".csv", ".tsv"}:
        raise ConfigError(f"--header and --no-header apply to .csv and .tsv, not to '{paths[0]}'")
    if delimiter is not None and formats[0] not in {".csv", ".tsv"}:
        raise ConfigError(f"--delimiter applies to .csv and .tsv, not to '{paths[0]}'")
    items = (item.strip() for group in given_columns for item in group.split(","))
    others = [item for item in items if item]
    if given_columns and not others:
        raise ConfigError(f"--given chooses no column of '{paths[0]}'")
    groups = [groups_column] if groups_column else []
    if (others or groups) and formats[0] == ".npy":
        raise ConfigError(f"--given and --groups need one file with names, not '{paths[0]}'")
    labels = {"groups"} | {side for side in "xz" if discrete in (side, "both")}
    choice = Choice(x_columns, z_columns, given_columns, groups, frozenset(labels))
    match formats[0]:
        case ".npy":
            found = _paired(
                frame_of(read_npy(paths[0]), f"x of '{paths[0]}'", "x" in labels),
                frame_of(read_npy(paths[1]), f"z of '{paths[1]}'", "z" in labels),
            )
        case ".npz" | ".safetensors":
            names = [x or "x", z or "z", *others, *groups]
            _check_used_once(paths[0], others, [x or "x", z or "z"])
            titles = [f"'{name}' in '{paths[0]}'" for name in names]
            arrays = read_arrays(paths[0], x, z, names[2:])
            roles = ["x", "z", *("given" for _ in others), *("groups" for _ in groups)]
            first, second, *more = (
                frame_of(array, title, role in labels)
                for array, title, role in zip(arrays, titles, roles, strict=True)
            )
            given = _joined(more[: len(others)], others, f"given of '{paths[0]}'")
            found = _paired(first, second, given, more[-1] if groups else None)
        case ".parquet":
            found = Pairs(**read_parquet(paths[0], choice))
        case _:
            found = Pairs(**read_table(paths[0], choice, header, delimiter))
    return found


def _paired(x: Frame, z: Frame, given: Frame | None = None, groups: Frame | None = None) -> Pairs:
    check_lengths(x, z, given, groups)
    return Pairs(x, z, given, groups)


def check_lengths(first: Frame, *others: Frame | None) -> None:
    """Raises DataError unless all frames have the same number of rows."""
    for other in others:
        if other is not None and len(other) != len(first):
            raise DataError(
                f"{first.name} has {len(first):,} rows, but {other.name} has {len(other):,}; "
                "provide one row of each for every pair"
            )


def _check_used_once(path: Path, given: Sequence[str], others: Sequence[str]) -> None:
    """Raises ConfigError if an array is given twice, or is x or z as well."""
    for name in given:
        if given.count(name) > 1 or name in others:
            raise ConfigError(
                f"array '{name}' of '{path}' is chosen twice; use each array once, for x, for z or "
                "for --given"
            )


def _joined(frames: Sequence[Frame], names: Sequence[str], title: str) -> Frame | None:
    """Returns the columns of several arrays in one frame, named after them; None without any."""
    if not frames:
        return None
    check_lengths(*frames)
    blocks = [
        replace(block, names=_numbered(name, block.names, len(frame.names)))
        for frame, name in zip(frames, names, strict=True)
        for block in frame.blocks
    ]
    notes = tuple(note for frame in frames for note in frame.notes)
    return Frame(tuple(blocks), title, True, notes=notes)


def _numbered(array: str, columns: Sequence[str], width: int) -> tuple[str, ...]:
    """Returns the names of columns of an array: `w`, or `w1`, `w2`, ... if it has several."""
    return tuple(array if width == 1 else f"{array}{column}" for column in columns)


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
