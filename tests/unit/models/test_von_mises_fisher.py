"""The sphere: against numerical integration, closed forms in three dimensions, and samples."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from mivae_cli.errors import ConfigError
from mivae_cli.estimators.known_posterior import aggregated_posterior
from mivae_cli.evaluation.metrics import (
    active_units,
    effective_units,
    importance_weighted_bound,
    units_above,
)
from mivae_cli.generation.generate import interpolation
from mivae_cli.generation.neighbours import distances
from mivae_cli.models.von_mises_fisher import (
    UniformSphere,
    VonMisesFisher,
    log_mean_exp_cosine,
    resultant_length,
)
from support.gaussian import assert_near

CASES = [(2, 0.5), (2, 80.0), (3, 0.5), (3, 20.0), (8, 5.0), (32, 80.0), (32, 2000.0), (200, 80.0)]


def directions(count: int, size: int) -> Tensor:
    return normalize(torch.randn(count, size, dtype=torch.float64), dim=-1)


def moments(size: int, concentration: float) -> tuple[float, float, float]:
    r"""Returns log M and the mean and mean square of w = mu . z, by integration over its angle.

    Under the prior the angle has a density in proportion to its sine to the power of Z - 2.
    """
    angle = torch.linspace(0, math.pi, 400_001, dtype=torch.float64)[1:-1]  # ends weigh nothing
    prior = (size - 2) * angle.sin().log()
    if size == 2:  # there they do
        angle = torch.linspace(0, math.pi, 400_001, dtype=torch.float64)
        prior = torch.zeros_like(angle).index_fill(0, torch.tensor([0, 400_000]), -math.log(2))
    cosine = angle.cos()
    joint = prior + concentration * cosine
    log_mean = float(joint.logsumexp(0) - prior.logsumexp(0))
    weights = joint.softmax(0)
    return log_mean, float((weights * cosine).sum()), float((weights * cosine.square()).sum())


@pytest.mark.parametrize("size", [2, 3, 4, 7, 32, 500])
@pytest.mark.parametrize("concentration", [1e-3, 0.5, 7.0, 80.0, 3000.0])
def test_the_normaliser_and_the_rate_are_those_of_integration(
    size: int, concentration: float
) -> None:
    log_mean, mean, _ = moments(size, concentration)
    assert log_mean_exp_cosine(concentration, size) == pytest.approx(log_mean, rel=1e-8, abs=1e-9)
    assert resultant_length(concentration, size) == pytest.approx(mean, rel=1e-6)
    found = VonMisesFisher(directions(3, size), concentration).rates()
    assert found.shape == (3, 1)
    assert found.unique().tolist() == pytest.approx(
        [concentration * mean - log_mean], rel=1e-5, abs=1e-9
    )


@pytest.mark.parametrize("concentration", [1e-3, 0.1, 1.0, 80.0, 700.0, 1e5])
def test_in_three_dimensions_both_are_elementary(concentration: float) -> None:
    r"""There M is sinh(kappa) / kappa and A is coth(kappa) - 1 / kappa."""
    log_sinh = concentration + math.log(-math.expm1(-2 * concentration)) - math.log(2)
    assert log_mean_exp_cosine(concentration, 3) == pytest.approx(
        log_sinh - math.log(concentration), rel=1e-10, abs=1e-12
    )
    length = 1 / math.tanh(concentration) - 1 / concentration
    assert resultant_length(concentration, 3) == pytest.approx(length, rel=1e-8, abs=1e-12)


@pytest.mark.parametrize(("size", "concentration"), [(4, 1e-3), (65_536, 1e5), (65_536, 1e-3)])
def test_the_extremes_are_finite_and_possible(size: int, concentration: float) -> None:
    posterior = VonMisesFisher(directions(2, size), concentration)
    rate = float(posterior.rates()[0])
    assert 0 <= rate < concentration
    assert 0 < resultant_length(concentration, size) < 1
    assert posterior.log_prob(posterior.rsample()).isfinite().all()


def test_the_prior_spreads_one_over_the_area() -> None:
    for size, area in ((2, 2 * math.pi), (3, 4 * math.pi), (4, 2 * math.pi**2)):
        found = UniformSphere(size).log_prob(torch.zeros(5, 2, size))
        torch.testing.assert_close(found, torch.full((5, 2), -math.log(area)))


@pytest.mark.parametrize("concentration", [0.3, 5.0, 80.0])
def test_densities_integrate_to_one_and_their_divergence_to_the_rate(
    concentration: float,
) -> None:
    """On the circle over the angle, on the sphere over height and angle (Archimedes)."""
    turn = (torch.arange(2000, dtype=torch.float64) + 0.5) * (math.pi / 1000)
    height = ((torch.arange(4000, dtype=torch.float64) + 0.5) / 2000 - 1)[:, None]
    radius = (1 - height.square()).sqrt()
    circle = torch.stack([turn.cos(), turn.sin()], dim=-1)
    sphere = torch.stack(
        [radius * turn[::10].cos(), radius * turn[::10].sin(), height.expand(-1, 200)], dim=-1
    ).flatten(0, 1)
    for points, area in ((circle, 2 * math.pi), (sphere, 4 * math.pi)):
        posterior = VonMisesFisher(directions(1, points.shape[1]), concentration)
        log_prob = posterior.log_prob(points[:, None])[:, 0]
        weights = log_prob.exp() * area / len(points)
        assert float(weights.sum()) == pytest.approx(1, abs=1e-3)
        divergence = (weights * (log_prob - posterior.prior.log_prob(points))).sum()
        assert float(divergence) == pytest.approx(float(posterior.rates()), rel=1e-3)


@pytest.mark.parametrize(("size", "concentration"), CASES)
def test_samples_have_the_moments_of_the_distribution(size: int, concentration: float) -> None:
    posterior = VonMisesFisher(directions(1, size), concentration)
    z = posterior.rsample(count=20_000)[:, 0]
    torch.testing.assert_close(z.norm(dim=1), torch.ones(20_000, dtype=torch.float64))
    _, mean, square = moments(size, concentration)
    along = z @ posterior.mean[0]
    assert_near(along, mean)
    assert_near(along.square(), square)
    across = torch.randn(size, dtype=torch.float64)
    across = normalize(across - (across @ posterior.mean[0]) * posterior.mean[0], dim=0)
    assert_near(z @ across, 0.0)  # the same every way round
    assert_near((z @ across).square(), (1 - square) / (size - 1))
    ratios = posterior.log_prob(z[:, None])[:, 0] - posterior.prior.log_prob(z)
    assert_near(ratios, float(posterior.rates()))


@pytest.mark.parametrize("concentration", [0.5, 10.0, 1000.0])
def test_heights_on_the_sphere_are_distributed_as_archimedes_has_it(concentration: float) -> None:
    r"""In three dimensions w has a density in proportion to :math:`e^{\kappa w}`."""
    posterior, count = VonMisesFisher(directions(1, 3), concentration), 20_000
    w = (posterior.rsample(count=count)[:, 0] @ posterior.mean[0]).sort().values
    expected = 1 - torch.expm1(concentration * (w - 1)) / math.expm1(-2 * concentration)
    place = (torch.arange(count) + 0.5) / count
    assert (expected - place).abs().max() < 1.95 / math.sqrt(count)  # Kolmogorov: 1 in 1000


def test_the_prior_is_even() -> None:
    z = UniformSphere(4).sample(20_000, torch.Generator().manual_seed(1)).double()
    torch.testing.assert_close(z.norm(dim=1), torch.ones(20_000, dtype=torch.float64))
    torch.testing.assert_close(z.mean(dim=0), torch.zeros(4).double(), atol=0.02, rtol=0)
    torch.testing.assert_close(z.T.cov(), torch.eye(4).double() / 4, atol=0.01, rtol=0)


@pytest.mark.parametrize(("size", "concentration"), [(2, 3.0), (3, 0.5), (8, 50.0)])
def test_samples_are_differentiable_in_the_direction(size: int, concentration: float) -> None:
    """Against finite differences: the noise is the same wherever the direction points."""

    def sample(raw: Tensor) -> Tensor:
        posterior = VonMisesFisher(normalize(raw, dim=-1), concentration)
        return posterior.rsample(torch.Generator().manual_seed(3), count=2)

    raw = torch.randn(4, size, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(sample, raw)


def test_the_gradient_of_a_mean_is_that_of_its_closed_form() -> None:
    r"""E z is A mu, so along a tangent t the mean of c . z moves by A c . t."""
    mean = torch.tensor([[0.6, 0.0, 0.8]], dtype=torch.float64, requires_grad=True)
    tangent = torch.tensor([0.8, 0.0, -0.6], dtype=torch.float64)
    cost = torch.tensor([0.3, -1.0, 0.5], dtype=torch.float64)
    slopes = []
    for _ in range(100):
        value = (VonMisesFisher(mean, 4.0).rsample(count=200) @ cost).mean()
        slopes.append(torch.autograd.grad(value, mean)[0][0] @ tangent)
    assert_near(torch.stack(slopes), resultant_length(4.0, 3) * float(cost @ tangent))


def test_the_axis_that_noise_is_drawn_about_is_a_direction_like_others() -> None:
    for nudge in (0.0, 1e-7):
        mean = torch.tensor([[1.0, nudge, 0.0, 0.0]], requires_grad=True)
        z = VonMisesFisher(normalize(mean, dim=-1), 10.0).rsample(count=2000)
        z[..., 0].sum().backward()
        z = z.detach()
        torch.testing.assert_close(z.norm(dim=-1), torch.ones(2000, 1))
        assert mean.grad is not None
        assert mean.grad.isfinite().all()
        assert float(z[..., 0].mean()) == pytest.approx(resultant_length(10.0, 4), abs=0.01)


def test_the_importance_weighted_bound_is_exact_where_the_posterior_is() -> None:
    r"""With :math:`p(x \mid z) \propto e^{\kappa c \cdot z}`, the posterior is vMF about c."""
    posterior = VonMisesFisher(directions(6, 5), 12.0)
    for proposal, tolerance in ((posterior, 1e-9), (VonMisesFisher(posterior.mean, 6.0), 0.05)):
        z = proposal.rsample(count=5000)
        log_joint = 12.0 * (z * posterior.mean).sum(dim=-1) + proposal.prior.log_prob(z)
        bounds = importance_weighted_bound(log_joint, proposal.log_prob(z))
        evidence = torch.full((6,), moments(5, 12.0)[0], dtype=torch.float64)
        torch.testing.assert_close(bounds, evidence, rtol=0, atol=tolerance)


class TestKnownPosterior:
    def test_far_directions_carry_the_log_of_their_number(self) -> None:
        posterior = VonMisesFisher(torch.eye(16), 500.0)
        terms = aggregated_posterior(posterior, posterior.rsample()).empirical_terms
        assert float(terms.mean()) == pytest.approx(math.log(16), abs=1e-6)

    def test_equal_directions_carry_nothing(self) -> None:
        posterior = VonMisesFisher(directions(1, 5).expand(40, -1), 20.0)
        z = posterior.rsample()
        densities = aggregated_posterior(posterior, z)
        assert densities.empirical_terms.abs().max() < 1e-9
        assert densities.leave_one_out_terms.abs().max() < 1e-9
        divergence = float((densities.mixture - posterior.prior.log_prob(z)).mean())
        assert divergence == pytest.approx(float(posterior.rates()[0]), abs=1.0)

    def test_two_directions_on_the_circle_carry_what_integration_finds(self) -> None:
        angles = torch.tensor([0.3, 1.7], dtype=torch.float64)
        posterior = VonMisesFisher(torch.stack([angles.cos(), angles.sin()], dim=-1), 3.0)
        turn = torch.arange(20_000, dtype=torch.float64) * (math.pi / 10_000)
        grid = torch.stack([turn.cos(), turn.sin()], dim=-1)
        densities = posterior.log_prob(grid[:, None]).exp()  # (grid, 2)
        ratios = (densities / densities.mean(dim=1, keepdim=True)).log()
        truth = float((densities * ratios).mean() * 2 * math.pi)
        draws = [aggregated_posterior(posterior, posterior.rsample(count=200)) for _ in range(50)]
        assert_near(torch.stack([draw.empirical_terms.mean() for draw in draws]), truth)


def test_the_way_between_two_directions_stays_on_the_sphere() -> None:
    start, end = directions(2, 6)
    way = interpolation(start, end, 9, "slerp")
    torch.testing.assert_close(way.norm(dim=1), torch.ones(9, dtype=torch.float64))


def test_what_leaves_the_sphere_is_brought_back_to_it() -> None:
    z = torch.randn(5, 4)
    found = UniformSphere(4).projected(z)
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(5))
    assert (torch.cosine_similarity(found, z, dim=-1) > 1 - 1e-6).all()


def test_a_distance_of_gaussians_is_refused_on_the_sphere() -> None:
    posterior = VonMisesFisher(UniformSphere(4).sample(3), 20.0)
    with pytest.raises(ConfigError, match="cosine"):
        distances(posterior[:1], posterior, "bhattacharyya")
    assert distances(posterior[:1], posterior, "cosine").argmin() == 0


class TestUnits:
    """Of directions on the sphere, whatever the concentration."""

    @staticmethod
    def counts(mean: torch.Tensor, concentration: float) -> tuple[int, int, float]:
        posterior = VonMisesFisher(mean, concentration)
        rates = posterior.unit_rates().tolist()
        active = active_units(posterior.scaled_means())
        return active, units_above(rates), effective_units(rates)

    @pytest.mark.parametrize("concentration", [10.0, 80.0, 1e5])
    @pytest.mark.parametrize("size", [2, 8, 200])
    def test_directions_all_over_the_sphere_make_every_unit_active(
        self, size: int, concentration: float
    ) -> None:
        mean = UniformSphere(size).sample(4000, torch.Generator().manual_seed(0))
        active, above, effective = self.counts(mean, max(concentration, size))
        assert active == above == size
        assert effective == pytest.approx(size, rel=0.01)

    @pytest.mark.parametrize("concentration", [1e-3, 80.0, 1e5])
    @pytest.mark.parametrize("direction", [[1.0, 0.0, 0.0], [0.6, 0.0, 0.8]])
    def test_one_direction_for_all_makes_none_active(
        self, direction: list[float], concentration: float
    ) -> None:
        noise = 1e-8 * torch.randn(50, 3)  # of rounding
        assert self.counts(torch.tensor(direction) + noise, concentration) == (0, 0, 0.0)

    def test_a_small_spread_counts_if_the_posterior_is_narrower(self) -> None:
        angles = 0.01 * torch.randn(1000)
        mean = torch.stack([angles.cos(), angles.sin(), torch.zeros(1000)], dim=1)
        assert self.counts(mean, 10.0) == (0, 0, 0.0)  # z itself varies by 0.3
        active, above, effective = self.counts(mean, 1e5)  # by 0.003
        assert active == above >= 1
        assert 1 <= effective < 2

    def test_the_rates_are_those_of_the_samples(self) -> None:
        mean = UniformSphere(3).sample(500, torch.Generator().manual_seed(0))
        posterior = VonMisesFisher(mean.double(), 5.0)
        z = posterior.rsample(torch.Generator().manual_seed(1), count=400)
        within = z.var(dim=0).mean(dim=0)
        expected = 0.5 * (z.flatten(0, 1).var(dim=0) / within).log()
        torch.testing.assert_close(posterior.unit_rates(), expected, rtol=0.02, atol=0)

    def test_a_single_sentence_has_none(self) -> None:
        assert self.counts(torch.tensor([[1.0, 0.0]]), 5.0) == (0, 0, 0.0)
