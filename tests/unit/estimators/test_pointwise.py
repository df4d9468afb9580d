"""Pointwise log-ratios: cross-fitted, and written to a file."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mivae_cli.errors import ConfigError
from mivae_cli.estimators.gaussian_ratio import GaussianRatio
from mivae_cli.estimators.nearest_neighbours import ksg
from mivae_cli.estimators.pointwise import (
    cross_fitted,
    neighbour_ratios,
    pointwise_ratios,
    write_pointwise,
)
from mivae_cli.estimators.rows import Rows
from mivae_cli.estimators.samplers import CorrelatedGaussian
from mivae_cli.estimators.variables import Variable

X, Z = (side.double() for side in CorrelatedGaussian(1, 0.8).draw(2000, seed=0))


def exact(x: Tensor, z: Tensor) -> Tensor:
    squares = 0.64 * (x**2 + z**2) - 1.6 * x * z
    return (-0.5 * torch.tensor(0.36).log() - squares / 0.72)[:, 0]


def test_log_ratios_of_a_fitted_gaussian_are_the_exact_ones() -> None:
    def fit(x: Tensor, z: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        return GaussianRatio.fit(x, z).terms

    found = cross_fitted(fit, X, Z)
    assert (found - exact(X, Z)).abs().mean() < 0.05


def test_neighbours_follow_the_exact_log_ratios() -> None:
    found = cross_fitted(neighbour_ratios(), X, Z)
    assert torch.corrcoef(torch.stack([found, exact(X, Z)]))[0, 1] > 0.8
    assert float(found.mean()) == pytest.approx(ksg(X, Z, 10).value, abs=0.02)


def test_no_row_is_scored_by_a_fit_to_its_unit() -> None:
    rows = Rows.by_group(torch.arange(2000).numpy() % 50)
    seen = []

    def fit(x: Tensor, z: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        fitted = set((x[:, 0].long() % 50).tolist())

        def ratios(x: Tensor, z: Tensor) -> Tensor:
            scored = set((x[:, 0].long() % 50).tolist())
            assert not scored & fitted
            seen.extend(x[:, 0].long().tolist())
            return x[:, 0]

        return ratios

    number = torch.arange(2000.0)[:, None]
    found = cross_fitted(fit, number, number, rows)
    assert torch.equal(found, number[:, 0].double())
    assert sorted(seen) == list(range(2000))


def test_log_ratios_of_labels_are_those_of_their_probabilities() -> None:
    generator = torch.Generator().manual_seed(1)
    label = torch.arange(4000) % 2
    x = 2.0 * label + torch.randn(4000, generator=generator)
    log_odds = 2 * x - 2
    chance = torch.where(label == 1, log_odds, -log_odds).sigmoid()
    codes = Variable.of("label", codes=label)
    for left, right in ((Variable.of("x", x), codes), (codes, Variable.of("x", x))):
        found = pointwise_ratios(left, right)
        assert (found - (2 * chance).log()).abs().mean() < 0.12
    other = torch.where(torch.rand(4000, generator=generator) < 0.8, label, 1 - label)
    found = pointwise_ratios(codes, Variable.of("other", codes=other))
    exact = torch.where(other == label, 1.6, 0.4).log()
    assert (found - exact).abs().max() < 0.15


def test_the_file_has_a_row_for_each_pair(tmp_path: Path) -> None:
    path = tmp_path / "terms.csv"
    write_pointwise(path, [0.5, -1.25], {"x": [1.0, 2.0], "label": ["a,b", "c"]}, [3, 7])
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.reader(file))
    assert lines[0] == ["row", "log_ratio", "x", "label"]
    assert lines[1:] == [["3", "0.5", "1.0", "a,b"], ["7", "-1.25", "2.0", "c"]]
    with pytest.raises(ConfigError, match="absent"):
        write_pointwise(tmp_path / "absent" / "terms.csv", [0.5], {})
