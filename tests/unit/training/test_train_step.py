"""Regimes of training: the encoder alone, an autoencoder first, a constrained rate."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mivae_cli.choices import TrainedPart
from mivae_cli.data.prepared_corpus import prepare_corpus
from mivae_cli.runs.create import create_run
from mivae_cli.training.events import Step, Validation
from mivae_cli.training.trainer import Trainer
from support.small import networks, small_config, train_to_end, write_scenes
from support.stops import assert_same_end, train_with_stops

PLAIN = {"mi_weight": 0.0, "beta_schedule": {"kind": "constant"}}


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("text") / "scenes.txt", count=200)


def trainer_of(text: Path, **sections: dict[str, Any]) -> Trainer:
    sections = {"objective": PLAIN, **sections}
    config = small_config(text, **sections)
    return Trainer(config, prepare_corpus(config.data))


def part_of(name: str) -> str:
    return "decoder" if name.startswith("decoder.") else "encoder"


@pytest.mark.parametrize("part", ["both", "encoder", "decoder"])
def test_a_step_trains_only_its_part(text: Path, part: TrainedPart) -> None:
    trainer = trainer_of(text)
    before = {name: weight.clone() for name, weight in trainer.model.named_parameters()}
    batch = next(trainer.sampler.batches(0))
    trainer.learner.step(batch, epoch=0.0, part=part)
    moved = {
        part_of(name)
        for name, weight in trainer.model.named_parameters()
        if not torch.equal(weight, before[name])
    }
    assert moved == ({"encoder", "decoder"} if part == "both" else {part})
    assert all(weight.requires_grad for weight in trainer.model.parameters())


def test_a_step_of_one_part_equals_that_part_of_a_full_step(text: Path) -> None:
    """Plain descent that clips nothing: the two halves of a step make the whole."""
    descent = {"optimizer": {"kind": "sgd", "learning_rate": 0.1}, "max_norm": 1e6}
    ends: dict[TrainedPart, dict[str, Tensor]] = {}
    parts: tuple[TrainedPart, ...] = ("both", "encoder", "decoder")
    for part in parts:
        trainer = trainer_of(text, training=descent)
        trainer.learner.step(next(trainer.sampler.batches(0)), epoch=0.0, part=part)
        ends[part] = {name: weight.detach() for name, weight in trainer.model.named_parameters()}
    for name, weight in ends["both"].items():
        half: TrainedPart = "decoder" if name.startswith("decoder.") else "encoder"
        torch.testing.assert_close(ends[half][name], weight)


@pytest.mark.parametrize("kind", ["lstm", "transformer"])
@pytest.mark.parametrize(("latent_size", "tied"), [(4, False), (4, True), (0, False)])
def test_two_optimizers_share_the_weights_out(
    text: Path, kind: str, latent_size: int, tied: bool
) -> None:
    model = networks(kind) | {"latent_size": latent_size}
    size = {"embedding_size": 8, "hidden_size": 8} if kind == "lstm" and tied else {}
    model["decoder"] = model["decoder"] | size | {"tie_weights": tied}
    trainer = trainer_of(text, model=model, training={"optimizer": {"kind": "adam-sgd"}})
    names = {weight: name for name, weight in trainer.model.named_parameters()}
    shares = {
        owner: [names[weight] for group in one.param_groups for weight in group["params"]]
        for owner, one in trainer.learner.model_optimizers.items()
    }
    words = {"decoder.embedding.weight", "decoder.output.bias"}
    assert set(shares["words"]) == words | (set() if tied else {"decoder.output.weight"})
    assert sorted([*shares["model"], *shares["words"]]) == sorted(names.values())


def test_the_encoder_catches_up_until_its_loss_falls_no_more(text: Path) -> None:
    trainer = trainer_of(text, training={"encoder_steps": 40, "encoder_check": 4})
    losses = iter([9.0] * 4 + [8.0] * 4 + [8.5] * 4)  # nats a sentence; then it would go on
    calls: list[TrainedPart] = []

    def step(batch: Any, epoch: float, multiplier: float, part: TrainedPart) -> tuple[Any, float]:  # noqa: ANN401
        calls.append(part)
        tokens = int(batch.lengths.sum()) + len(batch)
        return original(batch, epoch, multiplier, part)[0], next(losses) * tokens / len(batch)

    original = trainer.learner.step
    trainer.learner.step = step  # type: ignore[method-assign, assignment]
    losses = iter([9.0] * 4 + [8.0] * 4 + [8.5] * 4 + [0.0])
    trainer.step(next(trainer.sampler.batches(0)))
    assert calls == ["encoder"] * 12 + ["decoder"]
    assert trainer.state.encoder_steps == 12


def test_the_encoder_stops_learning_ahead_when_information_falls(
    text: Path, tmp_path: Path
) -> None:
    config = small_config(
        text,
        objective=PLAIN,
        training={"epochs": 5, "encoder_steps": 3, "encoder_check": 2},
    )
    _, _, records = train_to_end(config, tmp_path / "run")
    validations = [record for record in records if isinstance(record, Validation)]
    before, lagging = 0.0, True
    for record in validations:
        assert (record.encoder_steps > 0) == lagging
        if lagging:
            lagging, before = record.mi >= before, record.mi
    assert not lagging, "the information never fell: the test shows nothing"
    assert validations[-1].encoder_steps == 0


AUTOENCODER = {"epochs": 4, "autoencoder_epochs": 2, "reset_decoder": True}


def test_an_autoencoder_comes_first_and_then_a_new_decoder(text: Path, tmp_path: Path) -> None:
    objective = {"mi_weight": 0.0, "beta_schedule": {"kind": "linear", "start": 0.5, "over": 1.0}}
    config = small_config(text, objective=objective, training={**AUTOENCODER, "log_every": 1})
    corpus = prepare_corpus(config.data)
    trainer = Trainer(config, corpus)
    born = {name: weight.clone() for name, weight in trainer.model.decoder.named_parameters()}
    run = create_run(tmp_path / "run", config, corpus)
    ends: list[dict[str, Tensor]] = []
    reset = trainer.learner.reset_decoder

    def watched() -> None:
        ends.append({name: w.clone() for name, w in trainer.model.named_parameters()})
        reset()
        ends.append({name: w.clone() for name, w in trainer.model.named_parameters()})
        moved = trainer.optimizers["model"].state
        assert not any(weight in moved for weight in trainer.model.decoder.parameters())

    trainer.learner.reset_decoder = watched  # type: ignore[method-assign]
    records = list(trainer.fit(run))
    [before, after] = ends
    for name in before:
        assert torch.equal(before[name], after[name]) == (part_of(name) == "encoder"), name
    for name, weight in born.items():  # as wide as at first, but not the same draw
        found = after[f"decoder.{name}"]
        assert found.std().item() == pytest.approx(weight.std().item(), rel=0.3)
        assert not torch.equal(found, weight)
    steps = [record for record in records if isinstance(record, Step)]
    for record in steps:
        if record.epoch <= 2:
            assert record.loss == pytest.approx(record.distortion, rel=1e-5)
        else:
            assert record.loss >= record.distortion + 0.49 * record.rate - 1e-4
    validations = [record for record in records if isinstance(record, Validation)]
    assert [record.best for record in validations[:2]] == [False, False]
    assert any(record.best for record in validations[2:])


@pytest.mark.parametrize("looks", [13, 14, 30])
def test_it_resumes_exactly_on_either_side_of_the_new_decoder(
    text: Path, tmp_path: Path, looks: int
) -> None:
    config = small_config(text, objective=PLAIN, training=AUTOENCODER)
    whole, corpus, _ = train_to_end(config, tmp_path / "whole")
    assert_same_end(train_with_stops(config, corpus, tmp_path / "stopped", [looks]), whole)


def test_a_constrained_rate_comes_to_its_target(text: Path, tmp_path: Path) -> None:
    objective = {**PLAIN, "rate": {"kind": "minimum-rate", "target": 3.0, "step_size": 0.01}}
    fast = {"epochs": 30, "optimizer": {"kind": "adam", "learning_rate": 5e-3}, "max_decays": 100}
    config = small_config(text, objective=objective, training=fast)
    _, _, records = train_to_end(config, tmp_path / "run")
    rates = [record.rate for record in records if isinstance(record, Validation)]
    assert sum(rates[-10:]) / 10 == pytest.approx(3.0, abs=0.6)
    assert max(rates) < 6  # no waves


def test_the_best_is_the_objectives_best_not_the_elbos(text: Path, tmp_path: Path) -> None:
    config = small_config(
        text,
        objective={"beta": 0.0, "mi_weight": 0.0},
        training={"epochs": 6, "optimizer": {"kind": "adam", "learning_rate": 5e-3}},
    )
    _, _, records = train_to_end(config, tmp_path / "run")
    validations = [record for record in records if isinstance(record, Validation)]
    best = [record for record in validations if record.best][-1]
    settled = validations[max(0, math.ceil(config.objective.settled) - 1) :]
    assert best.distortion == min(record.distortion for record in settled)
    assert best.elbo < max(record.elbo for record in settled)  # an autoencoder's rate is its own
    for record in validations:
        assert record.loss == pytest.approx(record.distortion, rel=1e-6)


def test_codes_held_to_the_prior_stay_near_it(text: Path, tmp_path: Path) -> None:
    spreads = []
    for weight in (0.0, 50.0):
        objective = {"beta": 0.0, "mi_weight": 0.0, "mmd_weight": weight}
        fast = {"epochs": 6, "optimizer": {"kind": "adam", "learning_rate": 5e-3}}
        config = small_config(text, objective=objective, training=fast)
        run, corpus, _ = train_to_end(config, tmp_path / f"run-{weight}")
        model = run.load_model()
        batch = next(Trainer(config, corpus).sampler.batches(0))
        spreads.append(model.encode(batch).posterior.rsample().detach().std().item())
    free, held = spreads
    assert abs(math.log(held)) < abs(math.log(free))
