"""Bounds against distributions whose mutual information is known in closed form."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from mivae_cli.errors import DataError
from mivae_cli.estimators.bounds import (
    Scores,
    donsker_varadhan,
    dual,
    infonce,
    interpolated,
    jensen_shannon,
    log_mean_exp_product,
    nwj,
    smile,
    tuba,
)
from mivae_cli.estimators.upper_bounds import club
from support.gaussian import GaussianChannel, assert_near

ALPHAS = st.floats(0.01, 0.99)


@st.composite
def score_matrices(draw: st.DrawFn) -> Tensor:
    """Any score matrix, with up to 32 extra rows."""
    size, extra = draw(st.integers(2, 24)), draw(st.integers(0, 32))
    scale = draw(st.floats(0, 20))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    return scale * torch.randn(size + extra, size, generator=generator, dtype=torch.float64)


def some_baseline(scores: Tensor, seed: int) -> Tensor:
    """Returns one log a(z) for each column."""
    generator = torch.Generator().manual_seed(seed)
    return 5 * torch.randn(scores.shape[1], generator=generator, dtype=torch.float64)


def alike(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


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
    estimates = [dual(channel.log_ratios(*channel.draw(4)), 0.0) for _ in range(1500)]
    assert_near(torch.stack(estimates), channel.mutual_information)


def test_donsker_varadhan_is_biased_upward_on_tiny_batches() -> None:
    channel = GaussianChannel(2, 1.0)
    estimates = torch.stack(
        [donsker_varadhan(channel.log_ratios(*channel.draw(4))) for _ in range(1500)]
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


@pytest.mark.parametrize(
    "bound",
    [
        donsker_varadhan,
        infonce,
        nwj,
        lambda s: dual(s, 0.0),
        lambda s: tuba(s, torch.arange(5.0)),
        lambda s: interpolated(s, torch.arange(5.0), 0.3),
        lambda s: smile(s, 1.0),
    ],
)
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


@given(score_matrices(), st.integers(0, 99))
def test_rows_beyond_the_columns_are_product_draws_only(scores: Tensor, seed: int) -> None:
    size = scores.shape[1]
    square, whole = Scores.of(scores[:size]), Scores.of(scores)
    assert (square.rows, whole.rows) == (size, len(scores))
    alike(whole.joint, square.joint)
    sums = square.product.exp() * (size - 1) + scores[size:].exp().sum(dim=0)
    alike(whole.product, (sums / (len(scores) - 1)).log())
    # and what blocks of rows reduce to serves every bound as the matrix does
    reduced = Scores(square.joint, (sums / (len(scores) - 1)).log(), len(scores))
    alike(donsker_varadhan(reduced), donsker_varadhan(scores))
    alike(infonce(reduced), scores.log_softmax(dim=0).diagonal().mean() + math.log(len(scores)))
    baseline = some_baseline(scores, seed)
    torch.testing.assert_close(tuba(reduced, baseline), tuba(scores, baseline))


@given(score_matrices(), st.integers(0, 99))
def test_tuba_is_what_its_formula_says(scores: Tensor, seed: int) -> None:
    baseline = some_baseline(scores, seed)
    ratios = scores - baseline
    off = ~torch.eye(*scores.shape, dtype=torch.bool)
    alike(tuba(scores, baseline), 1 + ratios.diagonal().mean() - ratios[off].exp().mean())


@given(score_matrices(), st.floats(-20, 20))
def test_tuba_with_one_baseline_for_all_is_the_dual(scores: Tensor, level: float) -> None:
    baseline = torch.full((scores.shape[1],), level, dtype=scores.dtype)
    alike(tuba(scores, baseline), dual(scores, -level))


@given(score_matrices(), st.integers(0, 99), ALPHAS)
def test_the_interpolated_bound_is_what_its_formula_says(
    scores: Tensor, seed: int, alpha: float
) -> None:
    rows = len(scores)
    assume(rows >= 3)
    baseline = some_baseline(scores, seed)
    terms = []
    for j, (column, a) in enumerate(zip(scores.T.exp(), baseline.exp(), strict=True)):
        others = torch.cat([column[:j], column[j + 1 :]])
        # the mean over which of the others is left out to make room for the joint one
        left_out = torch.stack(
            [others[torch.arange(rows - 1) != k].sum() for k in range(rows - 1)]
        )
        with_joint = ((column[j] + left_out) / (rows - 1)).mean()
        product = others.mean()
        terms.append(
            1
            + (column[j] / (alpha * with_joint + (1 - alpha) * a)).log()
            - product / (alpha * product + (1 - alpha) * a)
        )
    alike(interpolated(scores, baseline, alpha), torch.stack(terms).mean())


@given(score_matrices(), st.integers(0, 99))
def test_the_interpolated_bound_ends_in_tuba_and_in_a_contrastive_bound(
    scores: Tensor, seed: int
) -> None:
    rows = len(scores)
    assume(rows >= 3)
    baseline = some_baseline(scores, seed)
    alike(interpolated(scores, baseline, 0.0), tuba(scores, baseline))
    # at the other end: x_j among M - 1 rows, the share of a left-out one taken off each other
    product = Scores.of(scores).product.exp() * (rows - 2)
    contrast = scores.diagonal() + math.log(rows - 1)
    contrast = contrast - (scores.diagonal().exp() + product).log()
    alike(interpolated(scores, baseline, 1.0), contrast.mean())
    assert interpolated(scores, baseline, 1.0) <= math.log(rows - 1) + 1e-9


@given(score_matrices(), st.integers(0, 99), ALPHAS)
def test_the_interpolated_bound_never_exceeds_its_ceiling(
    scores: Tensor, seed: int, alpha: float
) -> None:
    assume(len(scores) >= 3)
    ceiling = 1 + math.log((len(scores) - 1) / alpha)
    assert interpolated(scores, some_baseline(scores, seed), alpha) <= ceiling + 1e-9


def test_the_interpolated_bound_comes_up_to_its_ceiling() -> None:
    """One symbol in very many, sent without noise: no product pair ever matches."""
    scores = torch.full((9, 9), -60.0).fill_diagonal_(60.0)
    value = interpolated(scores, torch.zeros(9), 0.5)
    assert float(value) == pytest.approx(1 + math.log(8 / 0.5), abs=1e-5)


@given(score_matrices())
def test_smile_that_clips_nothing_is_donsker_varadhan(scores: Tensor) -> None:
    alike(smile(scores, math.inf), donsker_varadhan(scores))


def test_smile_clips_product_pairs_on_both_sides_and_leaves_joint_ones() -> None:
    scores = torch.tensor([[3.0, 50.0], [-50.0, 4.0]])
    expected = 3.5 - math.log((math.exp(2) + math.exp(-2)) / 2)
    assert float(smile(scores, 2.0)) == pytest.approx(expected)


@given(score_matrices())
def test_jensen_shannon_is_what_its_formula_says_and_never_positive(scores: Tensor) -> None:
    diagonal = torch.eye(*scores.shape, dtype=torch.bool)
    joint = scores[diagonal].sigmoid().log().mean()
    product = scores[~diagonal].neg().sigmoid().log().mean()
    torch.testing.assert_close(jensen_shannon(scores), joint + product, rtol=1e-6, atol=1e-6)
    assert jensen_shannon(scores) <= 1e-9
    assert float(jensen_shannon(0 * scores)) == pytest.approx(-2 * math.log(2))


@given(score_matrices(), st.integers(0, 99))
def test_the_order_of_pairs_and_of_further_rows_changes_nothing(scores: Tensor, seed: int) -> None:
    rows, size = scores.shape
    assume(rows >= 3)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(size, generator=generator)
    further = size + torch.randperm(rows - size, generator=generator)
    dealt = scores[torch.cat([order, further])][:, order]
    baseline = some_baseline(scores, seed)
    for bound in (donsker_varadhan, infonce, nwj, jensen_shannon, lambda s: smile(s, 2.0)):
        alike(bound(dealt), bound(scores))
    alike(tuba(dealt, baseline[order]), tuba(scores, baseline))
    alike(interpolated(dealt, baseline[order], 0.4), interpolated(scores, baseline, 0.4))


@given(score_matrices(), st.integers(0, 99), ALPHAS)
def test_what_is_added_to_a_column_goes_into_its_baseline(
    scores: Tensor, seed: int, alpha: float
) -> None:
    assume(len(scores) >= 3)
    baseline, shifts = some_baseline(scores, seed), some_baseline(scores, seed + 1)
    moved = scores + shifts
    alike(tuba(moved, baseline + shifts), tuba(scores, baseline))
    found = interpolated(moved, baseline + shifts, alpha)
    alike(found, interpolated(scores, baseline, alpha))
    alike(infonce(moved), infonce(scores))  # which needs no baseline


def test_tuba_is_unbiased_on_tiny_batches_with_the_baseline_of_the_optimal_critic() -> None:
    channel = GaussianChannel(2, 1.0)
    plain, with_baseline = [], []
    for _ in range(1500):
        x, z = channel.draw(4)
        ratios, baseline = channel.log_ratios(x, z), z.sum(dim=1) / 4
        plain.append(tuba(ratios, torch.zeros(4)))
        with_baseline.append(tuba(ratios + baseline, baseline))
    assert_near(torch.stack(plain), channel.mutual_information)
    assert_near(torch.stack(with_baseline), channel.mutual_information)


@pytest.mark.parametrize(("alpha", "level"), [(0.1, -0.5), (0.5, 0.0), (0.5, 1.0), (1.0, 0.0)])
def test_the_interpolated_bound_is_a_lower_bound_even_on_tiny_batches(
    alpha: float, level: float
) -> None:
    channel = GaussianChannel(2, 1.0)
    drawn = []
    for _ in range(800):
        x, z = channel.draw(4)
        drawn.append(interpolated(channel.log_ratios(x, z), level + z[:, 0] / 4, alpha))
    estimates = torch.stack(drawn)
    error = estimates.std() / len(estimates) ** 0.5
    assert estimates.mean() < channel.mutual_information + 4 * error
    assert estimates.mean() > -1  # and no trivial one


def test_the_weight_of_the_batch_trades_the_variance_of_tuba_for_a_ceiling() -> None:
    channel = GaussianChannel(6, 0.5)
    estimates = torch.tensor(
        [
            [float(interpolated(scores, torch.zeros(16), alpha)) for alpha in (0.0, 0.3, 1.0)]
            for scores in (channel.log_ratios(*channel.draw(16)) for _ in range(300))
        ]
    )
    tight, between, contrastive = estimates.std(dim=0)
    assert tight > between > contrastive


@given(score_matrices())
def test_the_dual_climbs_like_donsker_varadhan_at_one_over_z(scores: Tensor) -> None:
    """The corrected gradient of MINE."""
    scores = scores.requires_grad_()
    log_xi = -log_mean_exp_product(scores).detach()
    (of_dual,) = torch.autograd.grad(dual(scores, log_xi), scores)
    (of_estimate,) = torch.autograd.grad(donsker_varadhan(scores), scores)
    alike(of_dual, of_estimate)


def test_jensen_shannon_is_highest_at_the_log_ratio() -> None:
    channel = GaussianChannel(2, 1.0)
    slopes, losses = [], []
    for _ in range(60):
        x, z = channel.draw(128)
        ratios = channel.log_ratios(x, z)
        scale = torch.ones((), dtype=torch.float64, requires_grad=True)
        shift = torch.zeros((), dtype=torch.float64, requires_grad=True)
        tilt = torch.zeros((), dtype=torch.float64, requires_grad=True)
        moved = scale * ratios + shift + tilt * z[:, 0]
        slopes.append(
            torch.stack(torch.autograd.grad(jensen_shannon(moved), [scale, shift, tilt]))
        )
        worse = (0.6 * ratios, 1.5 * ratios, ratios + 0.5, ratios - 0.5, ratios + 0.5 * z[:, 0])
        best = jensen_shannon(ratios)
        losses.append(torch.stack([best - jensen_shannon(other) for other in worse]))
    for slope in torch.stack(slopes).T:
        assert_near(slope, 0.0)
    loss = torch.stack(losses)
    assert (loss.mean(dim=0) > 4 * loss.std(dim=0) / len(loss) ** 0.5).all()


@pytest.mark.parametrize(
    "scores",
    [
        np.zeros((3, 3)),
        [[0.0, 1.0], [1.0, 0.0]],
        torch.zeros(3, 3, dtype=torch.int64),
        torch.zeros(3),
        torch.zeros(2, 3),
        torch.zeros(1, 1),
        torch.zeros(3, 0),
    ],
)
@pytest.mark.parametrize(
    "bound",
    [
        donsker_varadhan,
        nwj,
        infonce,
        jensen_shannon,
        lambda scores: dual(scores, 0.0),
        lambda scores: dual(scores, 0.0, clip=1.0),
        lambda scores: smile(scores, 1.0),
        club,
    ],
)
def test_scores_must_be_a_tensor_with_product_pairs(
    bound: Callable[[object], Tensor], scores: object
) -> None:
    with pytest.raises(DataError, match=r"scores|log_conditional"):
        bound(scores)
