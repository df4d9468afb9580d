"""The posterior object against torch's own distributions."""

import torch
from torch.distributions import Independent, Normal, kl_divergence

from mivae_cli.models.latent import DiagonalGaussian
from support.gaussian import assert_near


def _posterior() -> DiagonalGaussian:
    return DiagonalGaussian(torch.randn(6, 4), 0.5 * torch.randn(6, 4))


def test_rates_are_torchs_divergence_from_the_prior() -> None:
    posterior = _posterior()
    expected = kl_divergence(Normal(posterior.mean, posterior.scale), Normal(0.0, 1.0))
    torch.testing.assert_close(posterior.rates(), expected)


def test_the_rate_is_the_mean_log_ratio_of_samples() -> None:
    posterior = DiagonalGaussian(torch.tensor([[0.7, -1.2]]), torch.tensor([[-0.5, 0.2]]))
    z = posterior.rsample(count=20_000)
    ratios = posterior.log_prob(z) - posterior.prior.log_prob(z)
    assert_near(ratios[:, 0].double(), float(posterior.rates().sum()))


def test_log_probabilities_are_torchs() -> None:
    posterior = _posterior()
    z = posterior.rsample(count=3)
    torch.testing.assert_close(
        posterior.log_prob(z), Independent(Normal(posterior.mean, posterior.scale), 1).log_prob(z)
    )
    torch.testing.assert_close(
        posterior.prior.log_prob(z), Normal(0.0, 1.0).log_prob(z).sum(dim=-1)
    )


def test_samples_carry_gradient_to_mean_and_scale() -> None:
    mean = torch.zeros(5, 2, requires_grad=True)
    log_scale = torch.zeros(5, 2, requires_grad=True)
    DiagonalGaussian(mean, log_scale).rsample().square().sum().backward()
    assert mean.grad is not None
    assert log_scale.grad is not None
    assert mean.grad.abs().min() > 0
    assert log_scale.grad.abs().min() > 0


def test_the_same_generator_draws_the_same_samples() -> None:
    posterior = _posterior()
    first, second = (posterior.rsample(torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)
