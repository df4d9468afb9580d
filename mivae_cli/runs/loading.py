"""Models of runs that may still be training, loaded from their checkpoints."""

__all__ = ["LoadedCheckpoint", "default_device", "load_checkpoint", "load_language_model"]

from dataclasses import dataclass

from ..config.run import RunConfig
from ..devices import resolve_device, tune_cpu
from ..errors import CheckpointError, ConfigError
from ..models.vae import VAE
from .directory import RunDirectory

VOCABULARY = "tokenizer.json"


@dataclass(frozen=True)
class LoadedCheckpoint:
    """A model and the checkpoint it was loaded from."""

    run: RunDirectory  # opened at this checkpoint, by its name
    model: VAE
    warnings: tuple[str, ...] = ()  # newer checkpoints that are damaged and were skipped


def default_device(config: RunConfig) -> str:
    """Returns the device that a run was trained on, or `auto` if this machine does not have it."""
    try:
        resolve_device(config.device)
    except ConfigError:
        return "auto"
    return config.device


def load_checkpoint(run: RunDirectory, device: str) -> LoadedCheckpoint:
    """Loads the model of the checkpoint that a run directory is opened at.

    `best` and `last` are resolved now, and again if training removes that checkpoint meanwhile.

    Raises:
        CheckpointError: There is no such checkpoint, or it is damaged.
        ConfigError: There is no such device.
    """
    tune_cpu()
    where = resolve_device(device)

    def load() -> LoadedCheckpoint:
        last = run.name == "last"
        found, problems = run.checkpoints.newest() if last else (run.find_checkpoint(), [])
        warnings = tuple(f"{problem}; using {found.name} instead" for problem in problems)
        return LoadedCheckpoint(run.at(found), run.at(found).load_model(where), warnings)

    return run.checkpoints.steady(load) if run.name in ("best", "last") else load()


def load_language_model(lm: RunDirectory, run: RunDirectory, device: str) -> LoadedCheckpoint:
    """Loads a language model that scores the sentences of another run.

    Raises:
        CheckpointError: The model has latent units, or its vocabulary is not that of the run.
    """
    if lm.load_config().model.latent_size:
        raise CheckpointError(
            f"'{lm.path}' is not a language model (it has latent units): train one with "
            "the preset lm"
        )
    if lm.manifest.files.get(VOCABULARY) != run.manifest.files.get(VOCABULARY):
        raise CheckpointError(
            f"'{lm.path}' and '{run.path}' have different vocabularies: train a language model "
            "on the same corpus with the same data settings and the preset lm"
        )
    return load_checkpoint(lm, device)
