"""Fitted densities and what is estimated with them, against Gaussians and closed forms."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal

from mivae_cli.errors import DivergedError
from mivae_cli.estimators import densities
from mivae_cli.estimators.densities import CHECK_EVERY, MixtureDensity, doe_terms, fit_density
from mivae_cli.estimators.upper_bounds import club, leave_one_out
from support.gaussian import GaussianChannel

Pairs = tuple[Tensor, Tensor]


def draw(rho: float, size: int, dim: int = 1) -> Pairs:
    x = torch.randn(size, dim)
    return x, rho * x + math.sqrt(1 - rho**2) * torch.randn(size, dim)


def information(rho: float) -> float:
    return -0.5 * math.log1p(-(rho**2))


class TestMixtureDensity:
    def test_it_is_the_mixture_of_its_parameters(self) -> None:
        density = MixtureDensity(2, 3, components=4).double()
        x, z = torch.randn(5, 2).double(), torch.randn(5, 3).double()
        log_weights, means, log_scales = density._mixture(x)
        total = torch.zeros(5).double()
        for k in range(4):
            gaussian = Independent(Normal(means[:, k], log_scales[:, k].exp()), 1)
            total += log_weights[:, k].exp() * gaussian.log_prob(z).exp()
        torch.testing.assert_close(log_weights.exp().sum(dim=1), torch.ones(5).double())
        torch.testing.assert_close(density.log_prob(x, z), total.log())

    @pytest.mark.parametrize("x_size", [0, 2])
    def test_it_integrates_to_one(self, x_size: int) -> None:
        density = MixtureDensity(x_size, 1, components=3).requires_grad_(False)
        grid = torch.linspace(-40, 40, 40_001)[:, None]
        for x in 3 * torch.randn(3, x_size):
            mass = density.log_prob(x.expand(len(grid), -1), grid).exp()
            assert float(torch.trapezoid(mass, grid[:, 0])) == pytest.approx(1.0, abs=1e-3)

    @pytest.mark.parametrize("x_size", [0, 2])
    def test_the_matrix_holds_the_paired_values(self, x_size: int) -> None:
        density = MixtureDensity(x_size, 3, components=4).requires_grad_(False)
        x, z = torch.randn(9, x_size), 2 * torch.randn(7, 3)
        matrix = density.log_prob_matrix(x, z)
        assert matrix.shape == (9, 7)
        for i in range(9):
            expected = density.log_prob(x[i].expand(7, -1), z).double()
            torch.testing.assert_close(matrix[i], expected, rtol=1e-5, atol=1e-5)
        paired = density.log_prob(x[:7], z).double()
        torch.testing.assert_close(matrix.diagonal(), paired, rtol=1e-5, atol=1e-5)

    def test_blocks_of_any_size_give_the_same(self, monkeypatch: pytest.MonkeyPatch) -> None:
        density = MixtureDensity(2, 3, components=4).requires_grad_(False)
        x, z = torch.randn(9, 2), torch.randn(7, 3)
        whole = density.log_prob_matrix(x, z)
        for block in (1, 4 * 7 * 2):  # 1 row, 2 rows at a time
            monkeypatch.setattr(densities, "BLOCK", block)
            torch.testing.assert_close(density.log_prob_matrix(x, z), whole, rtol=1e-5, atol=1e-5)

    def test_scales_are_bounded_below(self) -> None:
        """So that one repeated value does not get all the density there is."""
        density = MixtureDensity(0, 1, components=1).requires_grad_(False)
        density.log_scales.fill_(-1e4)
        at_mean = density.log_prob(torch.zeros(1, 0), density.means)
        assert float(at_mean) == pytest.approx(7.0 - 0.5 * math.log(2 * math.pi), abs=1e-4)


def validation(density: MixtureDensity, pairs: Pairs) -> float:
    return float(density.log_prob(*pairs).mean())


class TestFit:
    def test_it_reaches_the_entropy_of_a_bivariate_normal(self) -> None:
        train, valid, test = draw(0.8, 4000), draw(0.8, 1000), draw(0.8, 4000)
        density = fit_density(*train, *valid, components=2, steps=300)
        entropy = 0.5 * math.log(2 * math.pi * math.e * (1 - 0.8**2))
        exact = Normal(0.8 * test[0], 0.6).log_prob(test[1])
        assert -float(exact.mean()) == pytest.approx(entropy, abs=0.05)
        excess = float((exact[:, 0] - density.log_prob(*test)).mean())
        assert abs(excess) < 0.05  # the same sample, so that its noise cancels

    def test_it_reaches_the_entropy_of_two_far_modes(self) -> None:
        """With z = +-1 + noise of scale 0.1: its entropy is the noise's and ln 2."""

        def sample(size: int) -> Pairs:
            sign = 2.0 * torch.randint(2, (size, 1)) - 1
            return torch.zeros(size, 0), sign + 0.1 * torch.randn(size, 1)

        density = fit_density(*sample(3000), *sample(1000), components=4, steps=400)
        entropy = 0.5 * math.log(2 * math.pi * math.e) + math.log(0.1) + math.log(2)
        assert -validation(density, sample(8000)) == pytest.approx(entropy, abs=0.05)

    def test_modes_may_move_and_part_with_x(self) -> None:
        """With z = +-x + noise, z has two modes given x."""

        def sample(size: int) -> Pairs:
            x = 1.0 + torch.rand(size, 1)
            sign = 2.0 * torch.randint(2, (size, 1)) - 1
            return x, sign * x + 0.2 * torch.randn(size, 1)

        density = fit_density(*sample(4000), *sample(1000), components=4, steps=500)
        entropy = 0.5 * math.log(2 * math.pi * math.e) + math.log(0.2) + math.log(2)
        assert -validation(density, sample(8000)) == pytest.approx(entropy, abs=0.06)

    def test_it_keeps_what_did_best_on_validation(self) -> None:
        """Fits of few pairs that end at every look: the longest one gives the best of them."""
        train, valid = draw(0.5, 40, dim=3), draw(0.5, 200, dim=3)
        looks = 10
        last = fit_density(*train, *valid, components=4, steps=looks * CHECK_EVERY)
        kept = validation(last, valid)
        values = [
            validation(fit_density(*train, *valid, components=4, steps=steps), valid)
            for steps in range(CHECK_EVERY, 5 * CHECK_EVERY, CHECK_EVERY)
        ]
        assert max(values) <= kept
        assert validation(last, train) - kept > 0.2  # it did overfit

    def test_seeds_reproduce_and_leave_other_draws_alone(self) -> None:
        train, valid = draw(0.5, 300), draw(0.5, 100)
        state = torch.get_rng_state()
        first, again, other = (
            fit_density(*train, *valid, components=2, steps=60, seed=seed) for seed in (1, 1, 2)
        )
        assert torch.get_rng_state().equal(state)
        assert first.log_prob(*valid).equal(again.log_prob(*valid))
        assert not first.log_prob(*valid).equal(other.log_prob(*valid))
        assert not any(weight.requires_grad for weight in first.parameters())

    def test_what_is_not_finite_is_told(self) -> None:
        x, z = draw(0.5, 20)
        z[3] = math.inf
        with pytest.raises(DivergedError):
            fit_density(x, z, x, z)


class TestDifferenceOfEntropies:
    def test_it_is_near_the_information_of_a_gaussian_channel(self) -> None:
        channel = GaussianChannel(3, 0.8)
        spread = math.hypot(1.0, 0.8)
        train, valid, test = (
            (x.float(), (z / spread).float()) for x, z in map(channel.draw, (4000, 1000, 4000))
        )
        conditional = fit_density(*train, *valid, components=1, steps=300)
        marginal = fit_density(train[0][:, :0], train[1], valid[0][:, :0], valid[1], 1, steps=300)
        terms = doe_terms(conditional, marginal, *test)
        assert terms.shape == (4000,)
        assert float(terms.mean()) == pytest.approx(channel.mutual_information, abs=0.1)
        # the same conditional makes both upper bounds
        matrix = conditional.log_prob_matrix(test[0][:1000], test[1][:1000])
        interval = leave_one_out(matrix)
        assert float(interval) == pytest.approx(channel.mutual_information, abs=0.15)
        gaussian_club = channel.dim / channel.scale**2  # rho^2 / (1 - rho^2) of each coordinate
        assert float(club(matrix)) == pytest.approx(gaussian_club, rel=0.15)

    def test_a_poor_marginal_puts_it_above_the_information(self) -> None:
        """Neither bound: the same conditional, and a marginal of another scale."""
        train, valid, test = draw(0.6, 3000), draw(0.6, 1000), draw(0.6, 3000)
        conditional = fit_density(*train, *valid, components=1, steps=200)
        marginal = MixtureDensity(0, 1, components=1).requires_grad_(False)
        marginal.means.zero_()
        marginal.log_scales.fill_(1.0)
        assert doe_terms(conditional, marginal, *test).mean() > information(0.6) + 0.2
        flat = MixtureDensity(1, 1, components=1).requires_grad_(False)  # and a poor conditional
        marginal.log_scales.zero_()
        assert doe_terms(flat, marginal, *test).mean() < information(0.6) - 0.2
