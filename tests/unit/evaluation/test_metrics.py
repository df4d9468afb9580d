"""Metrics on models simple enough to solve by hand."""

import math

import pytest
import torch
from torch.distributions import Normal

from mivae_cli.estimators.intervals import mean_interval
from mivae_cli.evaluation.metrics import (
    active_units,
    effective_units,
    importance_weighted_bound,
    perplexity,
    units_above,
)


def test_a_uniform_model_is_as_perplexed_as_its_vocabulary() -> None:
    assert perplexity(6 * math.log(10_000), sentences=2, tokens=12) == pytest.approx(10_000)


def test_a_perplexity_beyond_all_bounds_is_infinite() -> None:
    assert perplexity(1e9, sentences=1, tokens=1) == math.inf


def test_units_whose_means_move_with_the_sentence_are_active() -> None:
    means = torch.cat([torch.randn(1000, 3), 0.01 * torch.randn(1000, 5)], dim=1)
    assert active_units(means) == 3


def test_the_threshold_is_on_the_unbiased_variance() -> None:
    means = torch.tensor([[0.0], [0.2]])  # variance 0.02 over N - 1, 0.01 over N
    assert active_units(means, threshold=0.015) == 1


def test_one_sentence_has_no_active_units() -> None:
    assert active_units(torch.ones(1, 4)) == 0


def test_intervals_cover_the_mean_as_often_as_they_say() -> None:
    covered = 0
    for _ in range(2000):
        interval = mean_interval(3.0 + 2.0 * torch.randn(50, dtype=torch.float64))
        covered += interval.low <= 3.0 <= interval.high
    assert 0.92 < covered / 2000 < 0.965


class TestLinearGaussianModel:
    """z ~ N(0, 1), x | z ~ N(z, 1), so x ~ N(0, 2) and z | x ~ N(x / 2, 1 / 2)."""

    x = torch.linspace(-3, 3, 7)
    evidence = Normal(0.0, math.sqrt(2)).log_prob(x)
    posterior = Normal(x / 2, math.sqrt(0.5))

    def bound(self, proposal: Normal, samples: int) -> torch.Tensor:
        z = proposal.sample((samples,))
        log_joint = Normal(0.0, 1.0).log_prob(z) + Normal(z, 1.0).log_prob(self.x)
        return importance_weighted_bound(log_joint, proposal.log_prob(z))

    @pytest.mark.parametrize("samples", [1, 5])
    def test_the_exact_posterior_gives_the_evidence_with_no_variance(self, samples: int) -> None:
        torch.testing.assert_close(self.bound(self.posterior, samples), self.evidence)

    def test_more_samples_tighten_the_bound_from_below(self) -> None:
        prior = Normal(torch.zeros(7), 1.0)
        bounds = [
            torch.stack([self.bound(prior, samples) for _ in range(2000)]).mean(dim=0)
            for samples in (1, 4, 16)
        ]
        for looser, tighter in zip(bounds, [*bounds[1:], self.evidence], strict=True):
            assert (looser < tighter).all()


@pytest.mark.parametrize(
    ("rates", "above", "effective"),
    [
        ([], 0, 0.0),
        ([5.0, 0.0, 0.0], 1, 1.0),
        ([0.5] * 8, 8, 8.0),
        ([0.5] * 8 + [0.0] * 24, 8, 8.0),
        ([0.07] * 29 + [0.0] * 3, 0, 29.0),  # all of them active by their means, none by its rate
        ([2.0, 1.0, 1.0], 3, 2 * math.sqrt(2)),  # an entropy of 1.5 bits
        ([0.003] * 32, 0, 0.0),  # collapsed: shares of nothing
        ([-1e-9, 1.0], 1, 1.0),  # rounding
        ([0.1], 0, 0.0),
        ([math.nan, 1.0], 1, 1.0),
    ],
)
def test_units_that_carry_the_rate(rates: list[float], above: int, effective: float) -> None:
    assert units_above(rates) == above
    assert effective_units(rates) == pytest.approx(effective)
