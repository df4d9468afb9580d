"""Text that commands read: how it is read, and what is said of rows that gave no sentence."""

__all__ = ["named", "note_cut", "note_rows", "reading_options", "text_settings"]

from collections.abc import Mapping, Sequence
from pathlib import Path

from ...config.data import DataConfig
from ...config.resolve import read_config
from ...config.run import RunConfig
from ...data.file_formats import check_settings, format_of
from ...data.records import RowCounts
from ...data.tokenizer import Tokenizer
from ...errors import ConfigError
from .console import note


def reading_options(**given: object) -> dict[str, object]:
    """Returns options of the command line by the key of their setting; None is one not given."""
    return {f"data.{name}": value for name, value in given.items()}


def text_settings(
    config: RunConfig, options: Mapping[str, object], source: str | Path | None
) -> DataConfig:
    """Returns how a file is read: as the run's own text was, but for what the options say.

    Arguments:
        config: The run's configuration.
        options: What `reading_options` returns.
        source: The file, or - for standard input; None if none is named.

    Raises:
        ConfigError: An option has a value that it cannot have, or none to say it of.
    """
    given = [key.partition(".")[2] for key, value in options.items() if value is not None]
    if source is None:
        if given:
            raise ConfigError(f"data.{given[0]} is for reading a file, and none is named")
        return config.data
    settings = read_config(options=options, base=config).data
    check_settings(given, {format_of(Path(source), settings.format)}, str(source))
    return settings


def named(source: str | Path, quoted: bool = False) -> str:
    """Returns what to call a text; a file's name may be in quotes."""
    name = f"'{source}'" if quoted else str(source)
    return "standard input" if str(source) == "-" else name


def note_rows(source: str | Path, counts: RowCounts) -> None:
    """Says how many rows were read from a file, and how many of them were skipped."""
    name = named(source)
    remarks = [f"{counts.rows:,} rows" if counts.rows != 1 else "1 row"]
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
    note(f"{name}: {', '.join(remarks)}")


def note_cut(
    source: str | Path, tokenizer: Tokenizer, texts: Sequence[str], config: DataConfig
) -> None:
    """Says how many sentences are longer than a model reads; of these it reads the beginning."""
    if count := int((tokenizer.encode_flat(texts)[1] > config.max_tokens).sum()):
        note(f"{named(source)}: {count:,} cut to {config.max_tokens} tokens")
