"""What follows from the validation after an epoch: best checkpoint, schedules, collapse."""

__all__ = ["finish_epoch", "learning_rate_factor", "update_plateau"]

from dataclasses import asdict
from datetime import UTC, datetime

from ..config.run import RunConfig
from ..config.training import TrainingConfig
from ..evaluation.validation import HeldOut
from ..runs.training_state import TrainingState
from .collapse import has_collapsed
from .events import Validation


def finish_epoch(
    state: TrainingState,
    found: HeldOut,
    config: RunConfig,
    learning_rate: float,
    steps: int,
    device: str,
) -> Validation:
    """Updates the training state after a validation, and returns its record.

    Arguments:
        state: The state at the start of the next epoch; updated in place.
        found: The figures of the validation split, all finite.
        config: The run's settings.
        learning_rate: The model's learning rate at the end of the epoch.
        steps: The number of steps of the epoch.
        device: The device that trains.
    """
    training, objective = config.training, config.objective
    settled = min(objective.settled + training.autoencoder_epochs, training.epochs)
    best = update_plateau(state, -found.loss, training.patience, state.epoch >= settled)
    encoder_steps, state.encoder_steps = state.encoder_steps / steps, 0
    epoch = state.epoch - training.autoencoder_epochs  # of the objective
    if training.encoder_steps and state.lagging and epoch >= 0:
        state.lagging = found.mi >= state.lagging_mi  # until it decreases
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
        device=device,
        time=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def update_plateau(state: TrainingState, value: float, patience: int, settled: bool) -> bool:
    """Applies the plateau rule to a validation objective; returns whether it is the best so far.

    The learning rate decays after `patience` epochs without a best value. Values before the
    objective has `settled` cannot be compared with later ones, and are left out.
    """
    best = settled and (state.best is None or value > state.best)
    if best:
        state.best, state.best_epoch, state.epochs_without_improvement = value, state.epoch, 0
    elif settled:
        state.epochs_without_improvement += 1
    if state.epochs_without_improvement >= patience:
        state.epochs_without_improvement = 0
        state.decays += 1
    return best


def learning_rate_factor(training: TrainingConfig, decays: int, epochs_done: float) -> float:
    """Returns the learning rate as a fraction of its initial value.

    Arguments:
        training: The settings `decay`, `epochs` and `cooldown_epochs`.
        decays: The number of decays so far.
        epochs_done: Finished epochs, including the fraction of the current one.
    """
    factor = training.decay**decays
    if training.cooldown_epochs:
        factor *= min(1.0, (training.epochs - epochs_done) / training.cooldown_epochs)
    return factor
