"""Detect the format of a text file by its name; spool standard input to a file."""

__all__ = ["EXTENSIONS", "UNREADABLE", "check_file", "check_settings", "format_of", "text_file"]

import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..choices import TextFormat
from ..errors import ConfigError, DataError
from .lines import PICKLES, pickle_error

FORMATS: dict[str, TextFormat] = {
    ".txt": "text",
    ".text": "text",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
}
EXTENSIONS = tuple(FORMATS)
STDIN_BLOCK = 2**20  # bytes read at a time
PACKED = (".zip", ".bz2", ".xz", ".zst", ".7z", ".rar", ".tar", ".tgz", ".lz4")
DOCUMENTS = (".pdf", ".doc", ".docx", ".odt", ".rtf", ".epub", ".html", ".htm")
TABLES = (".parquet", ".arrow", ".feather", ".xls", ".xlsx", ".ods", ".db", ".sqlite")
UNREADABLE = (*PACKED, *DOCUMENTS, *TABLES)


def format_of(path: Path, chosen: TextFormat = "auto") -> TextFormat:
    """Returns the format of a file: as chosen, or by its extension.

    Raises:
        DataError: The extension is not that of a text format.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    suffix = suffixes[-1] if suffixes else ""
    if suffix in PICKLES:
        raise pickle_error(path)
    if chosen != "auto":
        return chosen
    if suffix in ("", "."):  # such as 'corpus' and 'corpus.'
        return "text"
    if suffix in FORMATS:
        return FORMATS[suffix]
    if suffix in PACKED:
        advice = "unpack it first (mivae unpacks only .gz)"
    elif suffix in DOCUMENTS:
        advice = "save its text as .txt first, one sentence per line"
    elif suffix in TABLES:
        advice = "save it as .csv or .jsonl first"
    else:
        advice = "if it holds text, add --format text, json, csv or tsv (setting data.format)"
    raise DataError(
        f"cannot read '{path}' as text: unknown extension '{suffix[:40]}'; {advice}. Supported: "
        f"{', '.join(EXTENSIONS)}, each with or without .gz, and no extension"
    )


def check_settings(given: Collection[str], forms: Collection[TextFormat], name: str) -> None:
    """Raises ConfigError if a given data setting applies to no file of these formats."""
    for keys, needed, kind in (
        (("column", "delimiter", "quoting", "header"), {"csv", "tsv"}, "tables"),
        (("field",), {"json"}, "JSON"),
    ):
        chosen = [key for key in keys if key in given]
        if chosen and not needed & set(forms):
            raise ConfigError(
                f"data.{chosen[0]} applies to {kind} only, but '{name}' is read as "
                f"{', '.join(sorted(forms))}; remove the setting, or choose a --format"
            )


def check_file(path: Path) -> None:
    """Raises DataError unless a path is a regular file, which can be read more than once."""
    if path.is_file():
        return
    if str(path) == "-":
        raise DataError(
            "only the training text can be read from standard input (mivae train -); save the "
            "other texts to files"
        )
    if path.is_dir():
        raise DataError(f"'{path}' is a folder; name a text file")
    if path.exists():
        raise DataError(
            f"'{path}' is a pipe or a device, which cannot be read twice; save the text to a file, "
            "or use standard input (mivae train -)"
        )
    raise DataError(f"file not found: '{path}'")


@contextmanager
def text_file(name: str | Path) -> Iterator[Path]:
    """Context manager that returns the path of a file; `-` is a temporary copy of standard input.

    A DataError about this copy is raised again with the name "standard input" for the file.

    Raises:
        DataError: Standard input is closed or cannot be read.
    """
    if str(name) != "-":
        yield Path(name)
        return
    if sys.stdin is None:
        raise DataError("cannot read standard input: it is closed")
    with tempfile.TemporaryDirectory(prefix="mivae-") as folder:
        path = Path(folder) / "stdin"
        with path.open("wb") as file:
            for block in _stdin_blocks():
                file.write(block)
        try:
            yield path
        except DataError as error:
            raise DataError(str(error).replace(f"'{path}'", "standard input")) from error


def _stdin_blocks() -> Iterator[bytes]:
    try:
        while block := sys.stdin.buffer.read(STDIN_BLOCK):
            yield block
    except OSError as error:
        raise DataError(f"cannot read standard input: {error.strerror or error}") from error
