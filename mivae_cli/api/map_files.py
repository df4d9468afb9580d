"""Parquet files of maps: text, label columns, x, y, rate and vector, one row per sentence.

pandas reads them as they are. embedding-atlas takes the columns by name:
`embedding-atlas codes.parquet --text text --x x --y y`.
"""

__all__ = ["write_map"]

from pathlib import Path

from ..explorer.sentences import Label
from ..generation.latent_files import free_name, pyarrow_modules
from ..storage.files import atomic_file
from .exploration import MappedSentences

OWN = ("text", "x", "y", "rate", "vector")


def write_map(path: Path, mapped: MappedSentences) -> None:
    """Writes a map to a file, which is replaced if it exists.

    A label whose name is taken becomes `NAME_2`.

    Raises:
        ConfigError: pyarrow is missing, or the file cannot be written.
    """
    pyarrow, parquet = pyarrow_modules(path)
    taken = set(OWN)
    columns = {"text": pyarrow.array(list(mapped.sentences.texts), pyarrow.string())}
    for label in mapped.sentences.labels:
        columns[free_name(label.name, taken)] = pyarrow.array(_values(label))
    columns |= {
        "x": pyarrow.array(mapped.places[:, 0]),
        "y": pyarrow.array(mapped.places[:, 1]),
        "rate": pyarrow.array(mapped.rates),
    }
    size = mapped.vectors.shape[1]
    flat = pyarrow.array(mapped.vectors.ravel())
    vectors = pyarrow.FixedSizeListArray.from_arrays(flat, size)
    columns["vector"] = vectors.cast(pyarrow.list_(pyarrow.float32()))
    with atomic_file(path) as draft, draft.open("wb") as file:
        parquet.write_table(pyarrow.table(columns), file)


def _values(label: Label) -> list[str | float | None]:
    """Returns numbers, or texts if a value is a text: a column has one type."""
    if any(isinstance(value, str) for value in label.values):
        return [None if value is None else str(value) for value in label.values]
    return list(label.values)
