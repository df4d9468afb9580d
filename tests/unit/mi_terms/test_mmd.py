"""The maximum mean discrepancy against sums by hand and distributions that are known."""

import pytest
import torch
from torch import Tensor

from mivae_cli.mi_terms.mmd import SCALES, maximum_mean_discrepancy


def kernel(a: Tensor, b: Tensor) -> float:
    square = float((a - b).square().sum())
    constants = [2 * len(a) * scale for scale in SCALES]
    return sum(constant / (constant + square) for constant in constants)


def test_it_is_the_sum_over_pairs_that_its_formula_says() -> None:
    z, prior = torch.randn(3, 2, dtype=torch.double), torch.randn(4, 2, dtype=torch.double)
    within = [kernel(z[i], z[j]) for i in range(3) for j in range(3) if i != j]
    among = [kernel(prior[i], prior[j]) for i in range(4) for j in range(4) if i != j]
    across = [kernel(a, b) for a in z for b in prior]
    expected = sum(within) / 6 + sum(among) / 12 - 2 * sum(across) / 12
    assert maximum_mean_discrepancy(z, prior).item() == pytest.approx(expected)


def test_it_is_unbiased_where_the_distributions_are_equal() -> None:
    values = torch.stack(
        [maximum_mean_discrepancy(torch.randn(16, 4), torch.randn(16, 4)) for _ in range(2000)]
    )
    error = values.std() / len(values) ** 0.5
    assert abs(values.mean()) < 3.5 * error
    assert (values < 0).any()


def test_it_sees_a_shift_and_a_spread_and_pulls_them_back() -> None:
    prior = torch.randn(500, 4)
    for wrong in (torch.randn(500, 4) + 1.0, 3 * torch.randn(500, 4), 0.1 * torch.randn(500, 4)):
        assert maximum_mean_discrepancy(wrong, prior) > 0.2
        z = wrong.clone().requires_grad_()
        (grad,) = torch.autograd.grad(maximum_mean_discrepancy(z, prior), z)
        moved = wrong - 500 * grad
        assert maximum_mean_discrepancy(moved, prior) < maximum_mean_discrepancy(wrong, prior)


def test_its_gradient_is_finite_where_codes_coincide() -> None:
    z = torch.zeros(8, 4, requires_grad=True)
    maximum_mean_discrepancy(z, torch.randn(8, 4)).backward()
    assert z.grad is not None
    assert z.grad.isfinite().all()
