"""The estimator of Ross against its definition and against integrated mixtures."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from mivae_cli.errors import ConfigError, DataError
from mivae_cli.estimators.discrete import ross as module
from mivae_cli.estimators.discrete.ross import ross, ross_terms


def psi(number: int) -> float:
    return float(torch.tensor(number, dtype=torch.float64).digamma())


def by_definition(x: Tensor, codes: Tensor, k: int) -> list[float]:
    """Equation of the module, one row at a time, without rows whose label is alone."""
    kept = [i for i in range(len(x)) if int((codes == codes[i]).sum()) > 1]
    terms = []
    for i in kept:
        of_label = [j for j in kept if codes[j] == codes[i]]
        own = sorted(math.dist(x[i], x[j]) for j in of_label if j != i)
        nearest = min(k, len(own))
        radius = own[nearest - 1]
        closer = sum(math.dist(x[i], x[j]) < radius - 1e-12 for j in kept)
        terms.append(psi(len(kept)) + psi(nearest) - psi(len(of_label)) - psi(closer))
    return terms


def two_normals(rows: int, distance: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    label = torch.randint(2, (rows,), generator=generator)
    noise = torch.randn(rows, 1, dtype=torch.float64, generator=generator)
    return noise + distance * label[:, None], label


def information_of_two_normals(distance: float) -> float:
    grid = np.linspace(-10, 10 + distance, 20_001)
    centred = grid - np.array([[0.0], [distance]])
    densities = np.exp(-0.5 * centred**2) / math.sqrt(2 * math.pi)
    ratio = np.log(np.maximum(densities, 1e-300) / densities.mean(axis=0))
    return float((densities * ratio).mean(axis=0).sum() * (grid[1] - grid[0]))


@pytest.mark.parametrize("limit", [0, 7])
@pytest.mark.parametrize("dim", [1, 3])
def test_the_terms_are_those_of_the_definition(
    dim: int, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TREE_DIMENSIONS", limit)
    monkeypatch.setattr(module, "BLOCK", 200)
    x = torch.randn(80, dim, dtype=torch.float64)
    codes = torch.tensor([0] * 40 + [1] * 30 + [2] * 6 + [3] * 3 + [4])[torch.randperm(80)]
    expected = torch.tensor(by_definition(x, codes, 4), dtype=torch.float64)
    assert len(expected) == 79
    torch.testing.assert_close(ross_terms(x, codes, 4), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("distance", [0.0, 1.0, 3.0])
def test_it_recovers_the_information_of_two_normals(distance: float) -> None:
    estimate = ross(*two_normals(4_000, distance))
    truth = information_of_two_normals(distance)
    assert estimate.ci_low is not None
    assert estimate.ci_high is not None
    assert estimate.ci_low - 0.01 <= truth <= estimate.ci_high + 0.01
    assert estimate.value == pytest.approx(truth, abs=0.04)


def test_scales_and_order_do_not_matter() -> None:
    x, label = two_normals(300, 2.0)
    x = torch.cat([x, torch.randn(300, 1).double()], dim=1)
    order = torch.randperm(300)
    value = ross(x, label).value
    assert ross(x * torch.tensor([1e6, 1e-6]) + 5, label).value == pytest.approx(value)
    assert ross(x[order], 9 - label[order]).value == pytest.approx(value)


def test_a_subset_of_many_rows_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ROWS", 100)
    x, label = two_normals(300, 2.0)
    estimate = ross(x, label)
    assert "100 of 300" in estimate.warnings[0]
    assert estimate.value != ross(x, label, seed=1).value


def test_repeated_values_are_no_error() -> None:
    x, label = two_normals(2_000, 0.0)
    assert ross(x.round(), label).value == pytest.approx(0, abs=0.05)


def test_wrong_input_is_named() -> None:
    x, label = two_normals(60, 1.0)
    with pytest.raises(DataError, match="60"):
        ross(x[:50], label)
    with pytest.raises(DataError, match="occurs"):
        ross(x, torch.arange(60))
    with pytest.raises(ConfigError, match="neighbours"):
        ross(x, label, 0)
