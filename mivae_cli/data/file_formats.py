"""What a text file is, by its name; standard input is kept in a file first."""

__all__ = [
    "EXTENSIONS",
    "UNREADABLE",
    "check_file",
    "check_settings",
    "format_of",
    "spooled_stdin",
    "text_file",
]

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
    """Returns how a file is to be read: as chosen, or else by the extension of its name.

    Raises:
        DataError: The extension is not one of text.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    suffix = suffixes[-1] if suffixes else ""
    if suffix in PICKLES:
        raise pickle_error(path)
    if chosen != "auto":
        return chosen
    if suffix in ("", "."):  # such as 'corpus', or a name that ends in a full stop
        return "text"
    if suffix in FORMATS:
        return FORMATS[suffix]
    if suffix in PACKED:
        advice = "unpack it first (only .gz is unpacked by mivae)"
    elif suffix in DOCUMENTS:
        advice = "save its text as .txt first, one sentence a line"
    elif suffix in TABLES:
        advice = "save it as .csv or .jsonl first"
    else:
        advice = "if it holds text, add --format text (or json, csv, tsv)"
    raise DataError(
        f"cannot read '{path}' as text: the extension '{suffix[:40]}' is not one of "
        f"{', '.join(EXTENSIONS)}, each also with .gz, or none; {advice}"
    )


def check_settings(given: Collection[str], forms: Collection[TextFormat], name: str) -> None:
    """Raises ConfigError where a setting would be ignored without a word.

    Arguments:
        given: The data settings that are chosen.
        forms: How the files are read.
        name: One of them, for the error.
    """
    for keys, needed, kind in (
        (("column", "delimiter", "quoting", "header"), {"csv", "tsv"}, "tables"),
        (("field",), {"json"}, "JSON"),
    ):
        chosen = [key for key in keys if key in given]
        if chosen and not needed & set(forms):
            raise ConfigError(
                f"'{name}' is read as {', '.join(sorted(forms))}, but data.{chosen[0]} is a setting "
                f"for {kind}: leave it out, or say how the file is to be read with --format"
            )


def check_file(path: Path) -> None:
    """Raises DataError unless a corpus can be read from a path: it is read more than once."""
    if path.is_file():
        return
    if str(path) == "-":
        raise DataError(
            "only the training text can come from standard input (mivae train -): save the other "
            "texts to files"
        )
    if path.is_dir():
        raise DataError(f"'{path}' is a folder: name a file of text")
    if path.exists():
        raise DataError(
            f"'{path}' is a pipe or a device, which cannot be read twice: save the text to a file, "
            "or send it to standard input (mivae train -)"
        )
    raise DataError(f"there is no file '{path}'")


@contextmanager
def text_file(name: str | Path) -> Iterator[Path]:
    """Gives the file of a name; of `-`, a temporary one that holds standard input.

    Raises:
        DataError: Standard input cannot be read.
    """
    if str(name) == "-":
        with spooled_stdin() as path:
            yield path
    else:
        yield Path(name)


@contextmanager
def spooled_stdin() -> Iterator[Path]:
    """Keeps standard input in a temporary file, because a corpus is read more than once.

    Raises:
        DataError: Standard input is closed; or of what is raised inside, with the temporary
            file called standard input.
    """
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
    while True:
        try:
            block = sys.stdin.buffer.read(STDIN_BLOCK)
        except OSError as error:
            raise DataError(f"cannot read standard input: {error.strerror or error}") from error
        if not block:
            return
        yield block
