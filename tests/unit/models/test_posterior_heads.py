"""Heads: what each promises of the rate holds for any features, and what evaluation sees."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mivae_cli.config.model import (
    BatchNormPosteriorConfig,
    CommittedRatePosteriorConfig,
    GaussianPosteriorConfig,
    ModelConfig,
    Posterior,
    VonMisesFisherPosteriorConfig,
)
from mivae_cli.config.resolve import read_config
from mivae_cli.errors import ConfigError
from mivae_cli.models.posterior_heads import (
    BatchNormHead,
    CommittedRateHead,
    GaussianHead,
    VonMisesFisherHead,
    build_head,
    build_prior,
    committed_log_scales,
)
from mivae_cli.models.vae import build_model

FAMILIES: list[Posterior] = [
    GaussianPosteriorConfig(),
    BatchNormPosteriorConfig(),
    CommittedRatePosteriorConfig(),
    VonMisesFisherPosteriorConfig(concentration=20.0),
]
each_family = pytest.mark.parametrize("config", FAMILIES, ids=lambda config: config.kind)


@each_family
class TestEveryFamily:
    def test_inner_products_of_pairs_are_log_densities(self, config: Posterior) -> None:
        posterior = build_head(config, 5, 4)(torch.randn(7, 5)).double()
        z = posterior.rsample(count=3)
        of_x, of_z = posterior.pair_vectors(z)
        expected = torch.stack([posterior[i : i + 1].log_prob(z).flatten() for i in range(7)])
        torch.testing.assert_close(of_x @ of_z.T, expected)

    def test_its_rate_is_the_mean_log_ratio_of_samples(self, config: Posterior) -> None:
        with torch.no_grad():
            posterior = build_head(config, 5, 4)(torch.randn(3, 5)).double()
        z = posterior.rsample(count=20_000)
        found = (posterior.log_prob(z) - posterior.prior.log_prob(z)).mean(dim=0)
        torch.testing.assert_close(found, posterior.rates().sum(dim=-1), rtol=0.03, atol=0.03)

    def test_its_prior_is_the_models(self, config: Posterior) -> None:
        posterior = build_head(config, 5, 4)(torch.randn(3, 5))
        assert posterior.prior == build_prior(config, 4)
        z = posterior.prior.sample(6)
        assert z.shape == (6, 4)
        assert posterior.prior.log_prob(z).shape == (6,)

    def test_parts_make_the_whole(self, config: Posterior) -> None:
        with torch.no_grad():
            whole = build_head(config, 5, 4)(torch.randn(7, 5))
        joined = type(whole).cat([whole[:2], whole[2:]])[torch.arange(6, -1, -1)]
        assert len(joined) == 7
        for name, array in whole.arrays().items():
            found = joined.cpu().arrays()[name]
            assert torch.equal(found.flip(0) if found.dim() else found, array)
        again = joined.with_parameters(whole.parameters())
        assert torch.equal(again.parameters(), whole.parameters())
        assert whole.parameters().shape == (
            7,
            ModelConfig(latent_size=4, posterior=config).posterior_size,
        )
        torch.testing.assert_close(joined.double().rates().float(), whole.rates().flip(0))

    def test_samples_carry_gradient_to_all_that_the_head_says(self, config: Posterior) -> None:
        head = build_head(config, 5, 4)
        features = torch.randn(6, 5, requires_grad=True)
        head(features).rsample(torch.Generator().manual_seed(0)).pow(3).sum().backward()
        assert features.grad is not None
        assert features.grad.abs().min() > 0
        for name, parameter in head.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name


def test_the_gaussian_head_splits_its_output_into_mean_and_log_scale() -> None:
    head = GaussianHead(features=5, latent_size=3)
    features = torch.randn(2, 5)
    posterior = head(features)
    torch.testing.assert_close(posterior.parameters(), head.linear(features))
    assert posterior.mean.shape == posterior.log_scale.shape == (2, 3)


@pytest.mark.parametrize("latent_size", [0, 2])
def test_only_what_a_family_learns_is_in_its_state(latent_size: int) -> None:
    linear = {"linear.weight", "linear.bias"}
    normalised = linear | {"shift", "running_mean", "running_variance", "batches"}
    expected = [linear, normalised, linear, linear]
    for config, names in zip(FAMILIES, expected, strict=True):
        model = build_model(ModelConfig(latent_size=latent_size, posterior=config), 10)
        found = {name.removeprefix("head.") for name in model.state_dict() if "head." in name}
        assert found == (names if latent_size else set())


class TestBatchNorm:
    head: BatchNormHead

    @pytest.fixture(autouse=True)
    def fresh(self) -> None:
        self.head = BatchNormHead(BatchNormPosteriorConfig(scale=0.7), 5, 3)

    def test_the_means_of_a_batch_have_the_spread_that_was_asked_for(self) -> None:
        with torch.no_grad():
            self.head.shift.copy_(torch.tensor([0.0, 1.0, -2.0]))
        mean = self.head(3 + torch.randn(40, 5)).mean
        torch.testing.assert_close(mean.mean(dim=0), self.head.shift)
        torch.testing.assert_close(mean.std(dim=0, correction=0), torch.full((3,), 0.7))

    @pytest.mark.parametrize("spread", [1e-2, 1.0, 1e3])
    @pytest.mark.parametrize("log_scales", ["learned", "the prior's"])
    def test_the_mean_rate_of_a_batch_has_a_floor(self, spread: float, log_scales: str) -> None:
        if log_scales == "the prior's":  # the floor is reached
            torch.nn.init.zeros_(self.head.linear.weight[3:])
            torch.nn.init.zeros_(self.head.linear.bias[3:])
        rates = self.head(spread * torch.randn(30, 5)).rates().mean(dim=0)
        assert (rates >= 0.5 * 0.7**2 * (1 - 1e-3)).all()
        if log_scales == "the prior's":
            torch.testing.assert_close(rates, torch.full((3,), 0.5 * 0.7**2), rtol=1e-3, atol=0)

    def test_averages_follow_the_batches_and_evaluation_uses_them(self) -> None:
        batches = [2 + torch.randn(20, 5) for _ in range(15)]
        means, variances = [], []
        for features in batches:
            self.head(features)
            said = self.head.linear(features)[:, :3].detach()
            means.append(said.mean(dim=0))
            variances.append(said.var(dim=0))
        mean, variance = (torch.stack(rows[:10]).mean(dim=0) for rows in (means, variances))
        for place in range(10, 15):
            mean = 0.9 * mean + 0.1 * means[place]
            variance = 0.9 * variance + 0.1 * variances[place]
        torch.testing.assert_close(self.head.running_mean, mean)
        torch.testing.assert_close(self.head.running_variance, variance)
        self.head.eval()
        said = self.head.linear(batches[0])[:, :3]
        expected = 0.7 * (said - mean) / variance.sqrt()
        torch.testing.assert_close(self.head(batches[0]).mean, expected)
        torch.testing.assert_close(self.head.running_mean, mean)  # which has not moved

    def test_evaluation_agrees_with_training_where_batches_are_alike(self) -> None:
        features = torch.randn(200, 5)
        for _ in range(3):
            trained = self.head(features)
        evaluated = self.head.eval()(features)
        correction = math.sqrt(199 / 200)  # the averages' variance is the unbiased one
        torch.testing.assert_close(evaluated.mean, correction * trained.mean)
        assert torch.equal(evaluated.log_scale, trained.log_scale)

    def test_a_sentence_alone_is_read_as_in_evaluation_and_moves_nothing(self) -> None:
        self.head(torch.randn(20, 5))
        before = self.head.running_variance.clone()
        one = torch.randn(1, 5)
        trained = self.head(one).mean
        assert torch.equal(trained, self.head.eval()(one).mean)
        assert torch.equal(before, self.head.running_variance)

    def test_equal_sentences_are_no_fault(self) -> None:
        posterior = self.head(torch.ones(8, 5))
        posterior.rsample().sum().backward()
        torch.testing.assert_close(posterior.mean, torch.zeros(8, 3), atol=0.01, rtol=0)
        assert self.head.linear.weight.grad is not None
        assert self.head.linear.weight.grad.isfinite().all()


class TestCommittedRate:
    @pytest.mark.parametrize("rate", [1e-4, 0.15, 1.0, 100.0])
    def test_scales_end_where_a_mean_of_zero_has_the_rate(self, rate: float) -> None:
        lowest, highest = committed_log_scales(rate)
        assert lowest < 0 < highest
        for log_scale in (lowest, highest):
            assert math.expm1(2 * log_scale) / 2 - log_scale == pytest.approx(rate, rel=1e-9)

    @given(
        st.floats(1e-4, 100), st.integers(0, 2**16), st.sampled_from([0.0, 0.1, 1.0, 30.0, 1e4])
    )
    def test_no_input_has_less_and_none_a_gradient_without_end(
        self, rate: float, seed: int, spread: float
    ) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            head = CommittedRateHead(CommittedRatePosteriorConfig(rate=rate), 4, 6)
            posterior = head(spread * torch.randn(50, 4))
        rates = posterior.rates()
        assert float(rates.detach().double().min()) >= rate - 1e-6 * max(1, rate)
        (rates.sum() + posterior.rsample().sum()).backward()
        gradient = head.linear.weight.grad
        assert gradient is not None
        assert gradient.isfinite().all()

    def test_the_rate_is_the_committed_one_and_half_of_what_goes_beyond(self) -> None:
        head = CommittedRateHead(CommittedRatePosteriorConfig(rate=0.3), 4, 6).double()
        features = 3 * torch.randn(50, 4, dtype=torch.float64)
        beyond = head.linear(features)[:, :6].relu()
        torch.testing.assert_close(head(features).rates(), 0.3 + 0.5 * beyond, rtol=0, atol=1e-6)
        assert 0 < float((beyond == 0).double().mean()) < 1

    @pytest.mark.parametrize("place", [-1e4, -50.0, 50.0, 1e4])
    def test_at_the_ends_of_the_scales_nothing_breaks(self, place: float) -> None:
        head = CommittedRateHead(CommittedRatePosteriorConfig(), 1, 1)
        features = torch.tensor([[1.0]])
        with torch.no_grad():
            head.linear.weight.copy_(torch.tensor([[-1.0], [place]]))
            head.linear.bias.zero_()
        posterior = head(features)
        (posterior.mean + posterior.log_scale).sum().backward()
        assert posterior.rates().tolist() == [[pytest.approx(0.15, abs=1e-5)]]
        assert head.linear.weight.grad is not None
        assert head.linear.weight.grad.isfinite().all()


def test_directions_are_unit_vectors_of_the_linear_layers_output() -> None:
    head = VonMisesFisherHead(VonMisesFisherPosteriorConfig(concentration=7.0), 5, 3)
    features = torch.randn(20, 5)
    posterior, said = head(features), head.linear(features)
    assert posterior.concentration == 7.0
    torch.testing.assert_close(posterior.mean, said / said.norm(dim=1, keepdim=True))


class TestConfiguration:
    def test_a_sphere_has_two_dimensions_at_least(self) -> None:
        sphere = "model.posterior={kind='von-mises-fisher'}"
        with pytest.raises(ConfigError, match="latent_size"):
            read_config(overrides=[sphere, "model.latent_size=1"])
        for size in (0, 2):
            config = read_config(overrides=[sphere, f"model.latent_size={size}"])
            z = build_model(config.model, 10).prior.sample(3)
            assert z.shape == (3, size)

    @pytest.mark.parametrize(
        ("key", "wrong"),
        [
            ("batch-norm.scale", (0, -1, 1001, "nan", "inf")),
            ("committed-rate.rate", (0, 1e-5, 101, "nan", "inf")),
            ("von-mises-fisher.concentration", (0, -1, 1e6, "nan", "inf")),
        ],
    )
    def test_its_numbers_are_bounded(self, key: str, wrong: tuple[object, ...]) -> None:
        kind, _, field = key.partition(".")
        for value in wrong:
            with pytest.raises(ConfigError, match=rf"posterior\.{field}' cannot be"):
                read_config(overrides=[f"model.posterior={{kind='{kind}', {field}={value}}}"])

    def test_a_setting_of_another_family_is_named(self) -> None:
        with pytest.raises(ConfigError, match="kind"):
            read_config(overrides=["model.posterior.rate=0.2"])
