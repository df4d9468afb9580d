"""Critics of pairs, and how they see their coordinates."""

from typing import get_args

import pytest
import torch
from torch import Tensor

from mivae_cli.choices import PairNetwork, Transform
from mivae_cli.estimators import critics as pair_critics
from mivae_cli.estimators.coordinates import CoordinateTransform
from mivae_cli.estimators.critics import PairCritic
from mivae_cli.estimators.gaussian_ratio import GaussianRatio
from mivae_cli.estimators.samplers import SparseGaussian
from mivae_cli.estimators.score_matrix import ScoreFunction

NETWORKS: tuple[PairNetwork, ...] = get_args(PairNetwork)
TRANSFORMS: tuple[Transform, ...] = get_args(Transform)
SAMPLER = SparseGaussian(3, 2, pairs=2, correlation=0.6)


def learned(network: PairNetwork, start: ScoreFunction | None = None) -> PairCritic:
    """Returns a critic whose network counts."""
    critic = PairCritic(network, 3, 2, hidden=16, start=start)
    torch.nn.init.ones_(critic.scale)
    return critic.requires_grad_(False)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_fresh_critic_scores_exactly_like_its_start(network: PairNetwork) -> None:
    start = GaussianRatio.fit(*SAMPLER.draw(200, seed=31))
    x, z = SAMPLER.draw(40, seed=32)
    critic = PairCritic(network, 3, 2, hidden=16, start=start.scores)
    assert torch.equal(critic(x, z), start.scores(x, z).float())
    without = PairCritic(network, 3, 2, hidden=16)
    assert torch.equal(without(x, z), torch.zeros(40, 40))


@pytest.mark.parametrize("network", NETWORKS)
def test_the_first_step_can_leave_the_start(network: PairNetwork) -> None:
    """At a weight of 0 the network still passes a gradient to that weight."""
    critic = PairCritic(network, 3, 2, hidden=16)
    critic(*SAMPLER.draw(40, seed=33)).diagonal().mean().backward()
    assert critic.scale.grad is not None
    assert critic.scale.grad.abs() > 0


@pytest.mark.parametrize("network", NETWORKS)
def test_a_score_depends_on_its_own_row_and_column_alone(network: PairNetwork) -> None:
    start = GaussianRatio.fit(*SAMPLER.draw(200, seed=34))
    x, z = SAMPLER.draw(9, seed=35)
    critic = learned(network, start.scores)
    scores = critic(x, z[:5])
    assert scores.shape == (9, 5)
    singly = [[critic(x[i : i + 1], z[j : j + 1]) for j in range(5)] for i in range(9)]
    expected = torch.stack([torch.cat(row, dim=1)[0] for row in singly])
    torch.testing.assert_close(scores, expected, rtol=1e-5, atol=1e-5)
    assert (scores - start.scores(x, z[:5])).std() > 0.01  # the network did count
    gaps = scores - scores.mean(dim=0) - scores.mean(dim=1, keepdim=True) + scores.mean()
    assert gaps.abs().max() > 1e-3  # and looks at x and z together


@pytest.mark.parametrize("network", NETWORKS)
def test_pairs_in_single_precision_score_alike(network: PairNetwork) -> None:
    critic = learned(network)
    x, z = SAMPLER.draw(20, seed=36)
    torch.testing.assert_close(critic(x.float(), z.float()), critic(x, z))


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    critic = learned("concatenated")
    x, z = SAMPLER.draw(20, seed=37)
    whole = critic(x, z)
    monkeypatch.setattr(pair_critics, "ROWS_AT_ONCE", 7)
    torch.testing.assert_close(critic(x, z), whole)


def seen(x: Tensor, z: Tensor, transform: Transform) -> tuple[Tensor, Tensor]:
    return CoordinateTransform.fit(x, z, transform)(x, z)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_units_and_origins_are_not_seen(transform: Transform) -> None:
    x, z = SAMPLER.draw(101, seed=38)
    units = torch.tensor([1e6, 1e-6, 3.0], dtype=torch.float64)
    moved = seen(units * x + 10 * units, z, transform)
    for found, expected in zip(moved, seen(x, z, transform), strict=True):
        torch.testing.assert_close(found, expected)


def test_ranks_see_no_monotone_map() -> None:
    x, z = SAMPLER.draw(101, seed=39)
    moved = seen(x.exp(), z**3, "rank")
    for found, expected in zip(moved, seen(x, z, "rank"), strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_the_view_keeps_the_order_of_values_and_their_size_near_one(transform: Transform) -> None:
    x, z = SAMPLER.draw(301, seed=40)
    for before, after in zip((x, z), seen(x, z, transform), strict=True):
        assert torch.equal(before.argsort(dim=0), after.argsort(dim=0))
        assert after.mean(dim=0).abs().max() < 1e-6
        assert (after.std(dim=0) - 1).abs().max() < 0.05


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_maps_are_those_of_the_training_pairs(transform: Transform) -> None:
    """Nothing of other pairs leaks into how one is seen."""
    view = CoordinateTransform.fit(*SAMPLER.draw(200, seed=41), transform)
    x, z = SAMPLER.draw(30, seed=42)
    together = view(x, z)
    for whole, part in zip(together, view(x[:1], z[:1]), strict=True):
        torch.testing.assert_close(whole[:1], part)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_heavy_tails_and_constants_give_finite_numbers(transform: Transform) -> None:
    heavy = torch.distributions.Cauchy(0.0, 1.0).sample((200, 1)).double() ** 3
    mostly_zero = torch.zeros(200, 1, dtype=torch.float64)
    mostly_zero[7] = 5.0
    constant = torch.full((200, 1), 0.3, dtype=torch.float64)
    columns = torch.cat([heavy, mostly_zero, constant], dim=1)
    view = CoordinateTransform.fit(columns, heavy, transform)
    # other pairs may vary where the training pairs did not
    others = torch.cat([columns, columns + 1, 1e12 * columns - 1e9])
    for side in view(others, 2 * heavy):
        assert side.isfinite().all()
    once_constant = view(columns + 1, heavy)[0][:, 2]
    assert once_constant.abs().max() < 5  # and not by the rounding of a variance of 0
    critic = PairCritic("separable", 3, 1, hidden=16)
    torch.nn.init.ones_(critic.scale)
    assert critic(*view(columns, heavy)).isfinite().all()


def test_asinh_draws_heavy_tails_in() -> None:
    heavy = torch.distributions.Cauchy(0.0, 1.0).sample((1000, 1)).double()
    drawn_in, _ = seen(heavy, heavy, "asinh")
    only_scaled, _ = seen(heavy, heavy, "standard")
    assert drawn_in.abs().max() < 6 < only_scaled.abs().max()
