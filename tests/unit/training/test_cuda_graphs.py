"""Replayed steps are the steps themselves; a bad one leaves everything as it was."""

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mivae_cli.data.batches import Batch
from mivae_cli.data.prepared_corpus import prepare_corpus
from mivae_cli.finite_checks import NonFiniteBatch
from mivae_cli.training.cuda_graphs import Capture, Recorder, no_garbage_collection
from mivae_cli.training.trainer import Trainer
from support.small import networks, small_config, write_scenes

MANY = 24  # steps: a few epochs' worth, of shapes that come again
PRESETS: dict[str, dict[str, Any]] = {
    "dual": {},
    "known posterior": {"objective": {"mi_bound": "known-posterior"}},
    "plain": {"objective": {"mi_weight": 0.0}},
    "minimum rate": {
        "objective": {"mi_weight": 0.0, "rate": {"kind": "minimum-rate", "target": 3.0}}
    },
    "discrepancy": {"objective": {"mi_weight": 0.0, "mmd_weight": 2.0}},
    "language model": {
        "model": {**networks("lstm"), "latent_size": 0},
        "objective": {"mi_weight": 0.0},
    },
    "batch norm": {"model": {**networks("lstm"), "posterior": {"kind": "batch-norm"}}},
    "transformer": {"model": networks("transformer")},
    "autoencoder first": {
        "training": {"epochs": 4, "autoencoder_epochs": 2, "reset_decoder": True}
    },
    "lagging": {
        "objective": {"mi_weight": 0.0},
        "training": {"epochs": 4, "encoder_steps": 6, "encoder_check": 3},
    },
    "two optimizers": {"training": {"epochs": 4, "optimizer": {"kind": "adam-sgd"}}},
    "lagging, two optimizers": {
        "objective": {"mi_weight": 0.0},
        "training": {"encoder_steps": 4, "encoder_check": 2, "optimizer": {"kind": "adam-sgd"}},
    },
    "a falling rate": {"training": {"epochs": 4, "cooldown_epochs": 3}},
}
# the others combine what these have
COVERED = {"plain", "discrepancy", "lagging", "two optimizers", "known posterior"}


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("text") / "scenes.txt", count=200)


class Medium:
    """Records work by keeping it: a replay does it again, as a CUDA graph would."""

    replays = 0

    def __call__(self) -> Capture:
        return self.record

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        def replay() -> None:
            self.replays += 1
            work()

        return replay


def trainers(text: Path, sections: dict[str, Any]) -> tuple[Trainer, Trainer, Medium]:
    """Returns one that steps as it is, and one that records."""
    medium, made = Medium(), []
    for recorded in (False, True):
        config = small_config(text, **{"training": {"epochs": 4}, **sections})
        trainer = Trainer(config, prepare_corpus(config.data))
        if recorded:
            trainer.learner.recorder = Recorder(trainer.learner, medium)
        made.append(trainer)
    return made[0], made[1], medium


def train(trainer: Trainer, count: int = MANY) -> list[float]:
    """Makes so many steps, epoch by epoch, and returns their losses."""
    torch.manual_seed(1)
    losses: list[float] = []
    while len(losses) < count:
        if trainer.state.epoch == trainer.config.training.autoencoder_epochs > 0:
            trainer.learner.reset_decoder()
        for batch in trainer.sampler.batches(trainer.state.epoch):
            terms, loss = trainer.step(batch)
            assert float(terms.distortion.mean()) > 0
            losses.append(loss)
        trainer.state.epoch += 1
        trainer.state.position = 0
    return losses


def everything(trainer: Trainer) -> dict[str, Tensor]:
    """Returns copies of all that a step moves."""
    return {
        str(place): each.clone() for place, each in enumerate(trainer.learner.mutable_tensors())
    }


def known(trainer: Trainer, batch: Batch) -> bool:
    """Says whether a step on a batch of this shape would be a replay."""
    assert trainer.learner.recorder is not None
    return any(shape == batch.tokens.shape for shape, *_ in trainer.learner.recorder.recordings)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in COVERED else ()) for name in PRESETS],
)
def test_replayed_steps_give_what_steps_give(text: Path, name: str) -> None:
    plain, recorded, medium = trainers(text, PRESETS[name])
    assert train(recorded) == train(plain)
    assert medium.replays > MANY // 4
    for key, value in everything(plain).items():
        torch.testing.assert_close(
            everything(recorded)[key], value, rtol=0, atol=0, equal_nan=True
        )
    assert recorded.state == plain.state


def test_a_shape_is_recorded_only_after_a_step_and_with_a_full_queue(text: Path) -> None:
    _, recorded, medium = trainers(text, {"critic": {"queue_size": 128}})
    train(recorded, 4)
    assert medium.replays == 0
    train(recorded, MANY)
    assert medium.replays > 0


@pytest.mark.parametrize("where", ["critic", "model"])
def test_a_bad_replay_moves_nothing(text: Path, where: str) -> None:
    _, recorded, medium = trainers(text, {})
    train(recorded)
    replays = medium.replays
    learner = recorded.learner
    assert learner.term is not None
    owner = learner.term if where == "critic" else learner.model
    weight = next(iter(owner.parameters())).detach()
    good = weight.clone()
    weight[0] = torch.nan
    before = everything(recorded)
    batch = next(batch for batch in recorded.sampler.batches(0) if known(recorded, batch))
    with pytest.raises(NonFiniteBatch, match="nan"):
        recorded.step(batch)
    assert medium.replays == replays + 1
    for key, value in everything(recorded).items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0, equal_nan=True)
    weight.copy_(good)
    assert train(recorded, 5)  # and training goes on


class Cycle:
    """Garbage that only the collector can free, as the graphs of an earlier training are."""

    def __init__(self) -> None:
        self.itself = self


def test_no_garbage_is_freed_while_a_step_is_captured() -> None:
    thresholds = gc.get_threshold()
    try:
        gc.set_threshold(1)  # collects at about every object that is made
        with no_garbage_collection():
            garbage = weakref.ref(Cycle())
            _ = [[] for _ in range(1000)]
            assert garbage() is not None
        _ = [[] for _ in range(1000)]
        assert garbage() is None
        with pytest.raises(RuntimeError), no_garbage_collection():
            raise RuntimeError
        assert gc.isenabled()
    finally:
        gc.set_threshold(*thresholds)
