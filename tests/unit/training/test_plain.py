"""The plain model that speed is measured against computes what the package computes."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from mivae_cli.choices import Pooling
from mivae_cli.data.batches import Batch, ordered_batches
from mivae_cli.data.prepared_corpus import Corpus, TokenStore, prepare_corpus
from mivae_cli.evaluation import evaluate as evaluation
from mivae_cli.models.vae import VAE
from mivae_cli.stages import finish
from mivae_cli.training.trainer import Trainer
from plain import (
    PlainVAE,
    counterparts,
    importance_weighted,
    log_weights,
    plain_copy,
    plain_step,
    random_batches,
)
from support.small import small_config, write_scenes

STEPS = 5
BETA = 0.7
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)
ADAM = {"kind": "adam", "learning_rate": 1e-2}
SGD = {"kind": "sgd", "learning_rate": 0.5}


@pytest.fixture(autouse=True)
def double_precision() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("text") / "scenes.txt")


def trainer_of(
    text: Path,
    optimizer: dict[str, Any] = ADAM,
    pooling: Pooling = "last",
    max_norm: float = 5.0,
) -> Trainer:
    encoder = {"embedding_size": 16, "hidden_size": 32, "pooling": pooling}
    decoder = {"embedding_size": 16, "hidden_size": 32, "dropout": 0.0}
    config = small_config(
        text,
        model={"latent_size": 4, "encoder": encoder, "decoder": decoder, "init_scale": 0.1},
        objective={
            "mi_weight": 0.0,
            "beta": BETA,
            "beta_schedule": {"kind": "constant"},
        },
        training={"optimizer": optimizer, "max_norm": max_norm},
    )
    return Trainer(config, prepare_corpus(config.data))


def optimizer_of(model: PlainVAE, settings: dict[str, Any]) -> torch.optim.Optimizer:
    if settings["kind"] == "adam":
        return torch.optim.Adam(model.parameters(), lr=settings["learning_rate"])
    return torch.optim.SGD(model.parameters(), lr=settings["learning_rate"])


def padded(corpus: Corpus) -> Iterator[Batch]:
    """Batches of sentences as they stand, which differ in length."""
    for tokens, lengths in random_batches(corpus["train"], 16, seed=0):
        yield Batch(tokens, lengths)


@pytest.mark.parametrize("max_norm", [5.0, 0.05])  # the smaller one clips every step
@pytest.mark.parametrize("optimizer", [ADAM, SGD])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_steps_from_equal_weights_give_equal_losses_and_weights(
    text: Path, optimizer: dict[str, Any], pooling: Pooling, max_norm: float
) -> None:
    trainer = trainer_of(text, optimizer, pooling, max_norm)
    plain = plain_copy(trainer.model)
    plain_optimizer = optimizer_of(plain, optimizer)
    before = {name: weight.clone() for name, weight in counterparts(trainer.model).items()}
    for step, batch in enumerate(islice(padded(trainer.corpus), STEPS)):
        assert batch.lengths.min() < batch.tokens.shape[1]  # padding is there
        torch.manual_seed(step)
        terms, _ = trainer.step(batch)
        torch.manual_seed(step)  # the same noise for z
        loss = plain_step(
            plain, plain_optimizer, batch.tokens, batch.lengths, BETA, max_norm=max_norm
        )
        ours = terms.distortion.mean() + BETA * terms.rates.sum(dim=-1).mean()
        assert loss == pytest.approx(float(ours), rel=1e-9)
    weights = counterparts(trainer.model)
    assert {name: weight.shape for name, weight in plain.state_dict().items()} == {
        name: weight.shape for name, weight in weights.items()
    }
    assert sum(weight.numel() for weight in weights.values()) == trainer.parameters
    for name, weight in weights.items():
        assert not torch.allclose(weight, before[name], rtol=0, atol=1e-5), name
        # Adam divides by the gradient's own size, which magnifies rounding in the smallest
        torch.testing.assert_close(plain.state_dict()[name], weight, rtol=0, atol=1e-7)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_posterior_and_likelihood_are_the_packages(text: Path, pooling: Pooling) -> None:
    trainer = trainer_of(text, pooling=pooling)
    plain = plain_copy(trainer.model).eval()
    trainer.model.eval()
    batch = next(padded(trainer.corpus))
    z = torch.randn(len(batch), 4)
    posterior = trainer.model.encode(batch).posterior
    mean, log_scale = plain.encode(batch.tokens, batch.lengths)
    torch.testing.assert_close(torch.cat([mean, log_scale], dim=1), posterior.parameters())
    likelihood = trainer.model.log_likelihood(batch, z)
    for row, length in enumerate(batch.lengths.tolist()):
        log_probs = plain.decode(batch.tokens[row, None, :length], z[row, None]).log_softmax(-1)
        targets = [*batch.tokens[row, :length].tolist(), 0]
        told = log_probs[0, range(length + 1), targets].sum()
        torch.testing.assert_close(told, likelihood[row])


def test_what_pads_a_batch_changes_no_loss(text: Path) -> None:
    trainer = trainer_of(text)
    plain = plain_copy(trainer.model)
    tokens, lengths = next(random_batches(trainer.corpus["train"], 16, seed=0))
    inside = torch.arange(tokens.shape[1]) < lengths[:, None]
    losses = []
    for filling in (0, 3):
        torch.manual_seed(0)
        losses.append(plain.loss(tokens.where(inside, filling), lengths))
    torch.testing.assert_close(*losses)


def telling_model(text: Path) -> tuple[VAE, TokenStore]:
    """A model whose likelihood depends on z, and a few sentences."""
    trainer = trainer_of(text)
    torch.nn.init.uniform_(trainer.model.decoder.output.weight, -2.0, 2.0)
    store = trainer.corpus["valid"]
    return trainer.model, TokenStore.from_ids(store.sentence(place) for place in range(6))


def test_importance_weighted_values_agree_within_monte_carlo_error(text: Path) -> None:
    model, store = telling_model(text)
    plain = plain_copy(model)
    samples = 4000
    ours = finish(evaluation.importance_weighted(model, store, samples, seed=0)).double()
    errors, bounds, elbos = [], [], []
    for place in range(len(store)):
        weights = log_weights(plain, torch.tensor(store.sentence(place)), samples)
        bounds.append(weights.logsumexp(dim=0) - torch.tensor(float(samples)).log())
        ratios = (weights - weights.max()).exp()
        errors.append(ratios.std() / ratios.mean() / samples**0.5)  # the delta method
        elbos.append(weights.mean())
    error = torch.stack(errors).square().mul(2).sum().sqrt() / len(store)  # of two means' gap
    found = torch.stack(bounds).mean()
    assert abs(ours.mean() - found) < 4 * error
    assert found - torch.stack(elbos).mean() > 20 * error  # so close that the ELBO would not do


def test_a_sentences_bound_is_the_mean_weight_however_many_chunks(text: Path) -> None:
    model, store = telling_model(text)
    plain = plain_copy(model)
    samples = 250  # two chunks and a half
    torch.manual_seed(0)
    bounds = importance_weighted(plain, store, samples)
    torch.manual_seed(0)
    for place, bound in enumerate(bounds):
        weights = log_weights(plain, torch.tensor(store.sentence(place)), samples)
        assert weights.shape == (samples,)
        torch.testing.assert_close(bound, weights.exp().mean().log())


def test_random_batches_hold_every_sentence_once(text: Path) -> None:
    store = prepare_corpus(small_config(text).data)["valid"]
    found = [
        tuple(row[:length].tolist())
        for tokens, lengths in random_batches(store, 4, seed=1)
        for row, length in zip(tokens, lengths.tolist(), strict=True)
    ]
    expected = [
        tuple(row[:length].tolist())
        for _, batch in ordered_batches(store, 4)
        for row, length in zip(batch.tokens, batch.lengths.tolist(), strict=True)
    ]
    assert sorted(found) == sorted(expected)
    assert found != expected
