"""Resume a training from the newest intact checkpoint of its run."""

__all__ = ["load_newest"]

from pathlib import Path

from ..config.training import TrainingConfig
from ..data.batches import BatchSampler, EpochPart
from ..errors import CheckpointError, ConfigError
from ..runs.checkpoint_writer import tidy
from ..runs.directory import RunDirectory
from ..runs.training_state import TrainingState, load_training
from ..storage.metrics_log import MetricsLog
from .train_step import Learner


def load_newest(
    run: RunDirectory, learner: Learner, sampler: BatchSampler, training: TrainingConfig
) -> tuple[TrainingState, EpochPart, MetricsLog | None, list[str]]:
    """Loads the newest intact checkpoint of a run into a learner and sets the random states.

    Arguments:
        run: The run, locked for writing, with at least one checkpoint.
        learner: Its weights and optimizers are overwritten.
        sampler: Batches of the current batch size.
        training: The current settings.

    Returns:
        The training state, the rest of the current epoch, the metrics log (None if it is damaged:
        a new one is started), and warnings about damaged files that were skipped.

    Raises:
        CheckpointError: No checkpoint is intact, or it was saved with another corpus.
        ConfigError: The batch size cannot change at this checkpoint, or the number of epochs
            cannot be lowered so far.
    """
    found, warnings = run.checkpoints.newest()
    state = load_training(found.manifest, learner.model, learner.term, learner.optimizers)
    earlier = run.load_config().training
    if training.epochs < earlier.epochs:
        _check_fewer_epochs(run, state, training)
    journal = None
    try:
        run.checkpoints.check_best(found)
    except CheckpointError as error:  # without a best checkpoint the run would end unusable
        warnings.append(f"{error}; it is replaced by the next best checkpoint")
        state.best = None
    try:
        journal = MetricsLog.resume(run.metrics_path, found.metrics)
    except CheckpointError as error:
        warnings.append(f"{error}; it was set aside and a new one is started")
        run.set_metrics_aside()
    if state.finished(training) and not warnings:  # no later save would do it
        tidy(run, found, training.keep)
    part = _rest_of_epoch(state, sampler, earlier.batch_size, found.manifest.folder)
    return state, part, journal, warnings


def _check_fewer_epochs(run: RunDirectory, state: TrainingState, training: TrainingConfig) -> None:
    """Raises ConfigError if more epochs are done, or if no best checkpoint could follow."""
    done, wanted = state.epoch, training.epochs
    if wanted > done or (wanted == done and state.best is not None):
        return
    problem = f"{done} epochs are done"
    if state.best is None:
        problem += ", none of them with the final weights of the objective"
    raise ConfigError(
        f"'{run.path}' cannot be resumed with --epochs {wanted} (training.epochs): {problem}. "
        f"Use --epochs {done + 1} or more, counted from the start of the run"
    )


def _rest_of_epoch(
    state: TrainingState, sampler: BatchSampler, earlier_size: int, folder: Path
) -> EpochPart:
    """Returns the rest of the epoch in batches of the current size, which the state records."""
    size = sampler.batch_size
    if state.batch_size is None and state.position and earlier_size != size:
        raise ConfigError(
            f"'training.batch_size' cannot change from {earlier_size} to {size} here: '{folder}' "
            "was saved in the middle of an epoch by an old version that did not store the batch "
            "size. Resume with the old batch size until the next checkpoint"
        )
    state.change_batch_size(size)
    try:
        part = sampler.epoch_part(state.epoch, state.earlier)
    except ValueError:
        part = None
    if part is None or not part.before <= state.position <= part.before + part.batches:
        raise CheckpointError(f"'{folder}' was saved with another corpus")
    return part
