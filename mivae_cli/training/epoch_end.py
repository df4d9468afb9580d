"""What follows from the validation after an epoch: best checkpoint, schedules, collapse."""

__all__ = ["finish_epoch"]

from dataclasses import asdict

from ..config.run import RunConfig
from ..evaluation.validation import HeldOut
from ..runs.training_state import TrainingState
from .collapse import has_collapsed
from .events import Validation
from .lagging import still_lagging
from .plateau import Plateau


def finish_epoch(
    state: TrainingState, found: HeldOut, config: RunConfig, learning_rate: float, steps: int
) -> Validation:
    """Updates the training state after a validation, and returns its record.

    Arguments:
        state: The state at the start of the next epoch; updated in place.
        found: The figures of the validation split, all finite.
        config: The run's settings.
        learning_rate: The model's learning rate at the end of the epoch.
        steps: The number of steps of the epoch.
    """
    training, objective = config.training, config.objective
    settled = min(objective.settled + training.autoencoder_epochs, training.epochs)
    best = _update_plateau(state, -found.loss, training.patience, state.epoch >= settled)
    encoder_steps, state.encoder_steps = state.encoder_steps / steps, 0
    epoch = state.epoch - training.autoencoder_epochs  # of the objective
    if training.encoder_steps and state.lagging and epoch >= 0:
        state.lagging = still_lagging(found.mi, state.lagging_mi)
        state.lagging_mi = found.mi
    last = state.finished(training)
    collapsed = bool(config.model.latent_size) and has_collapsed(
        found.mi, state.peak_mi, objective, epoch, state.step, last
    )
    state.peak_mi = max(state.peak_mi, found.mi)
    return Validation(
        step=state.step,
        epoch=state.epoch,
        **asdict(found),
        learning_rate=learning_rate,
        best=best,
        collapsed=collapsed,
        stopped=last,
        seconds=state.seconds,
        encoder_steps=encoder_steps,
    )


def _update_plateau(state: TrainingState, value: float, patience: int, settled: bool) -> bool:
    """Applies the plateau rule; returns whether the value is the best so far."""
    plateau = Plateau(state.best, state.epochs_without_improvement, state.decays)
    best = settled and plateau.improved_by(value)
    if best:
        state.best_epoch = state.epoch
    plateau = plateau.updated(value, patience, settled)
    state.best, state.decays = plateau.best, plateau.decays
    state.epochs_without_improvement = plateau.epochs_without_improvement
    return best
