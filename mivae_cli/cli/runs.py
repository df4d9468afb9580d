"""Which run a command is about, and what the command needs of it."""

__all__ = [
    "device_of",
    "load_judge",
    "load_latent_model",
    "load_model",
    "locate",
    "locate_with_texts",
    "note_unknown_words",
    "open_split",
    "pinned",
]

from collections.abc import Sequence
from pathlib import Path

from ..checkpoints import CHECKPOINTS
from ..config import RunConfig
from ..data.arrays import listing
from ..data.store import TokenStore, encode_file
from ..data.tokenizer import UNKNOWN, Tokenizer
from ..devices import resolve_device, tune_cpu
from ..errors import CheckpointError, ConfigError, DataError
from ..models.vae import VAE
from ..run import RunDirectory, newest_run
from ..storage.manifest import MANIFEST
from .console import note

VOCABULARY = "tokenizer.json"


def locate(argument: str | None, option: Path | None) -> RunDirectory:
    """Returns the run that is named, or the newest, which is then named on stderr."""
    named = option if option is not None else argument
    if named is not None:
        return RunDirectory.open(Path(named))
    run = newest_run()
    note(f"run: {run.path}")
    return run


def locate_with_texts(
    arguments: list[str] | None, option: Path | None
) -> tuple[RunDirectory, list[str]]:
    """Returns the run and the remaining arguments: a first one that is no run is text."""
    texts = list(arguments or [])
    if option is None and texts and _is_run(Path(texts[0])):
        return locate(texts[0], None), texts[1:]
    return locate(None, option), texts


def open_split(run: RunDirectory, data: Path | None) -> TokenStore:
    """Returns the sentences of a file in the run's vocabulary, or the run's test split."""
    if data is None:
        return run.corpus["test"]
    if not data.is_file():
        raise DataError(f"there is no file '{data}'")
    return encode_file(data, run.tokenizer, run.config.data)


def note_unknown_words(tokenizer: Tokenizer, texts: Sequence[str]) -> None:
    """Says which words of sentences the vocabulary lacks: the model cannot tell them apart."""
    if not tokenizer.by_word:
        return
    words = [word for text in texts for word in text.split()]
    ids = [index for row in tokenizer.encode(texts) for index in row]
    unknown = {word: None for word, index in zip(words, ids, strict=True) if index == UNKNOWN}
    if unknown:
        note(f"warning: not in the run's vocabulary: {listing(unknown)}")


def device_of(config: RunConfig) -> str:
    """Returns the name of the device that a run trains on, or auto if this machine lacks it."""
    try:
        resolve_device(config.device)
    except ConfigError:
        return "auto"
    return config.device


def load_model(run: RunDirectory, device: str) -> VAE:
    """Loads a run's model onto the device of a name."""
    tune_cpu()
    where = resolve_device(device)
    return pinned(run).load_model(where)


def pinned(run: RunDirectory) -> RunDirectory:
    """Returns a run by the name of the checkpoint that is now its best or last."""
    if run.name != "last":
        return RunDirectory(run.path, run.checkpoint.name)
    newest, trouble = run.checkpoints.newest()
    for problem in trouble:
        note(f"warning: {problem}; taking {newest.name}")
    return RunDirectory(run.path, newest.name)


def load_latent_model(run: RunDirectory, device: str) -> VAE:
    """Loads a model that has a latent."""
    model = load_model(run, device)
    if not model.latent_size:
        raise CheckpointError(f"'{run.path}' is a language model: it has no latent")
    return model


def load_judge(path: Path, run: RunDirectory, device: str) -> tuple[str, VAE]:
    """Loads a language model that is to judge what a run writes; also returns what to call it.

    Raises:
        CheckpointError: It has a latent, or another vocabulary than the run.
    """
    judge = RunDirectory.open(path)
    if judge.config.model.latent_size:
        raise CheckpointError(
            f"'{path}' is no language model (it has a latent): train one with --preset lm"
        )
    if judge.manifest.files.get(VOCABULARY) != run.manifest.files.get(VOCABULARY):
        raise CheckpointError(
            f"'{path}' has another vocabulary than '{run.path}': train a language model on the "
            "same corpus with the same data settings and --preset lm"
        )
    model = load_model(judge, device)
    return f"the run {path}", model


def _is_run(path: Path) -> bool:
    try:
        inside = path.absolute().parent.name == CHECKPOINTS
        return inside or (path.is_dir() and (path / MANIFEST).exists())
    except OSError:  # a sentence can be too long for a file name
        return False
