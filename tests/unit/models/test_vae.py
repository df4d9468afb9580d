"""Whole models and their encoders: padding changes nothing, poolings are what they say."""

import pytest
import torch
from torch import Tensor

from mivae_cli.choices import Pooling
from mivae_cli.config.model import ModelConfig
from mivae_cli.models.dropout import WordDropout
from mivae_cli.models.encoders import RecurrentEncoder
from mivae_cli.models.vae import VAE, build_model
from support.networks import DECODERS, ENCODERS, SENTENCES, VOCABULARY, batch_of, model_of, name_of

# every encoder with some decoder, and every decoder with some encoder
PAIRS = [(encoder, DECODERS[place % len(DECODERS)]) for place, encoder in enumerate(ENCODERS)]
MODELS = [model_of(encoder, decoder) for encoder, decoder in PAIRS]
every_model = pytest.mark.parametrize(
    "model", MODELS, ids=[f"{name_of(encoder)}+{name_of(decoder)}" for encoder, decoder in PAIRS]
)


@every_model
def test_padding_changes_no_posterior_likelihood_or_gradient(model: VAE) -> None:
    results = []
    for padding in (0, 4):
        batch = batch_of(*SENTENCES, padding=padding)
        posterior = model.encode(batch).posterior
        likelihood = model.log_likelihood(batch, posterior.mean)
        model.zero_grad()
        (likelihood.sum() - posterior.rates().sum()).backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        results.append((posterior.parameters(), likelihood, *gradients))
    assert len(results[0]) == len(results[1]) > 10
    for plain, padded in zip(*results, strict=True):
        torch.testing.assert_close(plain, padded)


@every_model
def test_a_sentence_is_read_and_scored_the_same_alone_and_in_company(model: VAE) -> None:
    batches = [batch_of(*SENTENCES), *(batch_of(sentence) for sentence in SENTENCES)]
    posteriors = [model.encode(batch).posterior for batch in batches]
    together, *alone = (posterior.parameters() for posterior in posteriors)
    torch.testing.assert_close(together, torch.cat(alone))
    together, *alone = (
        model.log_likelihood(batch, posterior.mean)
        for batch, posterior in zip(batches, posteriors, strict=True)
    )
    torch.testing.assert_close(together, torch.cat(alone))


@every_model
def test_every_word_and_every_weight_counts(model: VAE) -> None:
    """A sum of posterior and likelihood leaves no weight without a gradient."""
    batch = batch_of(*SENTENCES, [6, 5, 4, 3, 2])
    posterior = model.encode(batch).posterior
    model.zero_grad()
    (model.log_likelihood(batch, posterior.mean).sum() + posterior.parameters().sum()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("encoder", ENCODERS, ids=name_of)
def test_a_word_at_any_place_may_change_the_features(encoder: dict[str, object]) -> None:
    """The last state of what reads one way, and any pooling of what reads both ways, see all."""
    model = model_of(encoder)
    plain = model.encoder(batch_of([2, 3, 4, 5]))
    for place in range(4):
        sentence = [2, 3, 4, 5]
        sentence[place] = 6
        assert not torch.allclose(plain, model.encoder(batch_of(sentence)))


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_poolings_are_what_their_names_say(kind: str, layers: int) -> None:
    model = model_of({"kind": kind, "layers": layers})
    batch = batch_of([2, 3, 4])
    assert isinstance(model.encoder, RecurrentEncoder)
    states, _ = model.encoder.network(model.encoder.embedding(batch.tokens))
    expected: dict[Pooling, Tensor] = {
        "last": states[:, -1],
        "mean": states.mean(dim=1),
        "max": states.max(dim=1).values,
    }
    for pooling, features in expected.items():
        model.encoder.pooling = pooling
        torch.testing.assert_close(model.encoder(batch), features)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_the_last_states_of_both_ways_are_those_of_the_highest_layer(kind: str) -> None:
    model = model_of({"kind": kind, "layers": 2, "bidirectional": True, "pooling": "last"})
    batch = batch_of([2, 3, 4])
    assert isinstance(model.encoder, RecurrentEncoder)
    states, _ = model.encoder.network(model.encoder.embedding(batch.tokens))
    forwards, backwards = states.chunk(2, dim=-1)
    expected = torch.cat([forwards[:, -1], backwards[:, 0]], dim=-1)
    torch.testing.assert_close(model.encoder(batch), expected)


def test_dropout_hides_the_asked_share_and_keeps_the_mean() -> None:
    model = model_of(decoder={"dropout": 0.3}).train()
    dropped = model.decoder.dropout(torch.ones(100_000))
    assert float((dropped == 0).float().mean()) == pytest.approx(0.3, abs=0.01)
    assert float(dropped.max()) == pytest.approx(1 / 0.7)


@pytest.mark.parametrize("settings", [*ENCODERS[-4:], *ENCODERS[:4]], ids=name_of)
def test_dropout_acts_in_training_only(settings: dict[str, object]) -> None:
    settings = {**settings, "dropout": 0.5}
    decoder = {
        key: value for key, value in settings.items() if key in {"kind", "layers", "dropout"}
    }
    model = model_of(settings, decoder)
    batch, z = batch_of(*SENTENCES), torch.ones(3, 3, dtype=torch.float64)
    for training in (True, False):
        model.train(training)
        for once, again in (
            (model.encoder(batch), model.encoder(batch)),
            (model.log_likelihood(batch, z), model.log_likelihood(batch, z)),
        ):
            assert torch.equal(once, again) != training


def test_word_dropout_hides_words_in_training_only_and_never_the_start() -> None:
    inputs = batch_of([2, 3, 4, 5, 6, 2, 3, 4]).inputs()
    word_dropout = WordDropout(0.9).train()
    dropped = word_dropout(inputs)
    assert torch.equal(dropped[:, :1], inputs[:, :1])
    assert (dropped[0, 1:] == 1).sum() >= 4
    assert torch.equal(word_dropout.eval()(inputs), inputs)


@pytest.mark.parametrize("decoder", DECODERS, ids=name_of)
def test_decoders_hide_words_in_training(decoder: dict[str, object]) -> None:
    model = model_of(decoder={**decoder, "word_dropout": 0.5}, latent_size=0).train()
    batch, z = batch_of([2, 3, 4, 5, 6, 2, 3, 4]), torch.zeros(1, 0, dtype=torch.float64)
    assert model.log_likelihood(batch, z) != model.log_likelihood(batch, z)


@pytest.mark.parametrize("kind", ["lstm", "transformer"])
def test_tied_weights_are_one_tensor(kind: str) -> None:
    model = model_of(decoder={"kind": kind, "tie_weights": True})
    assert model.decoder.output.words is model.decoder.embedding.weight
    assert model.decoder.output.matrix.T.equal(model.decoder.embedding.weight)


@pytest.mark.parametrize("kind", ["lstm", "gru", "transformer"])
def test_initial_weights_lie_within_the_asked_range(kind: str) -> None:
    table = {"init_scale": 0.01, "encoder": {"kind": kind}, "decoder": {"kind": kind}}
    model = build_model(ModelConfig.model_validate(table), VOCABULARY)
    for name, parameter in model.named_parameters():
        if "norm" in name:  # as torch begins
            assert parameter.unique().tolist() in ([0.0], [1.0]), name
            continue
        limit = 0.1 if "embedding" in name else 0.01
        assert 0 < parameter.abs().max() <= limit, name


@pytest.mark.parametrize("decoder", DECODERS, ids=name_of)
def test_a_language_model_has_no_latent_and_no_encoder(decoder: dict[str, object]) -> None:
    model = model_of(decoder=decoder, latent_size=0)
    encoding = model.encode(batch_of(*SENTENCES))
    assert encoding.posterior.mean.shape == (3, 0)
    assert encoding.posterior.rates().sum() == 0
    assert not hasattr(model, "encoder")
    assert all(parameter.numel() for parameter in model.parameters())
