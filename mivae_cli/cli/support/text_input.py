"""Text files that commands read, and notes about their rows."""

__all__ = [
    "check_reading",
    "chosen_sentences",
    "named",
    "note_rows",
    "note_truncated",
    "opened_sentences",
    "opened_text",
    "sentences_or_file",
]

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from ...api.run import Run
from ...data.file_formats import text_file
from ...data.records import RowCounts, TextRecords
from ...errors import ConfigError, DataError
from .console import counted, note
from .text_options import Reading

TEST_SENTENCES = 10  # of the test split, by default


def check_reading(reading: Reading) -> None:
    """Raises ConfigError if there are options for reading text, but no text file."""
    if given := [key for key, value in reading.items() if value is not None]:
        raise ConfigError(f"{given[0]} applies to text files only, and no file is given")


def sentences_or_file(texts: list[str], data: Path | None) -> tuple[list[str], Path | None]:
    """Returns the sentences and the file of a command; the sentence `-` is standard input.

    Raises:
        ConfigError: There are sentences and a file.
    """
    if texts == ["-"]:
        texts, data = [], data or Path("-")
    if texts and data is not None:
        raise ConfigError("sentences and --data exclude each other: remove one of them")
    return texts, data


def chosen_sentences(
    run: Run, texts: list[str], data: Path | None, reading: Reading, limit: int | None
) -> list[str]:
    """Returns the given sentences, at most `limit` of a file, or the first of the test split.

    Raises:
        DataError: The file contains no sentences, or cannot be read.
    """
    if data is None:
        check_reading(reading)
        return texts or list(islice(run.sentences("test"), limit or TEST_SENTENCES))
    with opened_text(run, data, reading) as file:
        texts = [record.text for record in islice(file, limit)]
    note_rows(data, file.counts)
    if not texts:
        raise DataError(f"{named(data, quoted=True)} contains no sentences")
    note_truncated(data, run.encode(texts).truncated, run.config.data.max_tokens)
    return texts


@contextmanager
def opened_text(run: Run, source: str | Path, reading: Reading) -> Iterator[TextRecords]:
    """Opens a text file, or standard input for `-`, to be read as a run reads text."""
    settings = run.read_file(source, reading).config  # before standard input is read
    with text_file(source) as path:
        yield TextRecords(path, settings)


@contextmanager
def opened_sentences(
    run: Run, data: Path | None, reading: Reading
) -> Iterator[TextRecords | None]:
    """Opens the text of the --data option, and notes the rows read at the end; None without it."""
    if data is None:
        check_reading(reading)
        yield None
        return
    with opened_text(run, data, reading) as records:
        yield records
        note_rows(data, records.counts)


def named(source: str | Path, quoted: bool = False) -> str:
    """Returns the name of a text in messages; file names may be quoted."""
    name = f"'{source}'" if quoted else str(source)
    return "standard input" if str(source) == "-" else name


def note_rows(source: str | Path, counts: RowCounts) -> None:
    """Prints the number of rows read and skipped."""
    remarks = [counted(counts.rows, "row")]
    if counts.empty:
        remarks.append(f"{counts.empty:,} skipped because their text is empty")
    if counts.malformed:
        remarks.append(f"{counts.malformed:,} skipped because they are malformed or lack a text")
    if counts.spanning:
        remarks.append(f"{counts.spanning:,} with a quoted cell of several lines")
    if counts.quoted:
        remarks.append(
            f"{counts.quoted:,} whose text keeps the quotes around it (to remove them, add "
            "--quoting minimal; if they belong to the text, --quoting none)"
        )
    note(f"{named(source)}: {', '.join(remarks)}")


def note_truncated(source: str | Path, count: int, longest: int) -> None:
    """Prints the number of sentences of which only the first tokens were read."""
    if count:
        note(f"{named(source)}: {count:,} cut to {longest} tokens")
