"""The Gaussian's closed form, its small-sample bias, and normal scores."""

import math

import pytest
import torch
from torch import Tensor

from mivae_cli.errors import DataError
from mivae_cli.estimators.bounds import infonce
from mivae_cli.estimators.gaussian_ratio import (
    GaussianRatio,
    NormalScores,
    gaussian_interval,
    small_sample_bias,
)
from mivae_cli.estimators.samplers import (
    CorrelatedGaussian,
    DenseGaussian,
    Independent,
    Sampler,
    SparseGaussian,
)
from support.gaussian import assert_near


def known_correlations(correlations: list[float]) -> GaussianRatio:
    """Returns the ratio of standard normals with these canonical correlations, unfitted."""
    size = len(correlations)
    identity, origin = torch.eye(size, dtype=torch.float64), torch.zeros(size, dtype=torch.float64)
    values = torch.tensor(correlations, dtype=torch.float64)
    return GaussianRatio(values, origin, origin, identity, identity, (size, size))


@pytest.mark.parametrize(
    "sampler",
    [
        Independent(2, 3),
        CorrelatedGaussian(1, -0.9),
        CorrelatedGaussian(5, 0.6),
        DenseGaussian(4, 7, correlation=0.4),
        SparseGaussian(3, 6, pairs=2, correlation=0.8),
    ],
    ids=lambda sampler: type(sampler).__name__,
)
def test_the_closed_form_encloses_the_information_of_gaussians(sampler: Sampler) -> None:
    found = gaussian_interval(*sampler.draw(5000, seed=11))
    assert found.low < sampler.mutual_information < found.high
    assert found.high - found.low < 0.3


@pytest.mark.parametrize(
    ("sampler", "count"),
    [(Independent(3, 4), 60), (SparseGaussian(3, 4, pairs=3, correlation=0.7), 30)],
    ids=["independent", "correlated"],
)
def test_the_plug_in_value_is_too_high_by_exactly_the_bias(sampler: Sampler, count: int) -> None:
    x, z = sampler.draw(2000 * count, seed=12)
    draws = zip(x.split(count), z.split(count), strict=True)
    found = torch.tensor([GaussianRatio.fit(*pairs).information for pairs in draws])
    bias = small_sample_bias(count, 3, 4)
    assert_near(found, sampler.mutual_information + bias)
    assert bias > 20 * float(found.std()) / math.sqrt(len(found))  # so that it is seen at all


def test_the_bias_nears_half_the_product_of_the_ranks_over_the_pairs() -> None:
    assert small_sample_bias(100_000, 7, 5) == pytest.approx(35 / 200_000, rel=1e-3)
    assert small_sample_bias(40, 2, 3) == pytest.approx(small_sample_bias(40, 3, 2))


def test_the_interval_covers_the_information_as_often_as_it_says() -> None:
    sampler = CorrelatedGaussian(2, 0.5)
    x, z = sampler.draw(300 * 200, seed=13)
    found = [gaussian_interval(*pairs) for pairs in zip(x.split(200), z.split(200), strict=True)]
    covered = [each.low <= sampler.mutual_information <= each.high for each in found]
    assert 0.90 <= sum(covered) / len(covered) <= 0.98


def test_invertible_linear_maps_change_nothing() -> None:
    x, z = DenseGaussian(3, 4, correlation=0.5).draw(500, seed=14)
    plain = gaussian_interval(x, z)
    of_x = torch.randn(3, 3, dtype=torch.float64) * torch.tensor([1e6, 1.0, 1e-6])
    of_z = torch.randn(4, 4, dtype=torch.float64) * torch.tensor([1e-6, 1e6, -1.0, 1e3])
    mapped = gaussian_interval(x @ of_x - 1e3, z @ of_z + torch.tensor([0.0, 1e7, -1.0, 5.0]))
    assert mapped == pytest.approx(plain, rel=1e-6)
    assert gaussian_interval(z, x) == pytest.approx(plain, rel=1e-9)


def test_columns_that_add_nothing_change_nothing() -> None:
    x, z = DenseGaussian(3, 4, correlation=0.5).draw(500, seed=15)
    plain = gaussian_interval(x, z)
    sums = x[:, :1] + 2 * x[:, 1:2] - 7
    constants = torch.full((500, 2), 0.1, dtype=torch.float64)
    found = gaussian_interval(
        torch.cat([x, sums, x[:, :1]], dim=1), torch.cat([constants, z], dim=1)
    )
    assert found == pytest.approx(plain, rel=1e-6)


@pytest.mark.parametrize("count", [2, 8])
def test_too_few_pairs_for_a_covariance_are_refused(count: int) -> None:
    x, z = Independent(3, 4).draw(count, seed=16)
    with pytest.raises(DataError, match=f"{count} pairs .*3 .*4"):
        gaussian_interval(x, z)


def test_a_function_of_x_has_a_large_but_finite_information() -> None:
    x, _ = Independent(2, 1).draw(100, seed=17)
    found = gaussian_interval(x, x[:, :1] - x[:, 1:])
    assert found.value > 10
    assert all(math.isfinite(figure) for figure in found)


def test_scores_hold_the_terms_of_the_pairs_on_their_diagonal() -> None:
    x, z = SparseGaussian(3, 5, pairs=2, correlation=0.7).draw(60, seed=18)
    ratio = GaussianRatio.fit(x, z)
    torch.testing.assert_close(ratio.scores(x, z).diagonal(), ratio.terms(x, z))
    scores = ratio.scores(x, z[:7])  # and those of any other pairs elsewhere
    torch.testing.assert_close(scores[:, 4], ratio.terms(x, z[4].expand(60, -1)))


@pytest.mark.parametrize(
    "sampler",
    [SparseGaussian(3, 2, pairs=2, correlation=-0.6), DenseGaussian(2, 3, correlation=0.5)],
    ids=["sparse", "dense"],
)
def test_the_ratio_of_many_pairs_is_the_true_one(sampler: SparseGaussian | DenseGaussian) -> None:
    ratio = GaussianRatio.fit(*sampler.draw(200_000, seed=19))
    x, z = sampler.draw(4000, seed=20)
    for z_paired in (z, z.flip(0)):  # joint and product pairs
        gaps = ratio.terms(x, z_paired) - sampler.log_ratio(x, z_paired)
        assert gaps.square().mean().sqrt() < 0.03
    assert_near(ratio.terms(x, z), sampler.mutual_information)


def test_the_ratio_has_mean_one_over_independent_pairs() -> None:
    correlations = [0.6, -0.4, 0.0]
    ratio = known_correlations(correlations)
    x, z = Independent(3, 3).draw(50_000, seed=21)
    assert_near(ratio.terms(x, z).exp(), 1.0)
    expected = -0.5 * sum(math.log(1 - each**2) for each in correlations)
    assert ratio.information == pytest.approx(expected)


def test_normal_scores_are_the_quantiles_of_the_ranks() -> None:
    samples = torch.tensor([[3.0], [-10.0], [4.0], [100.0], [0.0]], dtype=torch.float64)
    ranks = torch.tensor([[3.0], [1.0], [4.0], [5.0], [2.0]], dtype=torch.float64)
    expected = torch.special.ndtri((ranks - 0.5) / 5)
    torch.testing.assert_close(NormalScores.of(samples)(samples), expected)


def test_monotone_maps_change_no_normal_score() -> None:
    x, z = CorrelatedGaussian(3, 0.5).draw(400, seed=22)
    scores = NormalScores.of(z)(z)
    for mapped in (z**3, z.exp(), 1e9 * z - 5):
        assert torch.equal(NormalScores.of(mapped)(mapped), scores)
    torch.testing.assert_close(NormalScores.of(-z)(-z), -scores)
    plain = gaussian_interval(NormalScores.of(x)(x), scores)
    turned = gaussian_interval(NormalScores.of(x)(x), NormalScores.of(-(z**3))(-(z**3)))
    assert turned == pytest.approx(plain, rel=1e-9)


def test_equal_values_get_equal_scores_between_those_of_their_neighbours() -> None:
    samples = torch.tensor([[1.0], [2.0], [2.0], [2.0], [3.0]], dtype=torch.float64)
    scores = NormalScores.of(samples)(samples)[:, 0]
    assert scores[1] == scores[2] == scores[3] == 0
    assert scores[0] < 0 < scores[4]


@pytest.mark.parametrize("decimals", [1, 12])
def test_normal_scores_count_the_samples_below(decimals: int) -> None:
    samples = Independent(3, 1).draw(60, seed=25)[0].round(decimals=decimals)
    others = torch.cat([samples[:20], Independent(3, 1).draw(20, seed=26)[0]])
    mapped = NormalScores.of(samples)
    for values in (samples, samples.clone(), others):
        counts = (samples[:, None] < values).sum(dim=0) + (samples[:, None] <= values).sum(dim=0)
        share = (counts / 120).double().clamp(1 / 120, 1 - 1 / 120)
        torch.testing.assert_close(mapped(values), torch.special.ndtri(share), rtol=0, atol=1e-6)


def test_values_beyond_all_samples_get_the_outermost_score() -> None:
    samples, _ = Independent(2, 1).draw(50, seed=23)
    mapped = NormalScores.of(samples)
    scores = mapped(samples)
    far = torch.tensor([[-1e9, 1e9], [math.inf, -math.inf]], dtype=torch.float64)
    low, high = scores.amin(dim=0), scores.amax(dim=0)
    expected = torch.stack([torch.stack([low[0], high[1]]), torch.stack([high[0], low[1]])])
    torch.testing.assert_close(mapped(far), expected)


def test_normal_scores_are_standard_normal_whatever_the_samples() -> None:
    samples = torch.distributions.Cauchy(5.0, 3.0).sample((2000, 2)).double()
    scores = NormalScores.of(samples)(samples)
    assert scores.mean(dim=0).abs().max() < 1e-6
    assert (scores.var(dim=0) - 1).abs().max() < 0.01


def test_the_copula_of_a_cubed_gaussian_is_that_of_the_gaussian() -> None:
    sampler = CorrelatedGaussian(2, 0.8)
    x, z = sampler.draw(3000, seed=24)

    def seen(samples: Tensor) -> Tensor:
        return NormalScores.of(samples)(samples)

    found = gaussian_interval(seen(x), seen(z**3))
    assert found.low < sampler.mutual_information < found.high
    raw = gaussian_interval(x, z**3)  # which without ranks reads too low
    assert raw.high < sampler.mutual_information


def test_correlations_for_other_pairs_are_less_what_sampling_adds() -> None:
    """Sample canonical correlations of 20 + 30 coordinates and 400 pairs, one of them real."""
    found = []
    for seed in range(40):
        sampler = SparseGaussian(20, 30, pairs=1, correlation=0.8)
        ratio = GaussianRatio.fit(*sampler.draw(400, seed), held_out=True)
        found.append(ratio.correlations)
    squares = torch.stack(found).square()
    plain = GaussianRatio.fit(*SparseGaussian(20, 30, 1, 0.8).draw(400, 0)).correlations.square()
    assert_near(squares[:, 0], 0.64)
    assert (plain[1:10] > 0.04).all()
    assert float((squares[:, 2:] > 0).double().mean()) < 0.01


def test_a_start_without_noise_scores_other_pairs_better() -> None:
    gains = []
    for seed in range(20):
        sampler = DenseGaussian(20, 20, correlation=0.3)
        x, z = sampler.draw(1000, seed)
        train, test = (x[:300], z[:300]), (x[300:], z[300:])
        plain, other = (GaussianRatio.fit(*train, held_out=held) for held in (False, True))
        gains.append(infonce(other.scores(*test)) - infonce(plain.scores(*test)))
    assert min(gains) > 0
    x, z = Independent(5, 5).draw(500, 0)
    assert float(GaussianRatio.fit(x, z, held_out=True).scores(x, z).abs().max()) == 0
