"""Text that commands read: how it is read, and what is said of rows that gave no sentence."""

__all__ = ["note_rows", "reading_options", "text_settings"]

from collections.abc import Mapping
from pathlib import Path

from ..config import DataConfig, RunConfig
from ..data.records import RowCounts
from ..resolve import read_config
from .console import note


def reading_options(**given: object) -> dict[str, object]:
    """Returns options of the command line by the key of their setting; None is one not given."""
    return {f"data.{name}": value for name, value in given.items()}


def text_settings(config: RunConfig, options: Mapping[str, object]) -> DataConfig:
    """Returns how text is read: as a run's own was, but for what the command line says.

    Raises:
        ConfigError: An option has a value that it cannot have.
    """
    return read_config(options=options, base=config).data


def note_rows(source: str | Path, counts: RowCounts) -> None:
    """Says how many rows were read from a file, and how many of them were skipped."""
    name = "standard input" if str(source) == "-" else str(source)
    remarks = [f"{counts.rows:,} rows" if counts.rows != 1 else "1 row"]
    if counts.empty:
        remarks.append(f"{counts.empty:,} skipped because their text is empty")
    if counts.malformed:
        remarks.append(f"{counts.malformed:,} skipped because they are malformed")
    if counts.spanning:
        remarks.append(f"{counts.spanning:,} of several lines")
    note(f"{name}: {', '.join(remarks)}")
