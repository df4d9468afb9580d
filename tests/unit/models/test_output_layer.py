"""The output layer against torch's own cross-entropy: values, gradients, extremes, chunks."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from mivae_cli.models import output_layer as output
from mivae_cli.models.output_layer import OutputLayer

SENTENCES, STEPS, HIDDEN, VOCABULARY = 4, 6, 5, 11
UNEQUAL = [0.5, -1.0, 0.0, 2.0]


def example(dtype: torch.dtype = torch.float64) -> tuple[OutputLayer, Tensor, Tensor, Tensor]:
    layer = OutputLayer(HIDDEN, VOCABULARY).to(dtype)
    states = torch.randn(SENTENCES, STEPS, HIDDEN, dtype=dtype, requires_grad=True)
    targets = torch.randint(VOCABULARY, (SENTENCES, STEPS))
    mask = torch.arange(STEPS) < torch.tensor([6, 1, 3, 4])[:, None]
    return layer, states, targets, mask


def plain(layer: OutputLayer, states: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    losses = cross_entropy(layer(states).transpose(1, 2), targets, reduction="none")
    return -losses * mask


def gradients(loss: Tensor, layer: OutputLayer, states: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(loss, [states, layer.weight, layer.bias], retain_graph=True)


@pytest.mark.parametrize("logits", [8_000_000, 3 * VOCABULARY, 1])
@pytest.mark.parametrize("weights", [[0.25] * SENTENCES, UNEQUAL])
def test_values_and_gradients_are_those_of_the_plain_way(
    logits: int, weights: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "LOGITS", logits)
    layer, *given = example()
    expected, found = plain(layer, *given), layer.log_prob(*given)
    torch.testing.assert_close(found, expected)
    assert (found[~given[2]] == 0).all()
    weighted = torch.tensor(weights, dtype=torch.float64)
    wanted = gradients(expected.sum(dim=-1) @ weighted, layer, given[0])
    for _ in range(2):  # asked for again, they must be the same
        torch.testing.assert_close(
            gradients(found.sum(dim=-1) @ weighted, layer, given[0]), wanted
        )


def test_gradients_are_the_derivatives_of_the_values() -> None:
    layer, states, targets, mask = example()
    assert torch.autograd.gradcheck(
        lambda states: layer.log_prob(states, targets, mask).sum(dim=-1), (states,)
    )


@pytest.mark.parametrize("size", [1.0, 1e2, 1e4])
def test_extreme_logits_overflow_nothing(size: float) -> None:
    layer, states, targets, mask = example(torch.float32)
    with torch.no_grad():
        layer.weight.mul_(size)
    found, expected = layer.log_prob(states, targets, mask), plain(layer, states, targets, mask)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6 * size)
    assert all(gradient.isfinite().all() for gradient in gradients(found.mean(), layer, states))


def test_without_gradients_the_values_are_the_same_and_the_work_a_third(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layer, *given = example()
    expected = layer.log_prob(*given)
    monkeypatch.setattr(output, "_losses_and_gradients", None)  # it would fail if it were called
    with torch.no_grad():
        torch.testing.assert_close(layer.log_prob(*given), expected)
    layer.requires_grad_(False)
    torch.testing.assert_close(layer.log_prob(given[0].detach(), *given[1:]), expected)


def test_a_layer_that_does_not_learn_passes_the_same_gradients_on() -> None:
    layer, *given = example()
    (wanted,) = torch.autograd.grad(layer.log_prob(*given).sum(), given[0])
    layer.requires_grad_(False)
    (found,) = torch.autograd.grad(layer.log_prob(*given).sum(), given[0])
    assert torch.equal(found, wanted)
    assert layer.weight.grad is None


def test_without_a_mask_every_target_counts() -> None:
    layer, states, targets, _ = example()
    everywhere = torch.ones_like(targets, dtype=torch.bool)
    assert torch.equal(
        layer.log_prob(states, targets), layer.log_prob(states, targets, everywhere)
    )


def test_half_precision_products_keep_single_precision_probabilities() -> None:
    layer, states, targets, mask = example(torch.float32)
    expected = plain(layer, states, targets, mask)
    with torch.autocast("cpu", torch.bfloat16):
        found = layer.log_prob(states, targets, mask)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02)
    wanted = gradients(expected.sum(), layer, states)
    for gradient, true in zip(gradients(found.sum(), layer, states), wanted, strict=True):
        assert gradient.dtype == torch.float32
        torch.testing.assert_close(gradient, true, rtol=0.05, atol=0.05)


def test_no_tensor_of_all_logits_is_kept() -> None:
    layer, states, targets, mask = example()
    kept = list[int]()

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        layer.log_prob(states, targets, mask)
    real = int(mask.sum())
    assert kept
    assert max(kept) < real * VOCABULARY
