"""Bounds against distributions whose mutual information is known in closed form."""

import math
from collections.abc import Callable

import pytest
import torch
from gaussian import GaussianChannel, assert_near
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mivae_cli.estimators.bounds import (
    donsker_varadhan,
    dual,
    infonce,
    log_mean_exp_product,
    nwj,
)


@st.composite
def score_matrices(draw: st.DrawFn) -> Tensor:
    """Any score matrix, with up to 32 extra rows."""
    size, extra = draw(st.integers(2, 24)), draw(st.integers(0, 32))
    scale = draw(st.floats(0, 20))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    return scale * torch.randn(size + extra, size, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(("dim", "scale"), [(1, 1.0), (4, 1.0), (8, 2.0)])
@pytest.mark.parametrize("xi", [0.1, 1.0, 10.0])
def test_the_optimal_critic_attains_the_information_at_every_xi(
    dim: int, scale: float, xi: float
) -> None:
    channel = GaussianChannel(dim, scale)
    log_xi = math.log(xi)
    estimates = [
        dual(channel.log_ratios(*channel.draw(256)) - log_xi, log_xi) for _ in range(64)
    ]  # Q 3, Q 4
    assert_near(torch.stack(estimates), channel.mutual_information)


@pytest.mark.parametrize("half_width", [0.1, 0.5])
def test_the_optimal_critic_attains_the_information_of_additive_uniform_noise(
    half_width: float,
) -> None:
    """For x uniform on [0, 1] and noise of half-width e <= 1/2, I(x; z) = e - ln 2 e."""
    estimates = []
    for _ in range(200):
        x = torch.rand(128, dtype=torch.float64)
        z = x + half_width * (2 * torch.rand_like(x) - 1)
        near = (z - x[:, None]).abs() <= half_width  # q(z | x) is flat there and 0 elsewhere
        overlap = (z + half_width).clamp(max=1) - (z - half_width).clamp(min=0)
        estimates.append(dual((-overlap.log()).expand(128, -1).masked_fill(~near, -math.inf), 0.0))
    assert_near(torch.stack(estimates), half_width - math.log(2 * half_width))


def test_what_is_computed_from_z_knows_no_more_of_x_than_z_does() -> None:
    """Data processing, with z's second half thrown away and optimal critics for both."""
    whole, half = GaussianChannel(4, 1.0), GaussianChannel(2, 1.0)
    gaps = []
    for _ in range(100):
        x, z = whole.draw(128)
        known = dual(half.log_ratios(x[:, :2], z[:, :2]), 0.0)
        gaps.append(dual(whole.log_ratios(x, z), 0.0) - known)
    terms = torch.stack(gaps)
    assert terms.mean() > 4 * terms.std() / 10
    assert_near(terms, whole.mutual_information - half.mutual_information)


def test_the_dual_at_a_fixed_xi_is_unbiased_even_on_tiny_batches() -> None:
    channel = GaussianChannel(2, 1.0)
    estimates = [dual(channel.log_ratios(*channel.draw(4)), 0.0) for _ in range(4000)]
    assert_near(torch.stack(estimates), channel.mutual_information)


def test_donsker_varadhan_is_biased_upward_on_tiny_batches() -> None:
    channel = GaussianChannel(2, 1.0)
    estimates = torch.stack(
        [donsker_varadhan(channel.log_ratios(*channel.draw(4))) for _ in range(4000)]
    )
    error = estimates.std() / len(estimates) ** 0.5
    assert estimates.mean() > channel.mutual_information + 5 * error


@given(score_matrices())
def test_the_dual_peaks_at_one_over_z_and_is_donsker_varadhan_there(scores: Tensor) -> None:
    log_xi = (-log_mean_exp_product(scores)).requires_grad_()
    value = dual(scores, log_xi)
    value.backward()
    assert log_xi.grad is not None
    torch.testing.assert_close(value, donsker_varadhan(scores), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(log_xi.grad, torch.zeros_like(log_xi), rtol=0, atol=1e-9)


@given(score_matrices(), st.floats(-5, 5))
def test_the_dual_never_exceeds_donsker_varadhan(scores: Tensor, log_xi: float) -> None:
    assert dual(scores, log_xi) <= donsker_varadhan(scores) + 1e-9


@given(score_matrices())
def test_nwj_is_what_its_formula_says(scores: Tensor) -> None:
    diagonal = torch.eye(*scores.shape, dtype=torch.bool)
    product = scores[~diagonal].exp().mean()
    expected = scores[diagonal].mean() - product / math.e
    torch.testing.assert_close(nwj(scores), expected, rtol=1e-9, atol=1e-9)


@given(score_matrices())
def test_infonce_never_exceeds_the_log_of_its_rows(scores: Tensor) -> None:
    assert infonce(scores) <= math.log(len(scores)) + 1e-9


@given(score_matrices(), st.floats(-5, 5))
def test_a_constant_shift_changes_nothing_but_the_dual(scores: Tensor, shift: float) -> None:
    for bound in (donsker_varadhan, infonce):
        torch.testing.assert_close(bound(scores + shift), bound(scores))
    # the dual undoes a shift through xi
    torch.testing.assert_close(dual(scores + shift, -shift), dual(scores, 0.0))


@pytest.mark.parametrize("bound", [donsker_varadhan, infonce, nwj, lambda s: dual(s, 0.0)])
def test_a_constant_critic_certifies_nothing(bound: Callable[[Tensor], Tensor]) -> None:
    assert bound(torch.zeros(7, 5)) <= 1e-6


def test_clipping_caps_product_pairs_and_leaves_joint_ones() -> None:
    scores = torch.tensor([[3.0, 50.0], [0.0, 4.0]])
    expected = 3.5 - (math.exp(5) + math.exp(0)) / 2 + 1
    assert float(dual(scores, 0.0, clip=5.0)) == pytest.approx(expected)


def test_huge_scores_do_not_overflow() -> None:
    scores = torch.full((4, 4), 1e4)
    assert donsker_varadhan(scores).isfinite()
    assert float(dual(scores, -1e4)) == pytest.approx(0.0, abs=1e-3)
