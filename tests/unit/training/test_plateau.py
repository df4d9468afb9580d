"""The plateau rule and the cooldown: validation values in, learning-rate factors and stop out."""

import pytest

from mivae_cli.config.training import TrainingConfig
from mivae_cli.runs.training_state import TrainingState
from mivae_cli.training.epoch_end import learning_rate_factor, update_plateau


def followed(values: list[float], patience: int, settled_from: int = 0) -> list[TrainingState]:
    states = [TrainingState()]
    for epoch, value in enumerate(values):
        states.append(states[-1].model_copy())
        update_plateau(states[-1], value, patience, settled=epoch >= settled_from)
    return states[1:]


def test_the_learning_rate_decays_after_every_patience_epochs_without_a_new_best() -> None:
    states = followed([-3.0, -2.0, -2.0, -2.5, -1.0, -2.0, -1.0, -1.0, -1.0], patience=2)
    assert [state.decays for state in states] == [0, 0, 0, 1, 1, 1, 2, 2, 3]
    assert [state.best for state in states] == [-3, -2, -2, -2, -1, -1, -1, -1, -1]
    waited = [state.epochs_without_improvement for state in states]
    assert waited == [0, 0, 1, 0, 0, 1, 0, 1, 0]


def test_values_before_the_objective_has_settled_do_not_count() -> None:
    states = followed([-1.0, -1.0, -5.0, -4.0, -4.0], patience=1, settled_from=2)
    assert [state.best for state in states] == [None, None, -5, -4, -4]
    assert [state.decays for state in states] == [0, 0, 0, 0, 1]


def test_training_stops_after_more_than_max_decays() -> None:
    training = TrainingConfig(epochs=50, patience=1, max_decays=2)
    states = followed([0.0, 0.0, 0.0, 0.0], patience=training.patience)
    stops = [state.finished(training) for state in states]
    assert stops == [False, False, False, True]


def test_the_factor_combines_decays_and_cooldown() -> None:
    training = TrainingConfig(epochs=10, decay=0.5, cooldown_epochs=4)
    factors = [learning_rate_factor(training, 1, done) for done in (0.0, 6.0, 7.0, 9.5, 10.0)]
    assert factors == pytest.approx([0.5, 0.5, 0.375, 0.0625, 0.0])
    assert learning_rate_factor(TrainingConfig(decay=0.5), 3, 9.0) == 0.125


def test_checkpoints_store_the_wait_under_its_old_key() -> None:
    state = TrainingState.model_validate({"worse": 2})
    assert state.epochs_without_improvement == 2
    assert state.model_dump(by_alias=True)["worse"] == 2
