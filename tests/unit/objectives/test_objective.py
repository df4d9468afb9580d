"""The objective on terms small enough to add up by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Normal, kl_divergence

from mivae_cli.models.latent import DiagonalGaussian
from mivae_cli.objectives.objective import Objective, Terms
from mivae_cli.objectives.schedules import Constant, Cyclical, Linear

TERMS = Terms(
    distortion=torch.tensor([10.0, 20.0]),  # 15 a sentence
    rates=torch.tensor([[1.0, 2.0, 0.0], [0.5, 0.0, 0.5]]),  # 2 a sentence
    mutual_information=torch.tensor(0.75),
)
weights = st.floats(0, 5)


def steady(beta: float, mi_weight: float) -> Objective:
    return Objective(beta=beta, beta_schedule=Constant(), mi_weight=mi_weight)


@pytest.mark.parametrize(
    ("beta", "mi_weight", "loss"),
    [(0, 0, 15), (1, 0, 17), (0.5, 0, 16), (1, 1, 16.25), (2, 4, 16), (0, 2, 13.5)],
)
def test_the_loss_is_what_one_adds_up_by_hand(beta: float, mi_weight: float, loss: float) -> None:
    assert steady(beta, mi_weight)(TERMS, epoch=0.0).item() == pytest.approx(loss)


@given(weights, weights, weights, weights, weights)
def test_the_loss_is_linear_in_the_weights(
    beta: float, mi_weight: float, distortion: float, rate: float, information: float
) -> None:
    terms = Terms(torch.tensor([distortion]), torch.tensor([[rate]]), information)
    expected = distortion + beta * rate - mi_weight * information
    found = float(steady(beta, mi_weight)(terms, epoch=3.0))
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_without_information_and_at_beta_one_it_is_the_negative_elbo() -> None:
    mean, log_scale = torch.randn(2, 3), 0.1 * torch.randn(2, 3)
    posterior = DiagonalGaussian(mean, log_scale)
    log_likelihood = torch.tensor([-30.0, -12.0])
    divergence = kl_divergence(Normal(mean, log_scale.exp()), Normal(0.0, 1.0)).sum(dim=-1)
    terms = Terms(-log_likelihood, posterior.rates(), math.nan)  # the bound is not looked at
    torch.testing.assert_close(
        -steady(1.0, 0.0)(terms, epoch=0.0), (log_likelihood - divergence).mean()
    )


def test_the_information_inside_the_rate_cancels_at_equal_weights() -> None:
    """R = I + KL(q(z) || p(z)): on two posteriors far apart, I is ln 2 and the rest remains."""
    information, remainder = math.log(2), 1.25
    terms = Terms(torch.zeros(2), torch.full((2, 1), information + remainder), information)
    assert steady(1.0, 1.0)(terms, epoch=0.0).item() == pytest.approx(remainder)


def test_schedules_multiply_the_weights() -> None:
    objective = Objective(
        beta=2.0,
        beta_schedule=Linear(delay=1.0, over=2.0),
        mi_weight=4.0,
        mi_schedule=Linear(start=1.0, end=0.0, over=4.0),
    )
    losses = {0.0: 15 - 3, 1.0: 15 - 2.25, 2.0: 15 + 2 - 1.5, 3.0: 15 + 4 - 0.75, 9.0: 15 + 4}
    for epoch, loss in losses.items():
        assert objective(TERMS, epoch).item() == pytest.approx(loss), epoch


def test_what_has_no_weight_is_not_trained() -> None:
    rates = torch.ones(2, 3, requires_grad=True)
    information = torch.tensor(1.0, requires_grad=True)
    distortion = torch.ones(2, requires_grad=True)
    objective = Objective(beta_schedule=Linear(delay=2.0), mi_weight=0.0)
    objective(Terms(distortion, rates, information), epoch=1.0).backward()
    assert distortion.grad is not None
    assert rates.grad is None
    assert information.grad is None


def test_gradients_have_the_signs_and_sizes_of_the_weights() -> None:
    rates = torch.ones(2, 3, requires_grad=True)
    information = torch.tensor(1.0, requires_grad=True)
    steady(0.5, 3.0)(Terms(torch.ones(2), rates, information), epoch=0.0).backward()
    assert rates.grad is not None
    assert information.grad is not None
    torch.testing.assert_close(rates.grad, torch.full((2, 3), 0.25))  # 0.5 over 2 sentences
    torch.testing.assert_close(information.grad, torch.tensor(-3.0))


def test_it_is_settled_when_both_schedules_are() -> None:
    ramp, cycle = Linear(delay=2.0, over=5.0), Cyclical(cycles=3, period=4.0, rise=0.25)
    assert Objective(beta_schedule=ramp, mi_schedule=cycle).settled == 9.0
    assert Objective(beta_schedule=cycle, mi_schedule=ramp).settled == 9.0
    assert Objective(beta_schedule=ramp, mi_schedule=Constant()).settled == 7.0
    assert steady(1.0, 1.0).settled == 0.0


@given(st.floats(0, 50))
def test_once_settled_the_same_terms_make_the_same_loss(later: float) -> None:
    objective = Objective(beta_schedule=Linear(delay=1.0), mi_weight=1.0, mi_schedule=Cyclical())
    settled = objective(TERMS, objective.settled)
    torch.testing.assert_close(objective(TERMS, objective.settled + later), settled)
