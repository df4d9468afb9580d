"""The known-posterior estimate against closed forms and numerical integration."""

import math

import pytest
import torch
from torch.distributions import Normal

from mivae_cli.estimators.bounds import infonce
from mivae_cli.estimators.known_posterior import aggregated_posterior, batched_empirical
from mivae_cli.estimators.upper_bounds import leave_one_out
from mivae_cli.models.latent import DiagonalGaussian
from support.gaussian import GaussianChannel, assert_near


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
    draws = [aggregated_posterior(posterior, posterior.rsample(count=100)) for _ in range(100)]
    terms = torch.stack([densities.empirical_terms.mean() for densities in draws])
    assert_near(terms, float(entropy - conditional))


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    posterior = GaussianChannel(3, 0.5).posteriors(100)
    z = posterior.rsample()
    whole = aggregated_posterior(posterior, z)
    monkeypatch.setattr("mivae_cli.estimators.score_matrix.BLOCK", 7)
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


def test_both_values_are_bounds_of_the_matrix_of_log_densities() -> None:
    posterior = GaussianChannel(3, 0.5).posteriors(60)
    z = posterior.rsample()
    densities = aggregated_posterior(posterior, z)
    matrix = torch.stack([posterior[i : i + 1].log_prob(z) for i in range(60)])  # (x, z)
    upper = densities.leave_one_out()
    assert upper is not None
    assert densities.empirical().value == pytest.approx(float(infonce(matrix)))
    assert densities.empirical().value == pytest.approx(float(densities.empirical_terms.mean()))
    assert upper.value == pytest.approx(float(leave_one_out(matrix)))
    assert upper.value == pytest.approx(float(densities.leave_one_out_terms.mean()))


def test_far_from_the_origin_the_expansion_keeps_its_digits() -> None:
    posterior = GaussianChannel(4, 0.5).posteriors(50)
    z = posterior.rsample()
    near = aggregated_posterior(posterior, z)
    far = aggregated_posterior(
        DiagonalGaussian(posterior.mean + 1e5, posterior.log_scale), z + 1e5
    )
    torch.testing.assert_close(far.mixture, near.mixture, rtol=0, atol=1e-6)


class TestIntervals:
    def test_they_cover_the_information_of_a_gaussian_channel(self) -> None:
        """Weak enough that both values are nearly unbiased: by 0.1 of a standard error."""
        channel = GaussianChannel(1, 2.0)
        covered, trials = [0, 0], 100
        for _ in range(trials):
            posterior = channel.posteriors(100)
            densities = aggregated_posterior(posterior, posterior.rsample())
            for which, found in enumerate((densities.empirical(), densities.leave_one_out())):
                assert found is not None
                covered[which] += found.low <= channel.mutual_information <= found.high
        assert all(0.88 <= count / trials <= 0.99 for count in covered), covered

    def test_they_are_the_jackknife_of_repeated_measurement(self) -> None:
        """What is measured again without each sentence, one by one, gives the same interval."""
        posterior = GaussianChannel(2, 0.5).posteriors(20)
        z = posterior.rsample()
        densities = aggregated_posterior(posterior, z)
        for whole, terms in (
            (densities.empirical(), "empirical_terms"),
            (densities.leave_one_out(), "leave_one_out_terms"),
        ):
            values = []
            for out in range(20):
                kept = torch.arange(20) != out
                values.append(
                    getattr(aggregated_posterior(posterior[kept], z[kept]), terms).mean()
                )
            spread = torch.stack(values) - torch.stack(values).mean()
            error = math.sqrt(19 / 20 * float(spread.square().sum()))
            assert whole is not None
            # Student's t with 19 degrees of freedom, from the published table
            assert whole.high - whole.value == pytest.approx(2.0930 * error, rel=1e-4)
            assert whole.value - whole.low == pytest.approx(2.0930 * error, rel=1e-4)

    @pytest.mark.parametrize("count", [16, 75, 101])
    def test_at_the_ceiling_they_stay_there_though_groups_differ_in_size(self, count: int) -> None:
        means = 100.0 * torch.arange(float(count))[:, None]
        posterior = DiagonalGaussian(means, torch.zeros_like(means))
        found = aggregated_posterior(posterior, posterior.rsample()).empirical()
        assert found.value == pytest.approx(math.log(count))
        assert found.high - found.low < 2e-3

    def test_equal_posteriors_leave_no_doubt(self) -> None:
        posterior = DiagonalGaussian(torch.zeros(60, 4), torch.zeros(60, 4))
        found = aggregated_posterior(posterior, posterior.rsample()).leave_one_out()
        assert found is not None
        assert found == pytest.approx((0.0, 0.0, 0.0), abs=1e-9)

    def test_two_sentences_have_the_wide_interval_of_two_terms(self) -> None:
        posterior = GaussianChannel(2, 1.0).posteriors(2)
        densities = aggregated_posterior(posterior, posterior.rsample())
        first, second = densities.leave_one_out_terms.tolist()
        found = densities.leave_one_out()
        assert found is not None
        assert found.value == pytest.approx((first + second) / 2)
        # Student's t with one degree of freedom, from the published table
        assert found.high - found.value == pytest.approx(
            12.706 * abs(first - second) / 2, rel=1e-4
        )


class TestSeveralDraws:
    def test_they_are_averaged(self) -> None:
        posterior = GaussianChannel(3, 0.7).posteriors(40)
        z = posterior.rsample(count=3)
        together = aggregated_posterior(posterior, z)
        alone = [aggregated_posterior(posterior, draw) for draw in z]
        for name in ("empirical_terms", "leave_one_out_terms", "control"):
            expected = torch.stack([getattr(one, name) for one in alone]).mean(dim=0)
            torch.testing.assert_close(getattr(together, name), expected)
        assert together.empirical().value == pytest.approx(float(together.empirical_terms.mean()))

    def test_one_draw_more_or_less_is_a_matter_of_shape(self) -> None:
        posterior = GaussianChannel(3, 0.7).posteriors(70)
        z = posterior.rsample()
        flat, stacked = (
            aggregated_posterior(posterior, z),
            aggregated_posterior(posterior, z[None]),
        )
        assert flat.empirical() == stacked.empirical()
        assert flat.leave_one_out() == stacked.leave_one_out()

    def test_the_same_draw_again_says_nothing_new(self) -> None:
        """So the interval is one of sentences: it must not narrow with copies."""
        posterior = GaussianChannel(3, 0.7).posteriors(70)
        z = posterior.rsample()
        once = aggregated_posterior(posterior, z)
        again = aggregated_posterior(posterior, z.expand(4, -1, -1))
        assert again.empirical() == pytest.approx(once.empirical())
        assert again.leave_one_out() == pytest.approx(once.leave_one_out())

    @pytest.mark.parametrize("draws", [1, 4, 64])
    def test_they_narrow_the_interval_by_the_noise_of_z_alone(self, draws: int) -> None:
        r"""With z = x + s e, the terms are t = I - e^2 / 2 + (x + s e)^2 / 2 (1 + s^2).

        So Var E[t | x] = 1 / 2 (1 + s^2)^2, which no draw of z removes, of 1 / (1 + s^2) in all.
        """
        posterior = GaussianChannel(1, 2.0).posteriors(600)
        found = aggregated_posterior(posterior, posterior.rsample(count=draws)).empirical()
        between, whole = 1 / 50, 1 / 5
        error = math.sqrt((between + (whole - between) / draws) / 600)
        # Student's t with 49 degrees of freedom, from the published table
        assert found.high - found.value == pytest.approx(2.0096 * error, rel=0.3)


class TestControlVariate:
    """It changes no expectation, and leaves less noise."""

    def test_it_keeps_the_mean_and_takes_most_of_the_noise(self) -> None:
        posterior = GaussianChannel(6, 0.7).posteriors(100)
        draws = (posterior.rsample(count=2) for _ in range(64))
        found = [aggregated_posterior(posterior, z) for z in draws]
        for terms, slope in (("empirical_terms", 0), ("leave_one_out_terms", 1)):
            plain = torch.stack([getattr(each, terms).mean() for each in found])
            noise = torch.stack([each.slopes[slope] * each.control.mean() for each in found])
            assert (plain - noise).std() < 0.7 * plain.std()
            assert abs(float(noise.mean())) < 4 * float(noise.std()) / 8
        value = found[0].empirical().value - found[0].empirical(controlled=True).value
        assert value == pytest.approx(float(found[0].slopes[0] * found[0].control.mean()))

    def test_it_does_nothing_at_a_ceiling(self) -> None:
        means = 100.0 * torch.arange(64.0)[:, None]
        posterior = DiagonalGaussian(means, torch.zeros_like(means))
        densities = aggregated_posterior(posterior, posterior.rsample(count=2))
        assert densities.empirical(True) == pytest.approx(densities.empirical(), abs=1e-6)
        assert densities.empirical(True).value == pytest.approx(math.log(64))

    def test_its_interval_covers_the_information_of_a_gaussian_channel(self) -> None:
        channel = GaussianChannel(1, 2.0)
        covered, trials = 0, 100
        for _ in range(trials):
            posterior = channel.posteriors(100)
            densities = aggregated_posterior(posterior, posterior.rsample(count=4))
            found = densities.empirical(controlled=True)
            covered += found.low <= channel.mutual_information <= found.high
        assert 85 <= covered <= 100

    @pytest.mark.parametrize("count", [1, 2])
    def test_few_sentences_are_no_error(self, count: int) -> None:
        posterior = DiagonalGaussian(torch.randn(count, 3), torch.zeros(count, 3))
        densities = aggregated_posterior(posterior, posterior.rsample(count=3))
        assert math.isfinite(densities.empirical(True).value)
        assert (densities.leave_one_out(True) is None) == (count == 1)


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
    assert densities.empirical() == pytest.approx((0.0, 0.0, 0.0), abs=1e-12)
    assert densities.leave_one_out() is None
    torch.testing.assert_close(
        batched_empirical(posterior, posterior.rsample()), torch.zeros(1, dtype=torch.float64)
    )
