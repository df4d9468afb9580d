"""Partial correlations and counts against exact values."""

import math

import pytest
import torch

from conditional_cases import CASES
from mivae_cli.errors import DataError
from mivae_cli.estimators.conditional.partial_copula import partial_interval
from mivae_cli.estimators.conditional.plug_in import plug_in_interval, remaining_entropy
from mivae_cli.estimators.conditional.samples import Part, Samples
from support.conditional import samples_of


@pytest.mark.parametrize("name", ["normals 1+1+2", "normals 3+2+5"])
def test_partial_correlations_are_unbiased_in_few_rows(name: str) -> None:
    truth = CASES[name].truth
    found = [partial_interval(samples_of(CASES[name], 60, seed)) for seed in range(150)]
    values = torch.tensor([interval.value for interval in found])
    error = float(values.std()) / 150**0.5
    assert abs(float(values.mean()) - truth) < 3.5 * error
    assert error < 0.02


def test_intervals_of_normal_rows_cover() -> None:
    case = CASES["normals 1+1+2"]
    found = [partial_interval(samples_of(case, 300, seed)) for seed in range(150)]
    covered = sum(low < case.truth < high for _, low, high in found) / 150
    assert 0.88 < covered <= 0.99


def test_levels_with_enough_rows_have_their_own_correlations() -> None:
    """The sign of the dependence changes with the level, so the pooled correlation is 0."""
    level = torch.arange(2_000) % 2
    x, e = torch.randn(2, 2_000, 1).double()
    z = 0.8 * (2 * level[:, None] - 1) * x + 0.6 * e
    zeros = torch.zeros_like(level)
    nothing = torch.zeros(2_000, 0).double()
    samples = Samples(Part(x, zeros), Part(z, zeros), Part(nothing, level))
    truth = -0.5 * math.log1p(-0.64)
    assert partial_interval(samples).value == pytest.approx(truth, abs=0.06)
    assert partial_interval(samples.without_given()).value == pytest.approx(0.0, abs=0.02)


def test_too_few_rows_for_a_covariance_are_rejected() -> None:
    zeros = torch.zeros(20, dtype=torch.int64)
    parts = [Part(torch.randn(20, 7).double(), zeros) for _ in range(3)]
    with pytest.raises(DataError, match="too few"):
        partial_interval(Samples(*parts))


def table(counts: torch.Tensor) -> Samples:
    """Returns samples with the given number of rows for each (x, z, w)."""
    rows = [
        place
        for place in torch.cartesian_prod(*(torch.arange(size) for size in counts.shape))
        for _ in range(int(counts[tuple(place)]))
    ]
    codes = torch.stack(rows).T
    nothing = torch.zeros(len(rows), 0).double()
    return Samples(*(Part(nothing, code) for code in codes))


def test_counts_give_the_information_of_their_frequencies() -> None:
    """With many rows, chance adds almost nothing."""
    counts = 500 * torch.tensor([[[6.0, 1], [2, 4]], [[3, 5], [7, 2]]])
    shares = counts.double() / counts.sum()
    sums = shares.sum(1, keepdim=True) * shares.sum(0, keepdim=True)
    truth = float((shares * (shares * shares.sum((0, 1)) / sums).log()).sum())
    assert plug_in_interval(table(counts), 0).value == pytest.approx(truth, abs=2e-4)


def test_labels_that_w_does_not_explain_reach_the_remaining_entropy() -> None:
    """X = z: the adjustment for chance vanishes at the largest value."""
    codes = torch.randint(4, (2, 100))
    nothing = torch.zeros(100, 0).double()
    x, w = (Part(nothing, code) for code in codes)
    value = plug_in_interval(Samples(x, x, w), 0).value
    assert value == pytest.approx(remaining_entropy(*codes))


@pytest.mark.parametrize("name", ["labels, independent", "xor"])
def test_counts_are_nearly_unbiased_and_their_intervals_cover(name: str) -> None:
    case = CASES[name]
    found = [plug_in_interval(samples_of(case, 300, seed), 0) for seed in range(60)]
    values = torch.tensor([interval.value for interval in found])
    error = float(values.std()) / 60**0.5
    assert abs(float(values.mean()) - case.truth) < 0.001 + 3.5 * error
    covered = sum(low <= case.truth <= high for _, low, high in found) / 60
    assert 0.87 < covered <= 1


def test_the_remaining_entropy_is_that_of_each_level() -> None:
    given = torch.tensor([0, 0, 0, 0, 1, 1])
    code = torch.tensor([0, 1, 0, 1, 5, 5])
    assert remaining_entropy(code, given) == pytest.approx(4 / 6 * math.log(2))
    assert remaining_entropy(given, given) == 0
