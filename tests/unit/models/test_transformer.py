"""The Transformer pair against torch's own layers, and what its sizes cost."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mivae_cli.models import transformer
from mivae_cli.models.transformer import TransformerDecoder, TransformerEncoder
from mivae_cli.models.vae import VAE
from support.networks import SENTENCES, batch_of, model_of

BOTH = {"kind": "transformer", "layers": 2}
OURS = {  # and what torch calls them
    "projection.weight": "self_attn.in_proj_weight",
    "projection.bias": "self_attn.in_proj_bias",
    "attended": "self_attn.out_proj",
    "attention_norm": "norm1",
    "feedforward_norm": "norm2",
    "hidden": "linear1",
    "feedforward": "linear2",
}


def torchs_own(network: nn.Module) -> nn.TransformerEncoder:
    """Torch's stack of layers, with the weights of ours."""
    layer = nn.TransformerEncoderLayer(
        6, 3, 9, dropout=0.0, activation="gelu", norm_first=True, batch_first=True
    )
    norm = nn.LayerNorm(6)
    stack = nn.TransformerEncoder(layer, 2, norm=norm, enable_nested_tensor=False).double()
    weights = network.state_dict()
    for ours, theirs in OURS.items():
        weights = {name.replace(f".{ours}", f".{theirs}"): w for name, w in weights.items()}
    stack.load_state_dict(weights)
    return stack


def shaken(model: VAE) -> VAE:
    """Gives biases and norms values that are not what they begin with."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def waves(places: int, width: int = 6) -> Tensor:
    """The sinusoids, number by number."""
    rates = [10_000 ** (-2 * pair / width) for pair in range(width // 2)]
    rows = [
        [f(place * rate) for f in (math.sin, math.cos) for rate in rates]
        for place in range(places)
    ]
    return torch.tensor(rows, dtype=torch.float64)


def test_the_encoder_is_torchs_own_stack_under_the_mean() -> None:
    encoder = shaken(model_of({**BOTH, "pooling": "mean"})).encoder
    assert isinstance(encoder, TransformerEncoder)
    for sentence in SENTENCES:
        batch = batch_of(sentence)
        words = encoder.embedding(batch.tokens) * math.sqrt(6) + waves(len(sentence))
        expected = torchs_own(encoder.transformer)(words).mean(dim=1)
        torch.testing.assert_close(encoder(batch), expected)


def test_a_language_model_is_torchs_own_stack_under_a_causal_mask() -> None:
    decoder = shaken(model_of(None, BOTH, latent_size=0)).decoder
    words = decoder.embedding(batch_of([2, 3, 4, 5]).inputs())
    mask = nn.Transformer.generate_square_subsequent_mask(5, dtype=torch.float64)
    placed = words * math.sqrt(6) + waves(5)
    expected = torchs_own(decoder.network)(placed, mask)
    found = decoder._states(words, words.new_zeros(1, 0))
    torch.testing.assert_close(found, expected)


def test_z_is_a_place_before_all_words_with_a_key_and_a_value_of_its_own() -> None:
    """One layer, by the equations: softmax over z and the words so far."""
    decoder = shaken(model_of(None, {**BOTH, "layers": 1, "heads": 1})).decoder
    assert isinstance(decoder, TransformerDecoder)
    z = torch.randn(3, dtype=torch.float64)
    words = decoder.embedding(torch.tensor([0, 2, 3]))
    layer: Any = decoder.transformer.layers[0]  # whose parts may be called
    states = words * math.sqrt(6) + waves(3) + decoder.added.weight @ z
    queries, keys, values = layer.projection(layer.attention_norm(states)).chunk(3, dim=-1)
    key, value = decoder.memory(z).chunk(2)
    for place in range(3):
        scores = torch.stack([key, *keys[: place + 1]]) @ queries[place] / math.sqrt(6)
        found = scores.softmax(dim=0) @ torch.stack([value, *values[: place + 1]])
        state = states[place] + layer.attended(found)
        hidden = nn.functional.gelu(layer.hidden(layer.feedforward_norm(state)))
        expected = decoder.transformer.norm(state + layer.feedforward(hidden))
        torch.testing.assert_close(decoder._states(words[None], z[None])[0, place], expected)


@pytest.mark.parametrize("width", [5, 6])
def test_a_word_knows_its_place(width: int) -> None:
    """An odd width has room for a sine more; places read later on are the same places."""
    words = torch.zeros(1, 9, width, dtype=torch.float64)
    found = transformer._with_positions(words)
    torch.testing.assert_close(found[:, 4:], transformer._with_positions(words[:, 4:], 4))
    assert len(found[0].unique(dim=0)) == 9


def test_the_order_of_words_counts_for_the_encoder() -> None:
    model = model_of({**BOTH, "pooling": "mean"})
    first, second = (model.encoder(batch_of(sentence)) for sentence in ([2, 3, 4], [4, 3, 2]))
    assert not torch.allclose(first, second)


@torch.no_grad()
def test_no_sentence_is_too_long() -> None:
    model = model_of(BOTH, BOTH).eval()
    batch = batch_of([2, 3, 4, 5] * 300)
    posterior = model.encode(batch).posterior
    assert posterior.mean.isfinite().all()
    per_token = model.log_likelihood(batch, posterior.mean) / 1201
    assert -2 * math.log(7) < float(per_token) < 0


@torch.no_grad()
def test_samples_are_scored_so_many_tokens_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch = model_of(None, BOTH).eval(), batch_of([2] * 9, [3], [4, 5], padding=3)
    assert isinstance(model.decoder, TransformerDecoder)
    read, sizes = model.decoder._states, list[tuple[int, int]]()

    def watched(words: Tensor, z: Tensor) -> Tensor:
        sizes.append((words.shape[0], words.shape[1]))
        return read(words, z)

    monkeypatch.setattr(model.decoder, "_states", watched)
    monkeypatch.setattr(transformer, "TOKENS", 20)
    model.log_likelihood(batch, torch.randn(5, 3, 3, dtype=torch.float64))
    assert sizes == [(2, 10), (2, 10), (2, 10), (6, 3), (3, 2)]
    monkeypatch.setattr(transformer, "TOKENS", 1)
    sizes.clear()
    model.log_likelihood(batch, torch.randn(2, 3, 3, dtype=torch.float64))
    assert sizes == [(1, 10)] * 2 + [(1, 3)] * 2 + [(1, 2)] * 2


@pytest.mark.parametrize("latent_size", [0, 3])
def test_half_precision_is_close(latent_size: int) -> None:
    model = model_of(BOTH, BOTH, latent_size).float()
    batch, z = batch_of(*SENTENCES), torch.randn(3, latent_size)
    expected = model.log_likelihood(batch, z)
    with torch.autocast("cpu", torch.bfloat16):
        found = model.log_likelihood(batch, z)
        posterior = model.encode(batch).posterior
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0.05)
    assert posterior.mean.dtype == torch.float32
