"""Decoders of every kind: no future leaks, probabilities sum to one, every way says the same."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from mivae_cli.data.batches import Batch
from mivae_cli.data.tokenizer import BOUNDARY
from mivae_cli.models.decoders import State
from mivae_cli.models.transformer import TransformerDecoder
from mivae_cli.models.vae import VAE
from support.networks import DECODERS, SENTENCES, VOCABULARY, batch_of, model_of, name_of

every_decoder = pytest.mark.parametrize("decoder", DECODERS, ids=name_of)
with_and_without_latent = pytest.mark.parametrize("latent_size", [0, 3])


def latents(count: int, latent_size: int = 3) -> Tensor:
    return torch.randn(count, latent_size, dtype=torch.float64)


def log_probs_of(model: VAE, batch: Batch, z: Tensor) -> Tensor:
    """The distribution of every word of sentences (B, T + 1, V), read in one go."""
    states = model.decoder._states(model.decoder.embedding(batch.inputs()), z)
    found: Tensor = model.decoder.output(states.flatten(end_dim=1)).log_softmax(dim=-1)
    return found.view(*states.shape[:2], -1)


def stepped(model: VAE, inputs: Tensor, z: Tensor) -> tuple[Tensor, list[State]]:
    """The same, word by word, and the states in between."""
    state, found, states = model.decoder.start(z), [], []
    for previous in inputs.T:
        logits, state = model.decoder.step(previous, state)
        found.append(logits.log_softmax(dim=-1))
        states.append(state)
    return torch.stack(found, dim=1), states


@every_decoder
@with_and_without_latent
def test_word_by_word_and_whole_sentences_agree(decoder: dict[str, Any], latent_size: int) -> None:
    model, batch = model_of(None, decoder, latent_size).eval(), batch_of(*SENTENCES)
    z = latents(3, latent_size)
    expected, (found, _) = log_probs_of(model, batch, z), stepped(model, batch.inputs(), z)
    torch.testing.assert_close(found, expected)
    said = expected.gather(2, batch.targets()[..., None])[..., 0]
    total = torch.where(batch.target_mask(), said, 0.0).sum(dim=1)
    torch.testing.assert_close(model.log_likelihood(batch, z), total)


@torch.no_grad()
@every_decoder
@with_and_without_latent
def test_the_probabilities_of_all_sentences_and_prefixes_sum_to_one(
    decoder: dict[str, Any], latent_size: int
) -> None:
    """Every string of two words has one fate: it has ended by then, or goes on."""
    model = model_of(None, decoder, latent_size)
    words = range(1, VOCABULARY)
    pairs = list(itertools.product(words, words))
    ended = batch_of(*([a] for a in words), *(list(pair) for pair in pairs))
    z = latents(1, latent_size).expand(len(ended), -1)
    total = float(model.log_likelihood(ended, z).exp().sum())
    # what remains: the empty sentence, and those of three words or more
    inputs = torch.tensor([[BOUNDARY, *pair] for pair in pairs])
    log_probs, _ = stepped(model, inputs, z[: len(pairs)])
    total += float(log_probs[0, 0, BOUNDARY].exp())
    said = log_probs[:, :2].gather(2, inputs[:, 1:, None])[..., 0].sum(dim=1)
    total += float((said.exp() * (1 - log_probs[:, 2, BOUNDARY].exp())).sum())
    assert total == pytest.approx(1.0, abs=1e-9)


@every_decoder
@with_and_without_latent
def test_a_later_word_changes_no_earlier_probability(
    decoder: dict[str, Any], latent_size: int
) -> None:
    model, z = model_of(None, decoder, latent_size), latents(1, latent_size)
    before, after = (
        log_probs_of(model, batch_of(sentence), z)[0]
        for sentence in ([2, 3, 4, 5, 6, 2], [2, 3, 4, 5, 3, 2])
    )
    torch.testing.assert_close(before[:5], after[:5], rtol=0, atol=1e-14)
    assert not torch.isclose(before[5:], after[5:], rtol=0).all(dim=1).any()


@every_decoder
def test_no_gradient_reaches_a_later_word_and_some_reaches_all_earlier_ones(
    decoder: dict[str, Any],
) -> None:
    model = model_of(None, decoder)
    words = model.decoder.embedding(batch_of([2, 3, 4, 5]).inputs()).detach().requires_grad_()
    states = model.decoder._states(words, latents(1))
    for place in range(5):
        weights = torch.randn_like(states[0, place])  # a norm leaves a plain sum at 0
        (states[0, place] @ weights).backward(retain_graph=True)
        assert words.grad is not None
        size = words.grad[0].abs().sum(dim=-1)
        assert (size[: place + 1] > 1e-9).all()
        assert (size[place + 1 :] == 0).all()
        words.grad = None


@every_decoder
@with_and_without_latent
@pytest.mark.parametrize("learning", [True, False])  # with gradients it goes another way
def test_several_latents_a_sentence_are_scored_as_if_one_by_one(
    decoder: dict[str, Any], learning: bool, latent_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mivae_cli.models.transformer.TOKENS", 12)  # so that it takes some pieces
    model = model_of(None, decoder, latent_size).eval()
    batch = batch_of(*SENTENCES, padding=1)
    z = torch.randn(4, 3, latent_size, dtype=torch.float64)
    with torch.set_grad_enabled(learning):
        together = model.log_likelihood(batch, z)
    alone = torch.stack([model.log_likelihood(batch, k) for k in z])
    torch.testing.assert_close(together, alone)
    assert together.requires_grad == learning


@every_decoder
def test_states_are_chosen_by_rows(decoder: dict[str, Any]) -> None:
    """Some sentences go on, others fork, in any order: each as if it had been alone."""
    model, batch, z = model_of(None, decoder), batch_of([2, 3], [4, 5], [6, 2]), latents(3)
    inputs, rows = batch.inputs(), torch.tensor([2, 0, 0])
    expected, states = stepped(model, inputs[rows], z[rows])
    _, all_states = stepped(model, inputs, z)
    next_words = torch.tensor([3, 4, 5])
    for known, state in zip(all_states, states, strict=True):
        found, _ = model.decoder.step(next_words, known[rows])
        again, _ = model.decoder.step(next_words, state)
        torch.testing.assert_close(found, again)
        first, _ = model.decoder.step(next_words[:2], known[:2])
        alone, _ = model.decoder.step(next_words[1:2], known[1:2])
        torch.testing.assert_close(first[1:], alone)
    assert not torch.allclose(expected[0], expected[1])


def silence(model: VAE, path: str) -> None:
    """Takes away one of the two ways by which a decoder hears z."""
    transformer = isinstance(model.decoder, TransformerDecoder)
    match path:
        case "words" if transformer:
            name = "added.weight"
        case "words":
            name = f"{model.decoder.kind}.weight_ih_l0"
        case _:
            name = "memory.weight" if transformer else "initial.weight"
    with torch.no_grad():
        model.decoder.get_parameter(name)[:, -3:] = 0  # the columns of z


@every_decoder
@pytest.mark.parametrize("silenced", [None, "words", "beginning", "both"])
def test_the_decoder_listens_to_z_at_every_word_in_two_ways(
    decoder: dict[str, Any], silenced: str | None
) -> None:
    model, batch = model_of(None, decoder), batch_of([2, 3, 4, 5])
    for path in ("words", "beginning"):
        if silenced in (path, "both"):
            silence(model, path)
    here, there = (
        log_probs_of(model, batch, torch.full((1, 3), value, dtype=torch.float64))[0]
        for value in (-2.0, 2.0)
    )
    same = torch.isclose(here, there, rtol=0, atol=1e-9).all(dim=1)
    assert same.all() if silenced == "both" else not same.any()


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_every_layer_begins_from_its_own_function_of_z(kind: str) -> None:
    model, z = model_of(None, {"kind": kind, "layers": 3}), latents(2)
    weight = model.decoder.get_parameter("initial.weight")
    bias = model.decoder.get_parameter("initial.bias")
    layers = model.decoder.start(z).layers
    assert len(layers) == 3
    for place, layer in enumerate(layers):
        rows = slice(6 * place, 6 * place + 6)
        cell = z @ weight[rows].T + bias[rows]
        expected = (cell.tanh(), cell) if kind == "lstm" else (cell.tanh(),)
        torch.testing.assert_close(layer, expected)


@every_decoder
def test_a_handful_of_sentences_is_learnt_by_heart(decoder: dict[str, Any]) -> None:
    model, batch = model_of(None, decoder), batch_of(*SENTENCES)
    z = torch.eye(3, dtype=torch.float64)
    optimizer = torch.optim.Adam(model.decoder.parameters(), lr=0.05)
    losses = []
    for _ in range(60):
        loss = -model.log_likelihood(batch, z).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 3
    assert 0 < losses[-1] < 0.1
