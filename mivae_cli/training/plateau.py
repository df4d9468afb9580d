"""Learning-rate schedule: decay when the validation objective stops improving, then cool down."""

__all__ = ["Plateau", "learning_rate_factor"]

from dataclasses import dataclass

from ..config.training import TrainingConfig


@dataclass(frozen=True)
class Plateau:
    """State of the plateau rule: decay after `patience` epochs without a new best value."""

    best: float | None = None  # in nats per sentence; higher is better
    epochs_without_improvement: int = 0  # since the best value or the last decay
    decays: int = 0

    def improved_by(self, value: float) -> bool:
        """Returns whether a value is the best so far."""
        return self.best is None or value > self.best

    def updated(self, value: float, patience: int, settled: bool = True) -> "Plateau":
        """Returns the state after a validation.

        Arguments:
            value: The validation objective.
            patience: Epochs without improvement before a decay.
            settled: Whether the objective has reached its final form. Earlier values cannot be
                compared with later ones, so they count neither as best nor as a plateau.
        """
        best, waited, decays = self.best, self.epochs_without_improvement, self.decays
        if settled and self.improved_by(value):
            best, waited = value, 0
        elif settled:
            waited += 1
        if waited >= patience:
            waited, decays = 0, decays + 1
        return Plateau(best, waited, decays)


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
