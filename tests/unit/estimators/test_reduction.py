"""The reduction of many columns against known mutual information."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from mivae_cli.estimators.canonical_variates import CanonicalMaps, Coordinates, cross_fit
from mivae_cli.estimators.model_estimates import ModelEstimates
from mivae_cli.estimators.pair_models.selection import split_pairs
from mivae_cli.estimators.principal_features import FeatureKind
from mivae_cli.estimators.reduced_neighbours import ReducedNeighbours, correct_reduced_neighbours
from mivae_cli.estimators.reduction import (
    ReductionChoice,
    choose_reduction,
    principal_coordinates,
    shuffled_scores,
)
from mivae_cli.estimators.samplers import CorrelatedGaussian, Independent

Pair = tuple[Tensor, Tensor]


def embeddings(count: int, size: int, seed: int) -> Pair:
    """Returns two nonlinear embeddings of 3 shared factors with 1.53 nats."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    shared = normal(count, 3)
    other = 0.8 * shared + 0.6 * normal(count, 3)

    def embedded(factors: Tensor) -> Tensor:
        phase = 2 * math.pi * torch.rand(size, generator=generator, dtype=torch.float64)
        angles = factors @ (0.7 * normal(3, size)) + phase
        return angles.sin() + 0.05 * normal(count, size)

    return embedded(shared), embedded(other)


def reduced(x: Tensor, z: Tensor) -> ReductionChoice:
    train, valid = split_pairs(len(x), 0)
    choice = choose_reduction((x[train], z[train]), (x[valid], z[valid]))
    assert choice is not None
    return choice


def estimated(x: Tensor, z: Tensor) -> ReducedNeighbours:
    found = correct_reduced_neighbours(x, z, reduced(x, z), 3, 0)
    assert found is not None
    return found


def coordinates(x: Tensor, z: Tensor, kind: FeatureKind = "linear") -> Coordinates:
    _, scores = shuffled_scores(x, z, len(x), 0)
    return principal_coordinates(*scores, kind, 0)[1]


def test_embeddings_are_reduced_to_what_they_share() -> None:
    x, z = embeddings(1000, 48, seed=43)
    choice = reduced(x, z)
    assert choice.rank < 5
    found = correct_reduced_neighbours(x, z, choice, 3, 0)
    assert found is not None
    assert found.interval.value == pytest.approx(1.532, abs=0.2)
    assert found.interval.low < 1.532 < found.interval.high
    assert found.shortfall > 0.05


@pytest.mark.parametrize(
    ("kind", "function"),
    [
        ("additive", lambda x: 1.5 * torch.cos(2 * x[:, :3]).sum(dim=1)),
        ("cosine", lambda x: 1.5 * x[:, 0] * x[:, 1]),
    ],
)
def test_nonlinear_features_find_what_linear_ones_miss(
    kind: FeatureKind, function: Callable[[Tensor], Tensor]
) -> None:
    """Gaussian models and mixtures of all columns find little of either function."""
    generator = torch.Generator().manual_seed(48)
    x, noise = torch.randn(2, 1000, 6, generator=generator, dtype=torch.float64)
    z = noise[:, :2].clone()
    z[:, 0] = function(x) + 0.5 * noise[:, 0]
    train, valid = split_pairs(1000, 0)
    parts = (x[train], z[train]), (x[valid], z[valid])
    choice = ModelEstimates((x, z), *parts, 3, 0, dependent=False).reduction
    assert choice is not None
    assert choice.kind == kind
    assert choice.model.score > 0.6


def test_independent_embeddings_share_nothing() -> None:
    x, _ = embeddings(500, 30, seed=44)
    z, _ = embeddings(500, 30, seed=45)
    found = estimated(x, z)
    assert abs(found.interval.value) < 0.05
    assert found.interval.low < 0 < found.interval.high


@pytest.mark.parametrize("kind", ["linear", "additive", "cosine"])
def test_cross_fitting_creates_no_dependence(kind: FeatureKind) -> None:
    """Maps that are used on the pairs to which they were fitted do."""
    x, z = Independent(40, 40).draw(600, seed=49)
    pairs = coordinates(x, z, kind)
    maps = CanonicalMaps.fit(pairs, ridge=1e-3, rank=3)
    assert correlation(*maps(pairs.x, pairs.z)) > 0.3
    found = cross_fit(pairs, ridge=1e-3, rank=3)
    assert abs(correlation(found.x, found.z)) < 0.15


def correlation(x: Tensor, z: Tensor) -> float:
    """Returns that of the first variates."""
    return float(torch.corrcoef(torch.stack([x[:, 0], z[:, 0]]))[0, 1])


def test_folds_are_turned_to_the_same_variates() -> None:
    """With equal correlations, the maps of each fold are rotated at random."""
    x, z = CorrelatedGaussian(4, 0.8).draw(2000, seed=50)
    pairs = coordinates(x, z)
    found = cross_fit(pairs, ridge=1e-6, rank=4)
    every = found.maps(pairs.x, pairs.z)
    for variates, others in zip((found.x, found.z), every, strict=True):
        for k in range(4):
            assert float(torch.corrcoef(torch.stack([variates[:, k], others[:, k]]))[0, 1]) > 0.98


def test_canonical_maps_find_the_correlated_directions() -> None:
    sampler = CorrelatedGaussian(6, 0.0)
    x, z = sampler.draw(4000, seed=46)
    z[:, 5] = 0.9 * x[:, 2] + math.sqrt(1 - 0.81) * z[:, 5]
    pairs = coordinates(x, z)
    assert correlation(*CanonicalMaps.fit(pairs, 0.01, 2)(pairs.x, pairs.z)) == pytest.approx(
        0.9, abs=0.03
    )


def test_variates_that_repeat_a_factor_are_left_out() -> None:
    """Functions of one factor add correlated pairs, but no information."""
    generator = torch.Generator().manual_seed(51)
    u, noise = torch.randn(2, 1000, 1, generator=generator, dtype=torch.float64)
    v = 0.9 * u + math.sqrt(1 - 0.81) * noise
    powers = torch.linspace(0.5, 3, 8, dtype=torch.float64)
    x, z = torch.sin(u * powers + 1), torch.sin(v * powers + 2)
    found = estimated(x, z)
    assert found.interval.value == pytest.approx(-0.5 * math.log(0.19), abs=0.15)


def test_columns_as_many_as_variates_are_not_reduced() -> None:
    x, z = CorrelatedGaussian(8, 0.7).draw(400, seed=52)
    train, valid = split_pairs(400, 0)
    parts = (x[train], z[train]), (x[valid], z[valid])
    assert ModelEstimates((x, z), *parts, 3, 0, dependent=False).reduction is None


def test_few_columns_are_not_reduced() -> None:
    x, z = CorrelatedGaussian(1, 0.5).draw(200, seed=47)
    assert choose_reduction((x[:150], z[:150]), (x[150:], z[150:])) is None


def test_a_residual_is_limited_and_a_shortfall_widens_upwards() -> None:
    found = ReducedNeighbours("Gaussian", 1.0, 0.0, 0.05, 1.1, -0.5, 0.6, 0.02, shortfall=0.2)
    assert found.kept_residual == pytest.approx(0.1)
    value, low, high = found.interval
    assert value == pytest.approx(1.3)
    assert high - value > value - 0.2 - low
