"""The inner loop of a lagging encoder: losses in, number of steps out."""

import pytest
import torch

from mivae_cli.config.resolve import read_config
from mivae_cli.data.batches import Batch
from mivae_cli.evaluation.validation import HeldOut
from mivae_cli.runs.training_state import TrainingState
from mivae_cli.training.epoch_end import finish_epoch
from mivae_cli.training.train_step import train_encoder

SHORT = Batch(torch.zeros(2, 4, dtype=torch.long), torch.tensor([4, 4]))  # 10 tokens with ends
LONG = Batch(torch.zeros(2, 9, dtype=torch.long), torch.tensor([9, 9]))  # 20 tokens with ends


@pytest.mark.parametrize(
    ("per_token", "steps"),
    [
        ([3, 3, 2, 2, 2.5, 2.5, 0, 0], 6),  # the third mean is above the second
        ([3, 3, 3, 3, 3, 3, 3, 3], 8),  # equal means do not stop it
        ([4, 1, 3, 1, 2, 2, 5, 1], 8),  # within a window single losses may rise
    ],
)
def test_it_stops_when_the_mean_loss_per_token_of_a_window_rises(
    per_token: list[float], steps: int
) -> None:
    losses = iter(per_token)
    made: list[Batch] = []

    def step(batch: Batch) -> float:
        made.append(batch)
        return next(losses) * (10 if batch is SHORT else 20) / len(batch)

    train_encoder(step, SHORT, lambda: LONG, max_steps=8, check_every=2)
    assert made == [SHORT, *[LONG] * (steps - 1)]


def test_windows_weigh_batches_by_their_tokens() -> None:
    losses = iter([10.0, 10.0, 20.0, 20.0, 0.0])  # per sentence; per token it is 4/3, then 2
    made: list[Batch] = []

    def step(batch: Batch) -> float:
        made.append(batch)
        return next(losses)

    train_encoder(step, SHORT, lambda: LONG, max_steps=5, check_every=2)
    assert len(made) == 4


@pytest.mark.parametrize(("mi", "lagging"), [(1.5, True), (1.0, True), (0.9, False)])
def test_the_encoder_lags_until_its_information_decreases(mi: float, lagging: bool) -> None:
    state = TrainingState(epoch=1, lagging_mi=1.0)
    found = HeldOut(1.0, -1.0, 1.0, 1.0, mi, 5.0, 1, 1, 1.0)
    finish_epoch(state, found, read_config("lagging"), learning_rate=1e-3, steps=1, device="cpu")
    assert (state.lagging, state.lagging_mi) == (lagging, mi)
