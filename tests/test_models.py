"""Encoders and decoders: padding changes nothing, no future leaks, probabilities sum to one."""

import itertools
import math
from typing import get_args

import pytest
import torch
from torch import Tensor

from mivae_cli.config import LSTMDecoderConfig, LSTMEncoderConfig, ModelConfig, Pooling
from mivae_cli.data.batches import Batch
from mivae_cli.data.tokenizer import BOUNDARY
from mivae_cli.models.vae import VAE, build_model

VOCABULARY = 7


def model_of(
    pooling: Pooling = "max", bidirectional: bool = False, latent_size: int = 3, **decoder: object
) -> VAE:
    config = ModelConfig(
        latent_size=latent_size,
        encoder=LSTMEncoderConfig(
            embedding_size=5, hidden_size=6, pooling=pooling, bidirectional=bidirectional
        ),
        decoder=LSTMDecoderConfig.model_validate(
            {"embedding_size": 6, "hidden_size": 6, "dropout": 0.0, **decoder}
        ),
    )
    return build_model(config, VOCABULARY).double()


def batch_of(*sentences: list[int], padding: int = 0) -> Batch:
    lengths = torch.tensor([len(sentence) for sentence in sentences])
    width = int(lengths.max()) + padding
    rows = [sentence + [BOUNDARY] * (width - len(sentence)) for sentence in sentences]
    return Batch(torch.tensor(rows), lengths)


MODELS = [
    model_of(pooling, bidirectional)
    for pooling in get_args(Pooling)
    for bidirectional in (False, True)
]
SENTENCES = ([2, 3, 4, 5], [6], [3, 3, 2])


@pytest.mark.parametrize("model", MODELS)
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


@pytest.mark.parametrize("model", MODELS)
def test_a_sentence_is_encoded_the_same_alone_and_in_company(model: VAE) -> None:
    together = model.encode(batch_of(*SENTENCES)).posterior.parameters()
    alone = [model.encode(batch_of(sentence)).posterior.parameters() for sentence in SENTENCES]
    torch.testing.assert_close(together, torch.cat(alone))


def test_poolings_are_what_their_names_say() -> None:
    model = model_of()
    batch = batch_of([2, 3, 4])
    states, _ = model.encoder.lstm(model.encoder.embedding(batch.tokens))
    expected: dict[Pooling, Tensor] = {
        "last": states[:, -1],
        "mean": states.mean(dim=1),
        "max": states.max(dim=1).values,
    }
    for pooling, features in expected.items():
        model.encoder.pooling = pooling
        torch.testing.assert_close(model.encoder(batch), features)


@torch.no_grad()
@pytest.mark.parametrize("latent_size", [0, 3])
def test_the_probabilities_of_all_sentences_and_prefixes_sum_to_one(latent_size: int) -> None:
    """Every string of two words has one fate: it has ended by then, or goes on."""
    model = model_of(latent_size=latent_size)
    z = torch.randn(1, latent_size, dtype=torch.float64)
    words = range(1, VOCABULARY)
    ended = [[a] for a in words] + [list(pair) for pair in itertools.product(words, words)]
    total = sum(float(model.log_likelihood(batch_of(sentence), z).exp()) for sentence in ended)
    # what remains: the empty sentence, and those of three words or more
    state = model.decoder.start(z)
    first, _ = model.decoder.step(torch.tensor([BOUNDARY]), state)
    total += float(first.softmax(dim=-1)[0, BOUNDARY])
    for pair in itertools.product(words, words):
        logits, state = model.decoder.step(torch.tensor([BOUNDARY]), model.decoder.start(z))
        probability = 0.0
        for word in pair:
            probability += float(logits.log_softmax(dim=-1)[0, word])
            logits, state = model.decoder.step(torch.tensor([word]), state)
        total += math.exp(probability) * (1 - float(logits.softmax(dim=-1)[0, BOUNDARY]))
    assert total == pytest.approx(1.0, abs=1e-9)


def test_a_later_word_changes_no_earlier_probability(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of()
    z = torch.randn(1, 3, dtype=torch.float64)
    log_prob, seen = model.decoder.output.log_prob, list[Tensor]()

    def watched(states: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
        seen.append(log_prob(states, targets, mask))
        return seen[-1]

    monkeypatch.setattr(model.decoder.output, "log_prob", watched)
    for sentence in ([2, 3, 4, 5, 6, 2], [2, 3, 4, 5, 3, 2]):
        model.log_likelihood(batch_of(sentence), z)
    before, after = (log_probs[0] for log_probs in seen)
    assert torch.equal(before[:4], after[:4])
    assert not torch.isclose(before[4:], after[4:]).any()


@pytest.mark.parametrize("latent_size", [0, 3])
@pytest.mark.parametrize("learning", [True, False])  # with gradients it goes another way
def test_several_latents_a_sentence_are_scored_as_if_one_by_one(
    learning: bool, latent_size: int
) -> None:
    model = model_of(latent_size=latent_size).eval()
    batch = batch_of(*SENTENCES, padding=1)
    z = torch.randn(4, 3, latent_size, dtype=torch.float64)
    with torch.set_grad_enabled(learning):
        together = model.log_likelihood(batch, z)
    alone = torch.stack([model.log_likelihood(batch, k) for k in z])
    torch.testing.assert_close(together, alone)
    assert together.requires_grad == learning


def test_dropout_hides_the_asked_share_and_keeps_the_mean() -> None:
    dropped = model_of(dropout=0.3).train().decoder.dropout(torch.ones(100_000))
    assert float((dropped == 0).float().mean()) == pytest.approx(0.3, abs=0.01)
    assert float(dropped.max()) == pytest.approx(1 / 0.7)


@torch.no_grad()
def test_step_by_step_and_whole_sentences_agree() -> None:
    model = model_of()
    sentence, z = [2, 5, 3], torch.randn(1, 3, dtype=torch.float64)
    state, previous, total = model.decoder.start(z), BOUNDARY, 0.0
    for word in [*sentence, BOUNDARY]:
        logits, state = model.decoder.step(torch.tensor([previous]), state)
        total += float(logits.log_softmax(dim=-1)[0, word])
        previous = word
    assert float(model.log_likelihood(batch_of(sentence), z)) == pytest.approx(total)


def test_the_decoder_listens_to_z() -> None:
    model = model_of()
    batch = batch_of([2, 3])
    here, there = (
        model.log_likelihood(batch, torch.full((1, 3), value, dtype=torch.float64))
        for value in (-2.0, 2.0)
    )
    assert not torch.allclose(here, there)


def test_word_dropout_hides_words_in_training_only_and_never_the_start() -> None:
    model = model_of(word_dropout=0.9)
    inputs = batch_of([2, 3, 4, 5, 6, 2, 3, 4]).inputs()
    model.train()
    dropped = model.decoder._dropped(inputs)
    assert dropped[0, 0] == BOUNDARY
    assert (dropped[0, 1:] == 1).sum() >= 4
    model.eval()
    assert torch.equal(model.decoder._dropped(inputs), inputs)


def test_tied_weights_are_one_tensor() -> None:
    model = model_of(tie_weights=True)
    assert model.decoder.output.words is model.decoder.embedding.weight
    assert model.decoder.output.matrix.T.equal(model.decoder.embedding.weight)


def test_initial_weights_lie_within_the_asked_range() -> None:
    config = ModelConfig(init_scale=0.01)
    model = build_model(config, VOCABULARY)
    for name, parameter in model.named_parameters():
        limit = 0.1 if "embedding" in name else 0.01
        assert 0 < parameter.abs().max() <= limit, name


def test_a_language_model_has_no_latent_and_no_encoder() -> None:
    model = model_of(latent_size=0)
    encoding = model.encode(batch_of(*SENTENCES))
    assert encoding.posterior.mean.shape == (3, 0)
    assert encoding.posterior.rates().sum() == 0
    assert not hasattr(model, "encoder")
