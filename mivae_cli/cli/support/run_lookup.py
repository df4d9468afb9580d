"""Find the run that a command works on, and load it."""

__all__ = [
    "locate",
    "locate_interrupted",
    "locate_with_file",
    "locate_with_texts",
    "note_unknown_words",
    "open_run",
    "open_sentences",
]

from collections.abc import Sequence
from pathlib import Path

from ...api.run import Run
from ...api.texts import file_settings
from ...data.file_formats import text_file
from ...data.prepared_corpus import SplitSummary, TokenStore, encode_file
from ...data.records import RowCounts
from ...errors import listing
from ...runs.checkpoints import CHECKPOINTS
from ...runs.directory import RunDirectory
from ...runs.latest import newest_interrupted, newest_usable
from ...storage.manifest import MANIFEST
from .console import note
from .sentence_arguments import check_sentences
from .text_input import check_reading, named, note_rows
from .text_options import Reading


def locate(argument: str | None, option: Path | None) -> RunDirectory:
    """Returns the run of the --run option or the argument, by default the newest usable run.

    If the newest is used, a note on stderr names it.
    """
    named_run = option if option is not None else argument
    if named_run is not None:
        return RunDirectory.open(Path(named_run))
    newest = newest_usable()
    note(f"run: {newest.run.path} ({newest.reason})")
    return newest.run


def locate_interrupted(option: Path | None) -> RunDirectory:
    """Returns the run of an option, or the newest interrupted run, which a note names."""
    if option is not None:
        return RunDirectory.open(option)
    newest = newest_interrupted()
    note(f"run: {newest.run.path} ({newest.reason})")
    return newest.run


def locate_with_texts(
    arguments: list[str] | None, option: Path | None
) -> tuple[RunDirectory, list[str]]:
    """Returns the run and the sentences among the arguments.

    The first argument is the run if there is a run at this path. With --run, all are sentences.

    Raises:
        ConfigError: --run is not given, and a sentence looks like a path.
    """
    texts = list(arguments or [])
    if option is not None:
        return locate(None, option), texts
    argument = texts.pop(0) if texts and _is_run(Path(texts[0])) else None
    check_sentences(texts)
    return locate(argument, None), texts


def locate_with_file(
    arguments: list[str] | None, option: Path | None
) -> tuple[RunDirectory, list[str]]:
    """Returns the run and the remaining arguments, which are files.

    Raises:
        CheckpointError: There are two arguments, and the first is not a run.
    """
    files = list(arguments or [])
    if option is None and files and (_is_run(Path(files[0])) or len(files) > 1):
        return locate(files[0], None), files[1:]
    return locate(None, option), files


def open_run(found: RunDirectory, device: str) -> Run:
    """Loads a run; notes on stderr name damaged checkpoints that were skipped."""
    run = Run(found, device)
    for warning in run.warnings:
        note(f"warning: {warning}")
    return run


def open_sentences(run: RunDirectory, data: Path | None, reading: Reading) -> TokenStore | None:
    """Returns the sentences of the --data option in the run's vocabulary; None without it."""
    if data is None:
        check_reading(reading)
        return None
    settings = file_settings(run.load_config(), reading, data)
    rows, summary = RowCounts(), SplitSummary()
    with text_file(data) as path:
        store = encode_file(path, run.load_tokenizer(), settings, rows, summary)
    note_rows(data, rows)
    if summary.truncated:
        note(f"{named(data)}: {summary.truncated:,} cut to {settings.max_tokens} tokens")
    if summary.skipped:
        note(
            f"{named(data)}: {summary.skipped:,} longer than {settings.max_tokens} tokens skipped"
        )
    return store


def note_unknown_words(run: Run, texts: Sequence[str]) -> None:
    """Prints a warning that lists the words of sentences that the vocabulary lacks."""
    if unknown := run.unknown_words(texts):
        note(f"warning: not in the run's vocabulary: {listing(unknown)}")


def _is_run(path: Path) -> bool:
    try:
        if path.absolute().parent.name == CHECKPOINTS:
            path = path.absolute().parent.parent
        return path.is_dir() and (path / MANIFEST).exists()
    except OSError:  # a sentence can be too long for a file name
        return False
