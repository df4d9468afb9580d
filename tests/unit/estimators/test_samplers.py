"""Samplers against what is known of them: densities, limits, quantiles, maps undone."""

import math
from collections.abc import Callable
from typing import Any, Protocol

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Normal
from torch.distributions import StudentT as UnivariateT

from mivae_cli.errors import ConfigError
from mivae_cli.estimators.samplers import (
    DESCRIPTIONS,
    SAMPLERS,
    CorrelatedGaussian,
    DenseGaussian,
    DiscreteChannel,
    GaussianMixture,
    Independent,
    Sampler,
    SparseGaussian,
    StudentT,
    Transformed,
    UniformNoise,
    asinh,
    cube,
    half_cube,
    identity,
    normal_cdf,
    spiral,
    swiss_roll,
)
from support.gaussian import assert_near

ROUND = ((1.0, 0.0), (0.0, 1.0))
TABLE = ((0.3, 0.1, 0.0), (0.05, 0.15, 0.4))


class Known(Sampler, Protocol):
    """A sampler whose density is at hand."""

    def log_ratio(self, x: Tensor, z: Tensor) -> Tensor: ...


BLOBS = GaussianMixture(
    weights=(0.5, 0.3, 0.2),
    means=((0.0, 0.0, 1.0), (2.0, -1.0, 0.0), (-1.0, 2.0, -1.0)),
    covariances=(
        ((1.0, 0.3, 0.5), (0.3, 1.0, 0.0), (0.5, 0.0, 1.0)),
        ((0.5, 0.0, -0.3), (0.0, 1.0, 0.0), (-0.3, 0.0, 0.5)),
        ((1.0, 0.0, 0.0), (0.0, 2.0, 0.0), (0.0, 0.0, 1.0)),
    ),
    x_dim=2,
)
LIGHT: dict[str, Known] = {
    "independent": Independent(3, 2),
    "correlated": CorrelatedGaussian(3, -0.5),
    "dense": DenseGaussian(3, 2, correlation=0.4),
    "sparse": SparseGaussian(2, 4, pairs=1, correlation=0.6),
    "narrow noise": UniformNoise(0.1),
    "wide noise": UniformNoise(0.8),
    "channel": DiscreteChannel(TABLE),
    "mixture": BLOBS,
}
KNOWN: dict[str, Known] = LIGHT | {
    "six nats": CorrelatedGaussian.of_information(20, 6.0),
    "student": StudentT(5, 5, dof=2),
    "student of unequal sides": StudentT(1, 3, dof=5),
}


@pytest.mark.parametrize("name", KNOWN)
def test_the_log_ratio_averages_to_the_information(name: str) -> None:
    sampler = KNOWN[name]
    assert_near(sampler.log_ratio(*sampler.draw(50_000, seed=1)), sampler.mutual_information)


@pytest.mark.parametrize("name", LIGHT)
def test_the_ratio_averages_to_one_over_independent_pairs(name: str) -> None:
    sampler = LIGHT[name]
    (x, _), (_, z) = sampler.draw(50_000, seed=2), sampler.draw(50_000, seed=3)
    assert_near(sampler.log_ratio(x, z).exp(), 1.0)


@pytest.mark.parametrize(
    ("name", "information"),
    [
        ("independent", 0.0),
        ("gaussian", 6.0),
        ("cubic", 6.0),
        ("dense", 1.62427),
        ("uniform-noise", 1.70944),
        ("half-cube", -0.5 * math.log(1 - 0.75**2)),
        ("swiss-roll", -0.5 * math.log(1 - 0.75**2)),
        ("student-t", 0.44815),
        ("spiral", -math.log(1 - 0.8**2)),
        ("channel", math.log(4) + 0.85 * math.log(0.85) + 0.15 * math.log(0.05)),
    ],
)
def test_the_ready_made_know_what_is_published_or_easily_computed(
    name: str, information: float
) -> None:
    assert SAMPLERS[name].mutual_information == pytest.approx(information, abs=1e-5)


def test_every_ready_made_one_is_described_in_a_line() -> None:
    assert list(DESCRIPTIONS) == list(SAMPLERS)
    assert all(text and "\n" not in text for text in DESCRIPTIONS.values())


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("size", [0, -1, 2.5, "3", None])
def test_sizes_must_be_positive_integers(name: str, size: Any) -> None:  # noqa: ANN401
    with pytest.raises(ConfigError, match="number of pairs"):
        SAMPLERS[name].draw(size, seed=0)


@pytest.mark.parametrize("name", SAMPLERS)
def test_draws_have_the_shapes_announced_and_come_from_the_seed_alone(name: str) -> None:
    sampler = SAMPLERS[name]
    before = torch.get_rng_state()
    x, z = sampler.draw(64, seed=5)
    assert torch.equal(torch.get_rng_state(), before)
    assert x.shape == (64, sampler.x_dim)
    assert z.shape == (64, sampler.z_dim)
    assert x.dtype == z.dtype == torch.float64
    torch.manual_seed(99)
    again, other = sampler.draw(64, seed=5), sampler.draw(64, seed=6)
    assert torch.equal(again[0], x)
    assert torch.equal(again[1], z)
    assert not torch.equal(other[0], x)
    assert not torch.equal(other[1], z)


# Gaussians


@given(st.integers(1, 30), st.floats(0, 20))
def test_a_gaussian_made_for_an_information_has_it(dim: int, nats: float) -> None:
    sampler = CorrelatedGaussian.of_information(dim, min(nats, 5.0 * dim))
    rho = sampler.correlation
    truth = -0.5 * dim * math.log1p(-(rho**2))
    assert sampler.mutual_information == pytest.approx(min(nats, 5.0 * dim), abs=1e-6)
    assert sampler.mutual_information == pytest.approx(truth, abs=1e-6)


def test_the_log_ratio_of_a_normal_pair_is_its_conditional_over_its_marginal() -> None:
    rho, sampler = 0.7, CorrelatedGaussian(1, 0.7)
    x, z = 3 * torch.randn(2, 50, 1, dtype=torch.float64)
    conditional = Normal(rho * x, math.sqrt(1 - rho**2)).log_prob(z)
    marginal = Normal(torch.zeros_like(z), 1.0).log_prob(z)
    torch.testing.assert_close(sampler.log_ratio(x, z), (conditional - marginal).squeeze(1))


def test_draws_have_the_covariance_that_is_announced() -> None:
    sampler = SparseGaussian(2, 3, pairs=1, correlation=-0.6)
    both = torch.cat(sampler.draw(200_000, seed=0), dim=1)
    expected = torch.eye(5, dtype=torch.float64)
    expected[0, 2] = expected[2, 0] = -0.6
    torch.testing.assert_close(both.T.cov(), expected, rtol=0, atol=0.015)


def test_a_dense_pair_is_a_correlated_pair() -> None:
    dense, pair = DenseGaussian(1, 1, correlation=0.3), CorrelatedGaussian(1, 0.3)
    assert dense.mutual_information == pytest.approx(pair.mutual_information)


@pytest.mark.parametrize(
    "build",
    [
        lambda: CorrelatedGaussian(2, 1.0),
        lambda: CorrelatedGaussian.of_information(1, 100.0),
        lambda: DenseGaussian(3, 3, correlation=-0.5),
        lambda: SparseGaussian(3, 1, pairs=2),
        lambda: UniformNoise(0.0),
        lambda: StudentT(1, 1, dof=0),
        lambda: DiscreteChannel(((0.5, 0.6), (-0.1, 0.0))),
        lambda: DiscreteChannel(((0.5, 0.6),)),
        lambda: GaussianMixture((0.5, 0.4), ((0.0, 0.0),) * 2, (ROUND,) * 2),
        lambda: GaussianMixture((1.0,), ((0.0, 0.0),), (((1.0, 2.0), (2.0, 1.0)),)),
        lambda: GaussianMixture((1.0,), ((0.0, 0.0),), (((1.0, 0.5), (0.0, 1.0)),)),
    ],
)
def test_what_is_no_distribution_is_refused(build: Callable[[], Sampler]) -> None:
    with pytest.raises(ConfigError):
        build()


# Uniform noise and symbols


@pytest.mark.parametrize("half_width", [0.05, 0.3, 0.5, 0.7, 3.0])
def test_uniform_noise_has_the_entropy_of_z_less_that_of_the_noise(half_width: float) -> None:
    """h(z) is integrated from the convolution of two boxes."""
    e = half_width
    z = torch.linspace(-e, 1 + e, 200_001, dtype=torch.float64)
    density = ((z + e).clamp(max=1) - (z - e).clamp(min=0)) / (2 * e)
    entropy = -float(torch.trapezoid(density.xlogy(density), z))
    information = UniformNoise(e).mutual_information
    assert information == pytest.approx(entropy - math.log(2 * e), abs=1e-7)


@pytest.mark.parametrize("size", [1, 2, 7])
def test_a_channel_without_noise_carries_its_symbol_and_one_without_use_nothing(
    size: int,
) -> None:
    noiseless = tuple(tuple(float(i == j) / size for j in range(size)) for i in range(size))
    useless = ((0.3 * 0.2, 0.3 * 0.8), (0.7 * 0.2, 0.7 * 0.8))
    perfect = DiscreteChannel(noiseless)
    assert perfect.mutual_information == pytest.approx(math.log(size))
    assert DiscreteChannel(useless).mutual_information == pytest.approx(0.0, abs=1e-12)
    x, z = perfect.draw(100, seed=0)
    assert torch.equal(x, z)
    assert set(x.flatten().tolist()) == set(range(size))


def test_symbols_come_as_often_as_the_table_says() -> None:
    x, z = DiscreteChannel(TABLE).draw(100_000, seed=0)
    cells = 3 * x.long() + z.long()
    shares = cells.flatten().bincount(minlength=6).double() / 100_000
    expected = torch.tensor(TABLE, dtype=torch.float64).flatten()
    torch.testing.assert_close(shares, expected, rtol=0, atol=4 * 0.5 / math.sqrt(100_000))


# Student t


@pytest.mark.parametrize("dof", [1, 2, 7])
def test_the_log_ratio_of_a_student_pair_is_its_conditional_over_its_marginal(dof: int) -> None:
    """Given x, z is Student t again, with a degree more and a scale that grows with x."""
    x, z = 5 * torch.randn(2, 50, 1, dtype=torch.float64)
    scale = ((dof + x.square()) / (dof + 1)).sqrt()
    expected = UnivariateT(dof + 1.0, 0.0, scale).log_prob(z) - UnivariateT(dof).log_prob(z)
    torch.testing.assert_close(StudentT(1, 1, dof).log_ratio(x, z), expected.squeeze(1))


def test_the_radius_has_the_tail_of_an_f_distribution() -> None:
    """|x|^2 / X follows F(X, nu), whose distribution function is simple at nu = 2."""
    x, z = StudentT(3, 5, dof=2).draw(100_000, seed=0)
    for values in (x, z):
        dim = values.shape[1]
        ratio = values.square().mean(1)
        for level in (0.1, 1.0, 10.0, 100.0, 1000.0):
            below = (dim * level / (dim * level + 2)) ** (dim / 2)
            assert_near((ratio <= level).double(), below)


def test_a_student_of_many_degrees_is_nearly_normal() -> None:
    assert StudentT(3, 2, dof=100_000).mutual_information == pytest.approx(0.0, abs=1e-4)


# Mixtures


@pytest.mark.parametrize("rho", [0.0, 0.6, -0.95])
def test_one_blob_or_two_that_coincide_are_a_gaussian(rho: float) -> None:
    covariance = ((4.0, 2 * rho), (2 * rho, 1.0))
    truth = -0.5 * math.log(1 - rho**2)
    for weights in ((1.0,), (0.3, 0.7)):
        count = len(weights)
        mixture = GaussianMixture(weights, ((1.0, -2.0),) * count, (covariance,) * count)
        assert mixture.mutual_information == pytest.approx(truth, abs=1e-8)


def test_blobs_far_apart_carry_their_number_and_what_each_carries() -> None:
    means = tuple((40.0 * k, -40.0 * k) for k in range(3))
    uniform = GaussianMixture((1 / 3,) * 3, means, (ROUND,) * 3)
    assert uniform.mutual_information == pytest.approx(math.log(3), abs=1e-8)
    tilted = ((1.0, 0.8), (0.8, 1.0))
    uneven = GaussianMixture((0.2, 0.3, 0.5), means, (ROUND, tilted, tilted))
    entropy = -sum(p * math.log(p) for p in (0.2, 0.3, 0.5))
    truth = entropy + 0.8 * CorrelatedGaussian(1, 0.8).mutual_information
    assert uneven.mutual_information == pytest.approx(truth, abs=1e-8)


def test_blobs_at_the_corners_of_a_square_carry_nothing() -> None:
    corners = ((-2.0, -2.0), (-2.0, 2.0), (2.0, -2.0), (2.0, 2.0))
    square = GaussianMixture((0.25,) * 4, corners, (ROUND,) * 4)
    assert square.mutual_information == pytest.approx(0.0, abs=1e-8)


def test_the_four_blobs_are_uncorrelated_and_carry_less_than_two_bits() -> None:
    blobs = SAMPLERS["mixture"]
    assert isinstance(blobs, GaussianMixture)
    x, z = blobs.draw(50_000, seed=0)
    assert_near((x * z).squeeze(1), 0.0)
    assert_near(blobs.log_ratio(x, z), blobs.mutual_information)
    assert 1.0 < blobs.mutual_information < math.log(4)


def test_a_mixture_that_no_grid_resolves_is_refused() -> None:
    wide, narrow = ((1.0, 0.6), (0.6, 1.0)), ((1e-6, -6e-7), (-6e-7, 1e-6))
    mixture = GaussianMixture((0.5, 0.5), ((0.0, 0.0), (0.01, 0.02)), (wide, narrow))
    # coarse grids step over the narrow blob, and agree on what is wrong
    assert mixture._integral(36) == pytest.approx(mixture._integral(54), abs=1e-8)
    with pytest.raises(ConfigError, match="2 dimensions"):
        _ = mixture.mutual_information
    five = tuple(tuple(float(i == j) for j in range(5)) for i in range(5))
    with pytest.raises(ConfigError, match="5 dimensions"):
        _ = GaussianMixture((1.0,), ((0.0,) * 5,), (five,)).mutual_information


# Maps


@pytest.mark.parametrize(
    ("of", "back"),
    [
        (identity, lambda y: y),
        (cube, lambda y: y.sign() * y.abs() ** (1 / 3)),
        (half_cube, lambda y: y.sign() * y.abs() ** (2 / 3)),
        (asinh, torch.sinh),
        (normal_cdf, lambda y: math.sqrt(2) * torch.erfinv(2 * y - 1)),
    ],
)
def test_maps_of_a_number_rise_and_are_undone(
    of: Callable[[Tensor], Tensor], back: Callable[[Tensor], Tensor]
) -> None:
    t = torch.linspace(-4, 4, 1000, dtype=torch.float64)
    assert (of(t).diff() > 0).all()
    torch.testing.assert_close(back(of(t)), t, rtol=1e-9, atol=1e-9)


def test_the_swiss_roll_is_unrolled_by_its_radius() -> None:
    u = torch.rand(1000, 1, dtype=torch.float64)
    rolled = swiss_roll(u)
    radius = 21 * rolled.norm(dim=1)
    torch.testing.assert_close((radius / (1.5 * math.pi) - 1) / 2, u.squeeze(1))
    angle = torch.atan2(rolled[:, 1], rolled[:, 0])
    torch.testing.assert_close(angle.cos(), radius.cos())  # which holds for no other spiral
    torch.testing.assert_close(angle.sin(), radius.sin())


def test_the_spiral_keeps_norms_and_the_rest_and_is_undone_by_the_opposite_speed() -> None:
    t = torch.randn(500, 4, dtype=torch.float64)
    turned = spiral(t, (3, 1), 0.4)
    torch.testing.assert_close(turned.norm(dim=1), t.norm(dim=1))
    assert torch.equal(turned[:, [0, 2]], t[:, [0, 2]])
    assert (turned - t).abs().max() > 1
    torch.testing.assert_close(spiral(turned, (3, 1), -0.4), t)


def test_the_spiral_turns_from_the_first_coordinate_to_the_second() -> None:
    t = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 2.0]], dtype=torch.float64)
    cos, sin = math.cos(0.3), math.sin(0.3)
    expected = [[cos, sin, 0.0], [-sin, cos, 0.0], [math.cos(1.5), math.sin(1.5), 2.0]]
    torch.testing.assert_close(spiral(t, (0, 1), 0.3), torch.tensor(expected).double())


def test_what_is_transformed_is_the_base_with_each_side_mapped() -> None:
    base = CorrelatedGaussian(1, 0.75)
    rolled = Transformed(base, lambda x: swiss_roll(normal_cdf(x)), cube)
    assert (rolled.x_dim, rolled.z_dim) == (2, 1)
    assert rolled.mutual_information == base.mutual_information
    (x, z), (mapped_x, mapped_z) = base.draw(100, seed=4), rolled.draw(100, seed=4)
    assert torch.equal(mapped_x, swiss_roll(normal_cdf(x)))
    assert torch.equal(mapped_z, z**3)
