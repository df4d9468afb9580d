"""The reduction of many columns against known mutual information."""

import math

import pytest
import torch
from torch import Tensor

from mivae_cli.estimators.pair_models.selection import split_pairs
from mivae_cli.estimators.reduced_neighbours import correct_reduced_neighbours
from mivae_cli.estimators.reduction import CanonicalMaps, ReductionChoice, choose_reduction
from mivae_cli.estimators.samplers import CorrelatedGaussian

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


def test_embeddings_are_reduced_to_what_they_share() -> None:
    x, z = embeddings(1000, 48, seed=43)
    choice = reduced(x, z)
    assert choice.rank < 8
    found = correct_reduced_neighbours(x, z, choice, 3, 0)
    assert found is not None
    assert found.interval.value == pytest.approx(1.532, abs=0.3)


def test_independent_embeddings_share_nothing() -> None:
    x, _ = embeddings(800, 30, seed=44)
    z, _ = embeddings(800, 30, seed=45)
    found = correct_reduced_neighbours(x, z, reduced(x, z), 3, 0)
    assert found is not None
    assert abs(found.interval.value) < 0.05


def test_canonical_maps_find_the_correlated_directions() -> None:
    sampler = CorrelatedGaussian(6, 0.0)
    x, z = sampler.draw(4000, seed=46)
    z[:, 5] = 0.9 * x[:, 2] + math.sqrt(1 - 0.81) * z[:, 5]
    maps = CanonicalMaps.fit(x, z, ridge=0.01, rank=2)
    first = torch.cat([side[:, :1] for side in maps(x, z)], dim=1)
    assert float(torch.corrcoef(first.T)[0, 1]) == pytest.approx(0.9, abs=0.03)
    assert int(maps.of_x[:, 0].abs().argmax()) == 2
    assert int(maps.of_z[:, 0].abs().argmax()) == 5


def test_few_columns_are_not_reduced() -> None:
    x, z = CorrelatedGaussian(3, 0.5).draw(200, seed=47)
    assert choose_reduction((x[:150], z[:150]), (x[150:], z[150:])) is None
