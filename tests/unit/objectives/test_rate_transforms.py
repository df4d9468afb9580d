"""Rate transforms on rates small enough to add up by hand, and their laws."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mivae_cli.choices import FreeBitsScope
from mivae_cli.objectives.objective import Objective, Terms
from mivae_cli.objectives.rate_transforms import FreeBits, MinimumRate, PlainRate
from mivae_cli.objectives.schedules import Constant

RATES = torch.tensor([[1.0, 0.2, 0.0], [3.0, 0.0, 0.6]])  # 1.2 and 3.6 nats, 2.4 on average


def tables(most: float = 20.0) -> st.SearchStrategy[Tensor]:
    row = st.lists(st.floats(0, most), min_size=3, max_size=3)
    return st.lists(row, min_size=1, max_size=5).map(torch.tensor)


@pytest.mark.parametrize(
    ("over", "cost"),
    [
        # half a nat for each of three units: of 2, .1 and .3 on average
        ("unit", 2.0 + 0.5 + 0.5),
        # 1 + .5 + .5 and 3 + .5 + .6
        ("sentence-unit", (2.0 + 4.1) / 2),
        # 1.5 and 3.6
        ("sentence", (1.5 + 3.6) / 2),
        ("batch", 2.4),
    ],
)
def test_free_bits_are_what_one_adds_up_by_hand(over: FreeBitsScope, cost: float) -> None:
    assert FreeBits(target=1.5, over=over)(RATES, 0.0).item() == pytest.approx(cost)


OVER: list[FreeBitsScope] = ["unit", "sentence-unit", "sentence", "batch"]


@pytest.mark.parametrize("over", OVER)
@given(rates=tables(), target=st.floats(0, 30))
def test_free_bits_cost_the_target_at_least_and_the_rate_at_least(
    over: FreeBitsScope, rates: Tensor, target: float
) -> None:
    cost = float(FreeBits(target=target, over=over)(rates, 0.0))
    rate = float(PlainRate()(rates, 0.0))
    assert cost >= max(target, rate) - 1e-4
    assert cost <= target + rate + 1e-4
    assert float(FreeBits(target=0, over=over)(rates, 0.0)) == pytest.approx(rate, abs=1e-4)


@pytest.mark.parametrize("over", OVER)
def test_below_its_target_a_rate_is_free(over: FreeBitsScope) -> None:
    rates = torch.full((4, 3), 0.1, requires_grad=True)
    FreeBits(target=1.0, over=over)(rates, 0.0).backward()
    assert rates.grad is not None
    assert not rates.grad.any()
    rates = torch.full((4, 3), 0.5, requires_grad=True)
    FreeBits(target=1.0, over=over)(rates, 0.0).backward()
    torch.testing.assert_close(rates.grad, torch.full((4, 3), 0.25))


@given(st.floats(0, 20), st.floats(0, 30), st.floats(0, 5), st.floats(0.05, 2))
def test_a_nat_of_rate_costs_one_less_the_constraints_weight(
    rate: float, target: float, multiplier: float, damping: float
) -> None:
    transform = MinimumRate(target=target, damping=damping)
    rates = torch.tensor([[rate, 0.0]], dtype=torch.double, requires_grad=True)
    cost = transform(rates, multiplier)
    (grad,) = torch.autograd.grad(cost, rates)
    weight = max(0.0, multiplier + damping * (target - rate))
    torch.testing.assert_close(grad, torch.full_like(grad, 1 - weight))
    at_target = transform(torch.tensor([[target]], dtype=torch.double), multiplier)
    assert at_target.item() == pytest.approx(target, abs=1e-9)


@given(st.floats(0, 3), st.floats(0, 30))
def test_the_multiplier_grows_below_the_target_and_falls_above_to_zero(
    multiplier: float, rate: float
) -> None:
    transform = MinimumRate(target=5.0, step_size=0.1)
    moved = transform.moved(multiplier, rate)
    assert moved >= 0
    if rate < 5:
        assert moved > multiplier
    elif rate > 5:
        assert moved < multiplier or moved == 0


def test_dual_ascent_finds_the_multiplier_of_a_known_trade() -> None:
    """With D = 8 exp(-R / 4), a nat at R = 5 saves 2 exp(-5 / 4), and that is 1 - u."""
    transform = MinimumRate(target=5.0, step_size=5e-3)
    rate, multiplier = torch.tensor([[0.5]], requires_grad=True), 0.0
    for _ in range(5_000):
        (grad,) = torch.autograd.grad(
            8 * torch.exp(-rate / 4).sum() + transform(rate, multiplier), rate
        )
        rate = (rate - 0.05 * grad).detach().requires_grad_()
        multiplier = transform.moved(multiplier, rate.item())
    assert rate.item() == pytest.approx(5.0, abs=0.01)
    assert multiplier == pytest.approx(1 - 2 * torch.tensor(-1.25).exp().item(), abs=0.01)


def test_the_objective_weighs_what_the_transform_makes_of_the_rate() -> None:
    terms = Terms(torch.tensor([10.0, 20.0]), RATES, 0.5, 0.25)
    objective = Objective(
        beta=0.5,
        beta_schedule=Constant(),
        rate=FreeBits(target=1.5),
        mi_weight=2.0,
        mmd_weight=4.0,
    )
    assert objective(terms, 0.0).item() == pytest.approx(15 + 0.5 * 3.0 - 2 * 0.5 + 4 * 0.25)
    assert objective(terms, -0.5).item() == 15.0  # an autoencoder's epochs
    constrained = Objective(beta_schedule=Constant(), rate=MinimumRate(target=5), mi_weight=0)
    weight = 0.5 + 0.1 * 2.6
    cost = 2.4 + (weight**2 - 0.5**2) / 0.2
    assert constrained(terms, 0.0, 0.5).item() == pytest.approx(15 + cost)
