"""Which run a command is about, and what the command needs of it."""

__all__ = [
    "load_latent_model",
    "load_model",
    "locate",
    "locate_interrupted",
    "locate_with_file",
    "locate_with_texts",
    "note_unknown_words",
    "open_split",
]

from collections.abc import Mapping, Sequence
from pathlib import Path

from ...data.file_formats import text_file
from ...data.prepared_corpus import SplitSummary, TokenStore, encode_file
from ...data.records import RowCounts
from ...data.tokenizer import UNKNOWN, Tokenizer
from ...errors import CheckpointError, listing
from ...models.vae import VAE
from ...runs.checkpoints import CHECKPOINTS
from ...runs.directory import RunDirectory
from ...runs.latest import newest_interrupted, newest_usable
from ...runs.loading import load_checkpoint
from ...storage.manifest import MANIFEST
from .console import note
from .sentence_arguments import check_sentences
from .text_input import named, note_rows, text_settings


def locate(argument: str | None, option: Path | None) -> RunDirectory:
    """Returns the run that is named, or the newest that can be used; stderr then tells why."""
    named = option if option is not None else argument
    if named is not None:
        return RunDirectory.open(Path(named))
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
    """Returns the run and the remaining arguments: a first one that is no run is text.

    With the option, all arguments are text.

    Raises:
        ConfigError: The option is missing, and an argument looks like a path.
    """
    texts = list(arguments or [])
    if option is not None:
        return locate(None, option), texts
    named = None
    if texts and _is_run(Path(texts[0])):
        named = texts.pop(0)
    check_sentences(texts)
    return locate(named, None), texts


def locate_with_file(
    arguments: list[str] | None, option: Path | None
) -> tuple[RunDirectory, list[str]]:
    """Returns the run and the remaining arguments, which name files.

    Raises:
        CheckpointError: The first of two arguments is no run.
    """
    files = list(arguments or [])
    if option is None and files and (_is_run(Path(files[0])) or len(files) > 1):
        return locate(files[0], None), files[1:]
    return locate(None, option), files


def open_split(
    run: RunDirectory, data: Path | None, options: Mapping[str, object] | None = None
) -> TokenStore:
    """Returns the sentences of a file in the run's vocabulary, or the run's test split.

    Arguments:
        run: The run.
        data: The file, or - for standard input; None for the test split.
        options: How the file is read, where not as the run's own text; see `reading_options`.
    """
    settings = text_settings(run.load_config(), options or {}, data)
    if data is None:
        return run.open_corpus()["test"]
    rows, summary = RowCounts(), SplitSummary()
    with text_file(data) as path:
        store = encode_file(path, run.load_tokenizer(), settings, rows, summary)
    note_rows(data, rows)
    if summary.truncated:
        note(f"{named(data)}: {summary.truncated:,} cut to {settings.max_tokens} tokens")
    if summary.skipped:
        note(
            f"{named(data)}: {summary.skipped:,} longer than {settings.max_tokens} tokens left out"
        )
    return store


def note_unknown_words(tokenizer: Tokenizer, texts: Sequence[str]) -> None:
    """Says which words of sentences the vocabulary lacks: the model cannot tell them apart."""
    if not tokenizer.by_word:
        return
    words = [word for text in texts for word in text.split()]
    ids = [index for row in tokenizer.encode(texts) for index in row]
    unknown = {word: None for word, index in zip(words, ids, strict=True) if index == UNKNOWN}
    if unknown:
        note(f"warning: not in the run's vocabulary: {listing(unknown)}")


def load_model(run: RunDirectory, device: str) -> VAE:
    """Loads a run's model onto the device of a name."""
    loaded = load_checkpoint(run, device)
    for warning in loaded.warnings:
        note(f"warning: {warning}")
    return loaded.model


def load_latent_model(run: RunDirectory, device: str) -> VAE:
    """Loads a model that has a latent."""
    model = load_model(run, device)
    if not model.latent_size:
        raise CheckpointError(f"'{run.path}' is a language model: it has no latent")
    return model


def _is_run(path: Path) -> bool:
    try:
        if path.absolute().parent.name == CHECKPOINTS:
            path = path.absolute().parent.parent
        return path.is_dir() and (path / MANIFEST).exists()
    except OSError:  # a sentence can be too long for a file name
        return False
