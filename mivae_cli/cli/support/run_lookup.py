"""Find the run that a command works on, and load it.

Arguments that look like a mistyped path are not accepted as sentences.
"""

__all__ = [
    "check_sentences",
    "locate",
    "locate_with_file",
    "locate_with_texts",
    "note_unknown_words",
    "open_run",
    "open_sentences",
]

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from ...api.run import Run
from ...api.texts import file_settings, token_store
from ...data.file_formats import text_file
from ...data.prepared_corpus import SplitSummary, TokenStore
from ...data.records import RowCounts, TextRecords
from ...errors import ConfigError, listing
from ...runs.checkpoints import CHECKPOINTS
from ...runs.directory import RunDirectory
from ...runs.find import nearest_run
from ...runs.latest import NewestRun, newest_usable
from ...storage.manifest import MANIFEST
from .console import note, warn
from .text_input import check_reading, named, note_rows, note_truncated
from .text_options import Reading

BEGINNINGS = (f"runs{os.sep}", f".{os.sep}", f"..{os.sep}", f"~{os.sep}")
ENDINGS = (".txt", ".jsonl", ".json", ".csv", ".tsv", ".parquet", ".gz", ".npz", ".npy",
           ".safetensors", ".toml", ".pt")  # fmt: skip


def locate(
    argument: str | None, option: Path | None, find_newest: Callable[[], NewestRun] = newest_usable
) -> RunDirectory:
    """Returns the run of an option or argument, by default the newest, which a note names."""
    named_run = option if option is not None else argument
    if named_run is not None:
        return RunDirectory.open(Path(named_run))
    newest = find_newest()
    note(f"run: {newest.run.path} ({newest.reason})")
    return newest.run


def locate_with_texts(
    arguments: list[str] | None, option: Path | None
) -> tuple[RunDirectory, list[str]]:
    """Returns the run and the sentences among the arguments.

    The first argument is the run if there is a run at this path. With --run, all are sentences;
    without it, a sentence that looks like a path raises ConfigError.
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
    """Returns the run, which must be the first of several arguments, and the files."""
    files = list(arguments or [])
    if option is None and files and (_is_run(Path(files[0])) or len(files) > 1):
        return locate(files[0], None), files[1:]
    return locate(None, option), files


def open_run(found: RunDirectory, device: str) -> Run:
    """Loads a run; notes on stderr name damaged checkpoints that were skipped."""
    run = Run(found, device)
    warn(*run.warnings, style="dim")
    return run


def open_sentences(run: RunDirectory, data: Path | None, reading: Reading) -> TokenStore | None:
    """Returns the sentences of the --data option in the run's vocabulary; None without it."""
    if data is None:
        check_reading(reading)
        return None
    settings = file_settings(run.load_config(), reading, data)
    rows, summary = RowCounts(), SplitSummary()
    with text_file(data) as path:
        records = TextRecords(path, settings, rows)
        store = token_store(records, run.load_tokenizer(), settings, summary)
    note_rows(data, rows)
    note_truncated(data, summary.truncated, settings.max_tokens)
    if summary.skipped:
        note(
            f"{named(data)}: {summary.skipped:,} longer than {settings.max_tokens} tokens skipped"
        )
    return store


def note_unknown_words(run: Run, texts: Sequence[str]) -> None:
    """Prints a warning that lists the words of sentences that the vocabulary lacks."""
    if unknown := run.unknown_words(texts):
        warn(f"not in the run's vocabulary: {listing(unknown)}", style="dim")


def _is_run(path: Path) -> bool:
    try:
        if path.absolute().parent.name == CHECKPOINTS:
            path = path.absolute().parent.parent
        return path.is_dir() and (path / MANIFEST).exists()
    except OSError:  # a sentence can be too long for a file name
        return False


def check_sentences(texts: Sequence[str]) -> None:
    """Raises ConfigError if an argument that should be a sentence looks like a path."""
    for text in filter(None, texts):
        problem = ""
        with suppress(OSError, ValueError):  # no path is as long, or has such characters
            problem = _problem(text)
        if problem:
            raise ConfigError(f"{problem}; if this is a sentence, name the run with --run RUN")


def _problem(text: str) -> str:
    path = Path(text)
    if path.is_dir():
        runs = sorted(path.glob(f"*/{MANIFEST}"))
        inside = f" (it contains runs, such as '{runs[0].parent}')" if runs else ""
        return f"'{text}' is a folder, but not a run{inside}"
    if path.exists():
        return f"'{text}' is a file, not a run (for sentences from a file, see --help)"
    if (Path("runs") / text / MANIFEST).exists() and os.sep not in text:
        return f"no run at '{text}' (did you mean '{Path('runs') / text}'?)"
    if _looks_like_path(text):
        near = nearest_run(path)
        return f"no run at '{text}'" + (f" (did you mean '{near}'?)" if near else "")
    return ""


def _looks_like_path(text: str) -> bool:
    """Returns whether text that is not an existing path looks like one; 'and/or' does not."""
    if text.startswith(BEGINNINGS) or text == "~":
        return True
    if any(char.isspace() for char in text):
        # text with spaces is a path only if its parent folder exists
        return os.sep in text and Path(text).parent.is_dir() and Path(text).parent != Path("/")
    return os.sep in text or text.lower().endswith(ENDINGS)
