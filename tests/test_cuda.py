"""A CUDA device computes what a CPU does; skipped where there is none."""

import gc
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from mivae_cli.config.run import RunConfig
from mivae_cli.data.prepared_corpus import Corpus, prepare_corpus
from mivae_cli.evaluation.encode import encode_split
from mivae_cli.evaluation.evaluate import importance_weighted
from mivae_cli.finite_checks import NonFiniteBatch
from mivae_cli.models.vae import VAE
from mivae_cli.runs.create import create_run
from mivae_cli.stages import finish
from mivae_cli.training.cuda_graphs import capture_graphs
from mivae_cli.training.events import Validation
from mivae_cli.training.trainer import Trainer
from support.networks import DECODERS, ENCODERS, SENTENCES, batch_of, model_of, name_of
from support.program import Mivae
from support.small import networks, small_config, train_to_end, write_scenes

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
PAIRS = [(encoder, DECODERS[place % len(DECODERS)]) for place, encoder in enumerate(ENCODERS)]
CUDA = torch.device("cuda")


def derivatives(model: VAE, device: torch.device) -> list[torch.Tensor]:
    """Returns the posterior, the likelihood and the gradients of a batch."""
    model = model.to(device)
    batch = batch_of(*SENTENCES, padding=2).to(device)
    posterior = model.encode(batch).posterior
    likelihood = model.log_likelihood(batch, posterior.mean)
    model.zero_grad()
    (likelihood.sum() - posterior.rates().sum()).backward()
    # copies: a model that moves to another device takes its gradients along
    gradients = [
        each.grad.to("cpu", copy=True) for each in model.parameters() if each.grad is not None
    ]
    found = posterior.parameters().detach().cpu(), likelihood.detach().cpu()
    return [*found, *gradients]


@pytest.mark.parametrize(
    ("encoder", "decoder"), PAIRS, ids=[f"{name_of(one)}+{name_of(two)}" for one, two in PAIRS]
)
def test_posteriors_likelihoods_and_gradients(
    encoder: dict[str, object], decoder: dict[str, object]
) -> None:
    model = model_of(encoder, decoder)
    here = derivatives(model, torch.device("cpu"))
    there = derivatives(model, CUDA)
    assert len(here) == len(there) > 10
    for expected, found in zip(here, there, strict=True):
        torch.testing.assert_close(found, expected)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("text") / "scenes.txt")


def configured(text: Path, device: str, **training: object) -> RunConfig:
    config = small_config(text, training={"precision": "float32", **training})
    return config.model_copy(update={"device": device})


def test_a_language_model_learns_the_same(text: Path, tmp_path: Path) -> None:
    """Nothing is drawn in its training, so every loss of it can be compared."""
    elbos = []
    for device in ("cpu", "cuda"):
        config = configured(text, device)
        model = config.model.model_copy(update={"latent_size": 0})
        objective = config.objective.model_copy(update={"mi_weight": 0.0})
        config = config.model_copy(update={"model": model, "objective": objective})
        _, _, records = train_to_end(config, tmp_path / device)
        elbos.append([each.elbo for each in records if isinstance(each, Validation)])
    assert len(elbos[0]) == 2
    assert elbos[1] == pytest.approx(elbos[0], abs=2e-2)


def test_steps_are_launched_anew_where_they_are_not_to_be_replayed(text: Path) -> None:
    for replayed in (True, False):
        config = configured(text, "cuda", graphs=replayed)
        trainer = Trainer(config, prepare_corpus(config.data))
        assert (trainer.learner.recorder is not None) == replayed


@pytest.mark.parametrize("kind", ["lstm", "gru", "transformer"])
def test_a_step_with_the_information_term_is_finite_and_moves_all(text: Path, kind: str) -> None:
    config = small_config(text, model=networks(kind)).model_copy(update={"device": "cuda"})
    trainer = Trainer(config, prepare_corpus(config.data))
    before = [each.detach().clone() for each in trainer.model.parameters()]
    for batch in trainer.sampler.batches(0):
        _, loss = trainer.step(batch)
        assert loss < 1000
    for old, new in zip(before, trainer.model.parameters(), strict=True):
        assert (old != new).any()


LANGUAGE_MODEL: dict[str, Any] = {
    "model": {
        "latent_size": 0,
        "encoder": {"kind": "lstm", "embedding_size": 16, "hidden_size": 32},
        "decoder": {"kind": "lstm", "embedding_size": 16, "hidden_size": 32, "dropout": 0.0},
    },
    "objective": {"mi_weight": 0.0},
}


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "adam-sgd"])
def test_recorded_steps_give_what_steps_give(text: Path, optimizer: str) -> None:
    training = {"precision": "float32", "optimizer": {"kind": optimizer}, "cooldown_epochs": 1}
    config = small_config(text, training=training, **LANGUAGE_MODEL)
    losses: list[list[float]] = []
    for recorded in (True, False):
        trainer = Trainer(
            config.model_copy(update={"device": "cuda"}), prepare_corpus(config.data)
        )
        if not recorded:
            trainer.learner.recorder = None
        losses.append([])
        for epoch in range(4):
            trainer.state.epoch, trainer.state.position = min(epoch, 1), 0
            losses[-1] += [trainer.step(batch)[1] for batch in trainer.sampler.batches(epoch)]
        if recorded:
            assert trainer.learner.recorder is not None
            assert trainer.learner.recorder.recordings
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


RECORDED: dict[str, dict[str, Any]] = {
    "lstm": {"model": networks("lstm")},
    "gru": {"model": networks("gru")},
    "transformer": {"model": networks("transformer")},
    "bfloat16": {"training": {"precision": "bfloat16"}},
    "known posterior": {"objective": {"mi_bound": "known-posterior"}},
    "discrepancy": {"objective": {"mi_weight": 0.0, "mmd_weight": 2.0}},
    "batch norm": {"model": {**networks("lstm"), "posterior": {"kind": "batch-norm"}}},
    "concatenated": {"critic": {"network": {"kind": "concatenated"}, "queue_size": 64}},
    "lagging": {
        "objective": {"mi_weight": 0.0},
        "training": {"encoder_steps": 4, "encoder_check": 2},
    },
    "autoencoder first": {"training": {"autoencoder_epochs": 2, "reset_decoder": True}},
    "adam-sgd": {"training": {"optimizer": {"kind": "adam-sgd"}}},
}


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_steps_learn(text: Path, tmp_path: Path, name: str) -> None:
    sections = {**RECORDED[name]}
    sections["training"] = {"epochs": 5, **sections.get("training", {})}
    config = small_config(text, **sections).model_copy(update={"device": "cuda"})
    corpus = prepare_corpus(config.data)
    run = create_run(tmp_path / "run", config, corpus)
    trainer = Trainer(config, corpus)
    found = [each.elbo for each in trainer.fit(run) if isinstance(each, Validation)]
    assert len(found) == 5
    assert found[-1] > found[0] + 1
    assert trainer.learner.recorder is not None
    assert trainer.learner.recorder.recordings


def test_replays_draw_anew_and_a_bad_one_moves_nothing(text: Path) -> None:
    config = small_config(text, training={"optimizer": {"kind": "adam", "learning_rate": 1e-12}})
    trainer = Trainer(config.model_copy(update={"device": "cuda"}), prepare_corpus(config.data))
    batch = next(batch for batch in trainer.sampler.batches(0) if len(batch) == 32)
    losses = [trainer.step(batch)[1] for _ in range(12)]
    assert trainer.learner.recorder is not None
    assert len(trainer.learner.recorder.recordings) == 1
    assert len(set(losses)) == 12  # as z is drawn anew
    weight = next(trainer.model.decoder.output.parameters()).detach()
    good = weight.clone()
    weight[0] = torch.nan
    before = [each.clone() for each in trainer.learner.mutable_tensors()]
    with pytest.raises(NonFiniteBatch):
        trainer.step(batch)
    for old, new in zip(before, trainer.learner.mutable_tensors(), strict=True):
        torch.testing.assert_close(new, old, rtol=0, atol=0, equal_nan=True)
    weight.copy_(good)
    assert trainer.step(batch)[1] == pytest.approx(losses[-1], abs=3)


def test_a_step_is_captured_while_graphs_of_an_earlier_training_are_garbage() -> None:
    numbers = torch.ones(4, device=CUDA)

    def double() -> None:
        numbers.mul_(2)

    earlier: list[object] = [capture_graphs()(double)]
    earlier.append(earlier)  # only the collector can free it
    held = [earlier]
    del earlier

    def work() -> None:
        held.clear()
        _ = [[] for _ in range(1000)]  # enough for the collector to run
        numbers.add_(1)

    thresholds = gc.get_threshold()
    try:
        gc.set_threshold(1)
        replay = capture_graphs()(work)
    finally:
        gc.set_threshold(*thresholds)
    replay()
    torch.testing.assert_close(numbers, torch.full_like(numbers, 2.0))


@pytest.fixture(scope="module")
def trained(text: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[VAE, Corpus]:
    config = configured(text, "cuda", epochs=4)
    corpus = prepare_corpus(config.data)
    run, _, _ = train_to_end(config, tmp_path_factory.mktemp("cuda") / "run")
    return run.load_model(), corpus


def test_a_reading_is_the_same_on_both(trained: tuple[VAE, Corpus]) -> None:
    model, corpus = trained
    here = encode_split(model.cpu(), corpus["test"], seed=0)
    there = encode_split(model.to(CUDA), corpus["test"], seed=0)
    torch.testing.assert_close(there.z, here.z, atol=2e-3, rtol=1e-3)
    torch.testing.assert_close(there.distortion, here.distortion, atol=2e-2, rtol=1e-3)


def test_importance_weighting_agrees_within_its_noise(trained: tuple[VAE, Corpus]) -> None:
    model, corpus = trained
    store = corpus["test"]
    here = finish(importance_weighted(model.cpu(), store, 200, seed=0))
    gaps = finish(importance_weighted(model.to(CUDA), store, 200, seed=0)) - here
    error = gaps.std() / len(gaps) ** 0.5
    assert abs(gaps.mean()) < 5 * error + 1e-3


def test_the_program_from_training_to_samples(text: Path, tmp_path: Path, mivae: Mivae) -> None:
    run, small = tmp_path / "run", ["--set", "model.encoder.hidden_size=32", "--latent", "4"]
    begun = mivae("train", text, "--epochs", "1", *small, "--device", "cuda", "--out", run)
    assert begun.code == 0, begun.err
    gone_on = mivae("train", "--resume", "--out", run, "--epochs", "2")
    assert gone_on.code == 0, gone_on.err
    assert mivae("verify", run).code == 0
    for chosen in (
        [],
        ["--temperature", "0.8", "--top-p", "0.9"],
        ["--top-k", "5"],
        ["--beam", "3"],
    ):
        sampled = mivae("sample", run, "--n", "5", *chosen)
        assert sampled.code == 0, sampled.err
        assert len(sampled.out.splitlines()) == 5
    measured = mivae("eval", run, "--iw-samples", "20", "--json")
    assert measured.code == 0, measured.err
    assert json.loads(measured.out)["iw_nll"] < json.loads(measured.out)["nll"]
    assert mivae("estimate-mi", run, "--profile", "quick").code == 0
    assert mivae("interpolate", run).code == 0
