"""The known posterior's bound as a term of the objective."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import normalize

from mivae_cli.config.model import ModelConfig, VonMisesFisherPosteriorConfig
from mivae_cli.estimators.known_posterior import aggregated_posterior
from mivae_cli.finite_checks import NonFiniteBatch, Quantity
from mivae_cli.mi_terms.known_posterior import KnownPosteriorTerm
from mivae_cli.models.latent import DiagonalGaussian
from mivae_cli.models.von_mises_fisher import VonMisesFisher


def gaussians(count: int, spread: float = 1.0, scale: float = 0.5) -> DiagonalGaussian:
    mean = spread * torch.randn(count, 3)
    return DiagonalGaussian(mean, torch.full_like(mean, math.log(scale)))


def test_without_a_queue_it_is_the_empirical_value_of_the_batch() -> None:
    posterior = gaussians(16)
    z = posterior.rsample()
    bound = KnownPosteriorTerm(0, 6).lower_bound(posterior, z)
    expected = aggregated_posterior(posterior, z).empirical().value
    assert bound.item() == pytest.approx(expected, abs=1e-5)


def test_the_queue_stands_for_sentences_of_the_same_corpus() -> None:
    """With it, a batch reads as much as that many sentences together, on average."""
    everyone = gaussians(512, spread=2.0, scale=0.3)
    term = KnownPosteriorTerm(480, 6)
    term.push(everyone[32:].parameters())
    z = everyone.rsample()
    bound = term.lower_bound(everyone[:32], z[:32])
    terms = aggregated_posterior(everyone, z).empirical_terms[:32]
    assert bound.item() == pytest.approx(terms.mean().item(), abs=1e-4)
    assert bound.item() > math.log(32)  # which a batch alone could not show


def test_on_the_sphere_a_sentence_is_remembered_by_its_direction() -> None:
    everyone = VonMisesFisher(normalize(torch.randn(64, 3), dim=-1), 30.0)
    z = everyone.rsample()
    config = ModelConfig(latent_size=3, posterior=VonMisesFisherPosteriorConfig())
    term = KnownPosteriorTerm(48, config.posterior_size)
    term.push(everyone[16:].parameters())
    bound = term.lower_bound(everyone[:16], z[:16])
    terms = aggregated_posterior(everyone, z).empirical_terms[:16]
    assert bound.item() == pytest.approx(terms.mean().item(), abs=1e-4)


@given(st.integers(2, 12), st.integers(0, 20), st.floats(0.01, 3))
def test_it_never_passes_the_logarithm_of_batch_and_queue(
    count: int, queue: int, scale: float
) -> None:
    term = KnownPosteriorTerm(queue, 6)
    for _ in range(3):
        posterior = gaussians(count, spread=5.0, scale=scale)
        bound = term.lower_bound(posterior, posterior.rsample()).item()
        assert bound <= math.log(count + min(queue, int(term.pushed))) + 1e-4
        term.push(posterior.parameters())


def test_equal_posteriors_tell_nothing_and_separate_ones_all() -> None:
    term = KnownPosteriorTerm(0, 2)
    same = DiagonalGaussian(torch.zeros(8, 1), torch.zeros(8, 1))
    assert term.lower_bound(same, same.rsample()).item() == pytest.approx(0, abs=1e-5)
    apart = DiagonalGaussian(100 * torch.arange(8.0)[:, None], torch.zeros(8, 1))
    assert term.lower_bound(apart, apart.rsample()).item() == pytest.approx(math.log(8), abs=1e-4)


def test_its_gradient_spreads_the_posteriors() -> None:
    mean = (0.5 * torch.randn(16, 3)).requires_grad_()
    log_scale = torch.zeros(16, 3, requires_grad=True)
    posterior = DiagonalGaussian(mean, log_scale)
    term = KnownPosteriorTerm(0, 6)
    noise = torch.randn(16, 3)
    before = term.lower_bound(posterior, mean + noise)
    of_mean, of_scale = torch.autograd.grad(before, (mean, log_scale))
    moved = DiagonalGaussian((mean + 0.1 * of_mean), log_scale + 0.1 * of_scale)
    after = term.lower_bound(moved, moved.mean + moved.scale * noise)
    assert after > before


def test_a_bound_that_is_no_number_is_refused() -> None:
    mean = torch.zeros(4, 3)
    mean[0, 0] = math.nan
    posterior = DiagonalGaussian(mean, torch.zeros(4, 3))
    with pytest.raises(NonFiniteBatch) as caught:
        KnownPosteriorTerm(0, 6).lower_bound(posterior, torch.zeros(4, 3))
    assert caught.value.quantity is Quantity.BOUND
