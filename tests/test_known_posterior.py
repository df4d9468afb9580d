"""The known-posterior estimate against closed forms and numerical integration."""

import math

import pytest
import torch
from gaussian import GaussianChannel, assert_near
from torch.distributions import Normal

from mivae_cli.estimators import known_posterior
from mivae_cli.estimators.known_posterior import aggregated_posterior, batched_empirical
from mivae_cli.models.latent import DiagonalGaussian


def test_well_separated_posteriors_carry_the_log_of_their_number() -> None:
    means = 100.0 * torch.arange(16.0)[:, None]
    posterior = DiagonalGaussian(means, torch.zeros_like(means))
    terms = aggregated_posterior(posterior, posterior.rsample()).empirical_terms
    assert float(terms.mean()) == pytest.approx(math.log(16), abs=1e-6)


def test_equal_posteriors_carry_nothing() -> None:
    posterior = DiagonalGaussian(torch.zeros(50, 4), torch.zeros(50, 4))
    densities = aggregated_posterior(posterior, posterior.rsample())
    assert densities.empirical_terms.abs().max() < 1e-9
    assert densities.leave_one_out_terms.abs().max() < 1e-9


@pytest.mark.parametrize("scale", [0.3, 1.0])
def test_the_estimates_enclose_the_population_value_of_a_gaussian_channel(scale: float) -> None:
    channel = GaussianChannel(2, scale)
    lower, upper = [], []
    for _ in range(100):
        posterior = channel.posteriors(200)
        densities = aggregated_posterior(posterior, posterior.rsample())
        lower.append(densities.empirical_terms.mean())
        upper.append(densities.leave_one_out_terms.mean())
    low, high = torch.stack(lower), torch.stack(upper)
    truth = channel.mutual_information
    assert low.mean() - 4 * low.std() / 10 < truth < high.mean() + 4 * high.std() / 10
    assert high.mean() - low.mean() < 0.6
    assert low.mean() <= high.mean()


def test_the_empirical_value_equals_the_integral_over_a_mixture() -> None:
    """With x uniform on three sentences, I = h(z) - h(z | x), integrated on a grid."""
    means = torch.tensor([[-1.0], [0.2], [2.0]], dtype=torch.float64)
    log_scales = torch.tensor([[0.5], [0.8], [0.4]], dtype=torch.float64).log()
    grid = torch.linspace(-12, 14, 40_001, dtype=torch.float64)
    densities = Normal(means, log_scales.exp()).log_prob(grid).exp()  # (3, grid)
    mixture = densities.mean(dim=0)
    entropy = -torch.trapezoid(torch.xlogy(mixture, mixture), grid)
    conditional = -torch.trapezoid(torch.xlogy(densities, densities), grid).mean()

    posterior = DiagonalGaussian(means, log_scales)
    draws = [aggregated_posterior(posterior, posterior.rsample()) for _ in range(3000)]
    terms = torch.stack([densities.empirical_terms.mean() for densities in draws])
    assert_near(terms, float(entropy - conditional))


def test_rate_is_information_plus_divergence_from_the_prior_exactly() -> None:
    posterior = GaussianChannel(5, 0.7).posteriors(300)
    densities = aggregated_posterior(posterior, posterior.rsample())
    torch.testing.assert_close(
        densities.rate_terms, densities.empirical_terms + densities.prior_divergence_terms
    )


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    posterior = GaussianChannel(3, 0.5).posteriors(100)
    z = posterior.rsample()
    whole = aggregated_posterior(posterior, z)
    monkeypatch.setattr(known_posterior, "BLOCK", 7)
    parts = aggregated_posterior(posterior, z)
    torch.testing.assert_close(whole.mixture, parts.mixture)
    torch.testing.assert_close(whole.others, parts.others)


def test_the_matrix_form_agrees_with_densities_taken_one_by_one() -> None:
    posterior = DiagonalGaussian(5 * torch.randn(40, 6), -2 + torch.randn(40, 6))
    z = posterior.rsample()
    densities = aggregated_posterior(posterior, z)
    exact = posterior.double()
    pairs = torch.stack([exact.log_prob(row.double()) for row in z])  # (i, j)
    torch.testing.assert_close(
        densities.mixture, pairs.logsumexp(dim=1) - math.log(40), rtol=1e-6, atol=1e-6
    )


def test_batches_stop_at_the_log_of_their_size() -> None:
    means = 100.0 * torch.arange(70.0)[:, None]
    posterior = DiagonalGaussian(means, torch.zeros_like(means))
    values = batched_empirical(posterior, posterior.rsample(), size=32)
    assert values.shape == (2,)
    torch.testing.assert_close(values, torch.full((2,), math.log(32), dtype=torch.float64))


def test_one_sentence_carries_nothing() -> None:
    posterior = DiagonalGaussian(torch.ones(1, 3), torch.zeros(1, 3))
    densities = aggregated_posterior(posterior, posterior.rsample())
    assert float(densities.empirical_terms.mean()) == pytest.approx(0.0, abs=1e-12)
