"""Local permutations, and the test of conditional independence."""

import pytest
import torch

from conditional_cases import CASES
from mivae_cli.estimators.conditional.permutation import (
    BLOCK,
    independence_p_value,
    local_permutation,
    partition,
)
from mivae_cli.estimators.conditional.residuals import GivenRegression
from mivae_cli.estimators.conditional.samples import Part, Samples
from support.conditional import samples_of


def test_blocks_are_small_close_and_within_levels() -> None:
    generator = torch.Generator().manual_seed(0)
    w, level = torch.randn(600, 2).double(), torch.randint(3, (600,))
    blocks = partition(Part(w, level), generator)
    assert int(blocks.bincount().min()) > 2
    assert int(blocks.bincount().max()) <= BLOCK
    for block in blocks.unique():
        inside = blocks == block
        assert len(level[inside].unique()) == 1
    within = torch.stack([w[blocks == block].var(dim=0) for block in blocks.unique()]).mean()
    assert within < 0.2  # of a variance of 1


def test_permutations_are_uniform_within_blocks() -> None:
    generator = torch.Generator().manual_seed(0)
    blocks = torch.tensor([1, 0, 1, 0, 1])
    found = [tuple(local_permutation(blocks, generator).tolist()) for _ in range(600)]
    counts = torch.tensor([found.count(order) for order in set(found)])
    assert len(counts) == 12  # 3! x 2!
    assert counts.min() > 20
    assert all(blocks[list(order)].equal(blocks) for order in set(found))


def p_value(name: str, rows: int, seed: int) -> float:
    samples = samples_of(CASES[name], rows, seed)
    regression = GivenRegression(samples.w, seed)
    x, z = (
        Part(regression.residuals(part.continuous).scores, part.code)
        for part in (samples.x, samples.z)
    )
    return independence_p_value(Samples(x, z, samples.w), regression, 19, seed)


@pytest.mark.parametrize("name", ["labels, independent", "chain, w 1-d"])
def test_p_values_are_uniform_under_conditional_independence(name: str) -> None:
    found = torch.tensor([p_value(name, 60, seed) for seed in range(25)])
    # 4.5 standard deviations of a binomial share
    assert float((found <= 0.1).double().mean()) < 0.1 + 4.5 * (0.1 * 0.9 / 25) ** 0.5
    assert float((found <= 0.5).double().mean()) > 0.5 - 4.5 * (0.25 / 25) ** 0.5


@pytest.mark.parametrize(
    "name",
    ["collider, noise 0.3", "xor", "product with w", "label, shift 1", "product with noise"],
)
def test_dependence_is_found(name: str) -> None:
    assert p_value(name, 300, 0) == 0.05
