"""The held-out dual: below the truth, near it, and nothing where there is nothing."""

import torch

from mivae_cli.estimators.held_out_dual import SampledPosteriors, held_out_dual
from mivae_cli.estimators.known_posterior import aggregated_posterior
from mivae_cli.models.latent import DiagonalGaussian
from support.gaussian import GaussianChannel


def _channel_encodings(channel: GaussianChannel, count: int, seed: int) -> SampledPosteriors:
    posterior = channel.posteriors(count)
    single = DiagonalGaussian(posterior.mean.float(), posterior.log_scale.float())
    return SampledPosteriors.draw(single, seed)


def test_the_interval_lies_below_leave_one_out_and_close_to_the_truth(brief: None) -> None:
    channel = GaussianChannel(4, 0.7)
    train, valid, test = (
        _channel_encodings(channel, count, seed) for seed, count in enumerate((3000, 600, 600))
    )
    found = held_out_dual(train, valid, test, seed=0, profile="quick")
    assert found is not None
    upper = aggregated_posterior(test.posterior, test.z).leave_one_out_terms.mean()
    assert found.ci_low <= found.value <= found.ci_high
    assert found.value < float(upper)
    assert found.ci_low < channel.mutual_information < found.ci_high + 0.1
    assert found.n == 600


def test_a_z_that_ignores_x_is_given_no_information(brief: None) -> None:
    def collapsed(count: int, seed: int) -> SampledPosteriors:
        noise = 1e-3 * torch.randn(count, 3)
        return SampledPosteriors.draw(DiagonalGaussian(noise, torch.zeros(count, 3)), 50 + seed)

    found = held_out_dual(
        collapsed(2000, 0), collapsed(400, 1), collapsed(400, 2), seed=0, profile="quick"
    )
    assert found is not None
    assert found.ci_low <= 0.01
    assert abs(found.value) < 0.05


def test_an_overfitted_critic_is_found_out_on_held_out_sentences() -> None:
    """Thirty training sentences can be told apart; that is no information about others."""
    train, valid, test = (
        SampledPosteriors.draw(DiagonalGaussian(torch.randn(n, 8), torch.ones(n, 8) * 1.5), n)
        for n in (30, 200, 200)
    )
    found = held_out_dual(train, valid, test, seed=0, profile="quick")
    truth = GaussianChannel(8, 4.48).mutual_information
    assert found is not None
    assert found.ci_low < truth


def test_a_single_sentence_makes_no_pair() -> None:
    one = SampledPosteriors.draw(DiagonalGaussian(torch.zeros(1, 2), torch.zeros(1, 2)), 0)
    many = SampledPosteriors.draw(DiagonalGaussian(torch.randn(99, 2), torch.zeros(99, 2)), 0)
    assert held_out_dual(many, many, one, seed=0) is None


def test_other_random_states_stay_as_they_are(brief: None) -> None:
    channel = GaussianChannel(1, 1.0)
    splits = [_channel_encodings(channel, 60, seed) for seed in range(3)]
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = held_out_dual(splits[0], splits[1], splits[2], seed=1, profile="quick")
    assert torch.equal(torch.rand(1), expected)
    assert first == held_out_dual(splits[0], splits[1], splits[2], seed=1, profile="quick")
