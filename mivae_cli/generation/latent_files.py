"""Files of posteriors, one row per sentence.

`.npz` and `.safetensors` hold the arrays row, line, mean, and scale or concentration. `.csv` and
`.parquet` hold a table: row, line, the columns of the text file, then one column per unit. `.npy`
holds the means only, so no row of the text may have been skipped.

Shapes: N sentences, Z latent units.
"""

__all__ = [
    "VECTOR_FORMATS",
    "TextRows",
    "check_aligned",
    "check_output_path",
    "free_name",
    "pyarrow_modules",
    "write_vectors",
]

import csv
import importlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import save_file

from ..data.records import Record, RowCounts
from ..errors import ConfigError
from ..models.latent import Posterior
from ..storage.files import atomic_file
from ..storage.sealed_json import check_output

TABLES = (".csv", ".parquet")
VECTOR_FORMATS = (".npz", ".safetensors", ".npy", *TABLES)
MAX_EXACT = 2**53  # the largest integer up to which floats are exact
Column = Sequence[object] | NDArray[Any]


class TextRows(NamedTuple):
    """The positions of N sentences in their file."""

    row: NDArray[np.int64]  # (N,)
    line: NDArray[np.int64]  # (N,)
    columns: dict[str, list[object]]
    """The columns or fields of these rows, or the text itself; N values each."""

    @classmethod
    def of(cls, records: Sequence[Record], header: Sequence[str] = ()) -> "TextRows":
        """Returns the positions of records; the header is that of a table."""
        return cls(
            np.array([record.row for record in records], np.int64),
            np.array([record.line for record in records], np.int64),
            _columns(records, header),
        )


def check_output_path(path: Path, sources: Sequence[Path] = ()) -> None:
    """Raises ConfigError if vectors cannot be written to a file, or it is one of the sources."""
    if path.suffix not in VECTOR_FORMATS:
        raise ConfigError(
            f"cannot write '{path}': the extension must be {', '.join(VECTOR_FORMATS)}"
        )
    if path.suffix == ".parquet":
        pyarrow_modules(path)
    check_output(path, sources)


def check_aligned(path: Path, counts: RowCounts) -> None:
    """Raises ConfigError if rows were skipped and the format has no row numbers."""
    if path.suffix == ".npy" and (skipped := counts.rows - counts.sentences):
        raise ConfigError(
            f"cannot write '{path}': {skipped:,} of {counts.rows:,} rows were skipped, and .npy has "
            "no row numbers; use .npz, .safetensors, .csv or .parquet"
        )


def write_vectors(path: Path, posterior: Posterior, rows: TextRows | None = None) -> None:
    """Writes posteriors: means, and scales or concentrations (`.npy`: means only).

    Without positions of the sentences in their file, it has no row numbers.

    Raises:
        ConfigError: The file cannot be written.
    """
    arrays = {name: tensor.numpy() for name, tensor in posterior.cpu().arrays().items()}
    numbers = {} if rows is None else {"row": rows.row, "line": rows.line}
    if path.suffix in TABLES:
        table = _table(arrays, numbers, {} if rows is None else rows.columns)
    try:
        with atomic_file(path) as draft:
            match path.suffix:
                case ".npz":
                    np.savez(draft, **numbers, **arrays)  # type: ignore[arg-type]  # no array is called like a parameter
                case ".npy":
                    np.save(draft, arrays["mean"])
                case ".csv":
                    _write_csv(draft, table)
                case ".parquet":
                    _write_parquet(draft, table)
                case _:
                    whole_arrays = {
                        name: np.asarray(array, order="C")
                        for name, array in (numbers | arrays).items()
                    }
                    save_file(whole_arrays, str(draft))
    except SafetensorError as error:  # wraps errors of the operating system
        raise ConfigError(f"cannot write '{path}': {error}") from error


def _table(
    arrays: dict[str, NDArray[Any]], numbers: dict[str, NDArray[Any]], carried: dict[str, Any]
) -> dict[str, Column]:
    """Returns the columns of a table; a number is added to names that are already in use."""
    vectors: dict[str, Column] = {}
    for name, array in arrays.items():
        if array.ndim == 2:
            vectors |= {f"{name}_{unit}": column for unit, column in enumerate(array.T, start=1)}
        else:  # one number, or one per sentence
            vectors[name] = np.broadcast_to(array, len(arrays["mean"]))
    table: dict[str, Column] = dict(numbers)
    taken = {*numbers, *vectors}
    for name, values in carried.items():
        table[free_name(_text(name), taken)] = values
    return table | vectors


def _columns(records: Sequence[Record], header: Sequence[str]) -> dict[str, list[object]]:
    """Returns the values of records by column or field name."""
    if header:
        taken: set[str] = set()
        names = [
            free_name(name or f"column_{place}", taken) for place, name in enumerate(header, 1)
        ]
        cells = zip(*(record.source for record in records), strict=True)
        return {name: list(column) for name, column in zip(names, cells, strict=True)}
    columns: dict[str, list[object]] = {}
    for place, record in enumerate(records):
        fields = record.source if isinstance(record.source, dict) else {"text": record.text}
        for name, value in fields.items():
            if name not in columns:
                columns[name] = [None] * len(records)
            columns[name][place] = value
    return columns


def free_name(name: str, taken: set[str]) -> str:
    """Returns a name that is not in use yet, and adds it to the names in use."""
    found, number = name, 2
    while found in taken:
        found, number = f"{name}_{number}", number + 1
    taken.add(found)
    return found


def _write_csv(path: Path, table: dict[str, Column]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(table)
        writer.writerows(zip(*map(_cells, table.values()), strict=True))


def _cells(column: Column) -> Iterable[str]:
    if isinstance(column, np.ndarray):
        # nine digits identify every float32 number
        form: Callable[[Any], str] = str if column.dtype.kind == "i" else "{:.9g}".format
        return map(form, column.tolist())
    return map(_text, column)


def _text(value: object) -> str:
    """Returns a JSON value as the text of a cell; null is empty."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode()  # a lone surrogate has no UTF-8 form


def _write_parquet(path: Path, table: dict[str, Column]) -> None:
    pyarrow, parquet = pyarrow_modules(path)
    columns = {
        name: pyarrow.array(column if isinstance(column, np.ndarray) else _of_one_type(column))
        for name, column in table.items()
    }
    with path.open("wb") as file:  # pyarrow rejects paths that are not UTF-8
        parquet.write_table(pyarrow.table(columns), file)


def _of_one_type(column: Sequence[object]) -> Sequence[object]:
    """Returns values of one type, as Arrow requires: numbers, booleans, or else text."""
    types = {type(value) for value in column if value is not None}
    if types == {bool}:
        return column
    if types and types <= {int, float}:
        numbers = [value for value in column if isinstance(value, int)]
        most = MAX_EXACT if float in types else 2**63 - 1
        if all(abs(number) <= most for number in numbers):
            return column if types == {int} else [_float(value) for value in column]
    return [None if value is None else _text(value) for value in column]


def _float(value: Any) -> float | None:  # noqa: ANN401  # a number or None
    return None if value is None else float(value)


def pyarrow_modules(path: Path) -> tuple[Any, Any]:
    """Returns pyarrow and its module for Parquet files; raises ConfigError if they are missing."""
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise ConfigError(
            f"'{path}' needs pyarrow; install it with: pip install 'mivae[parquet]'"
        ) from error
