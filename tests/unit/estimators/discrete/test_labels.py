"""Estimates for labels and numbers, and their classifiers, against exact answers."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from mivae_cli.errors import DataError
from mivae_cli.estimators.discrete.class_densities import fit_class_densities
from mivae_cli.estimators.discrete.classifiers import candidates
from mivae_cli.estimators.discrete.label_mixtures import calibrated
from mivae_cli.estimators.discrete.labels import DiscreteEstimates, label_estimates
from mivae_cli.estimators.discrete.library_models import fit_neighbours
from mivae_cli.estimators.discrete.logistic import fit_logistic


def ring(rows: int, labels: int, noise: float, seed: int = 0) -> tuple[Tensor, Tensor, float]:
    """Returns points near a ring, their labels, and the information from a sample of 100,000."""
    random = np.random.default_rng(seed)
    angle = 2 * np.pi * np.arange(labels) / labels
    centres = np.stack([np.cos(angle), np.sin(angle)], axis=1)

    def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
        label = random.integers(labels, size=count)
        return centres[label] + noise * random.standard_normal((count, 2)), label

    x, label = draw(100_000)
    logs = -np.square(x[:, None] - centres).sum(axis=2) / (2 * noise**2)
    ratio = logs[np.arange(len(x)), label] - np.log(np.exp(logs).mean(axis=1))
    points, found = draw(rows)
    return torch.from_numpy(points), torch.from_numpy(found), float(ratio.mean())


def covers(found: DiscreteEstimates, truth: float, slack: float = 0.0) -> bool:
    best = found.recommended
    assert best.ci_low is not None
    assert best.ci_high is not None
    return best.ci_low - slack <= truth <= best.ci_high + slack


@pytest.mark.parametrize(("labels", "noise"), [(3, 0.5), (8, 0.2)])
def test_it_recovers_the_information_of_a_ring(labels: int, noise: float) -> None:
    x, label, truth = ring(2_000, labels, noise)
    found = label_estimates(x, label)
    assert found.recommended.value == pytest.approx(truth, abs=0.05)
    assert covers(found, truth, 0.01)
    assert found.entropy == pytest.approx(math.log(labels), abs=0.01)
    assert found.share == pytest.approx(found.recommended.value / math.log(labels), abs=0.01)
    assert [each.estimator for each in found.estimates] == ["corrected-ross", "classifier", "ross"]


def test_the_bias_of_neighbours_in_many_dimensions_is_corrected() -> None:
    """Two normal classes in 20 dimensions, at distance 3; Ross alone is 0.1 too low."""
    random = np.random.default_rng(0)
    label = random.integers(2, size=2_000)
    x = random.standard_normal((2_000, 20))
    x[:, 0] += 3.0 * label
    grid = np.linspace(-8, 11, 20_001)
    densities = np.exp(-0.5 * (grid - np.array([[0.0], [3.0]])) ** 2) / math.sqrt(2 * math.pi)
    ratio = np.log(np.maximum(densities, 1e-300) / densities.mean(axis=0))
    truth = float((densities * ratio).mean(axis=0).sum() * (grid[1] - grid[0]))
    found = label_estimates(torch.from_numpy(x), torch.from_numpy(label))
    assert found.estimates[2].value < truth - 0.05
    assert found.recommended.value == pytest.approx(truth, abs=0.04)
    assert covers(found, truth, 0.01)


def test_a_threshold_on_one_of_many_columns_is_found() -> None:
    x = torch.randn(1_000, 60, generator=torch.Generator().manual_seed(0))
    found = label_estimates(x, (x[:, 37] > 0).long())
    assert found.recommended.value == pytest.approx(math.log(2), abs=0.03)
    assert any("60 columns" in note for note in found.notes)


@pytest.mark.parametrize("columns", [1, 8])
def test_labels_that_ignore_x_carry_nothing(columns: int) -> None:
    generator = torch.Generator().manual_seed(columns)
    x = torch.randn(1_000, columns, generator=generator)
    label = torch.randint(4, (1_000,), generator=generator)
    found = label_estimates(x, label)
    assert 0 <= found.recommended.value < 0.04
    assert covers(found, 0.0)
    assert all(each.ci_low != each.ci_high for each in found.estimates)


def test_names_of_labels_and_scales_of_columns_hardly_matter() -> None:
    x, label, _ = ring(300, 3, 0.4)
    first = label_estimates(x, label).recommended
    moved = label_estimates(x * torch.tensor([1e9, 1e-9]) + 7, 10 - label).recommended
    assert moved.value == pytest.approx(first.value, abs=0.02)
    assert label_estimates(x, label).recommended == first
    assert label_estimates(x, label, seed=1).recommended != first


def test_rare_labels_cause_a_warning() -> None:
    x, label, _ = ring(400, 2, 0.4)
    label[:5] = 7
    assert "fewer than 30" in label_estimates(x, label).warnings[0]


def test_labels_of_single_rows_are_estimated() -> None:
    x, label, _ = ring(60, 2, 0.4)
    label[:30] = torch.arange(2, 32)
    best = label_estimates(x, label).recommended
    assert best.ci_low is not None
    assert 0 <= best.ci_low <= best.value


def test_too_few_or_unmatched_rows_are_rejected() -> None:
    x, label, _ = ring(60, 2, 0.4)
    for wrong in (x[:40], x[:, 0]):
        with pytest.raises(DataError):
            label_estimates(wrong, label)
    with pytest.raises(DataError, match="40"):
        label_estimates(x[:40], label[:40])


def test_calibration_returns_the_truth_of_overconfident_probabilities() -> None:
    random = np.random.default_rng(0)
    odds = random.standard_normal(20_000)
    codes = (random.random(20_000) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    logs = np.stack([np.zeros(20_000), 3 * odds], axis=1)  # three times too confident
    found = calibrated(logs, codes)
    np.testing.assert_allclose(found[:, 1], 1 / (1 + np.exp(-odds)), atol=0.03)
    ignored = calibrated(random.standard_normal((20_000, 2)) * 5, codes)
    np.testing.assert_allclose(ignored, 0.5 * np.ones_like(ignored), atol=0.03)


def test_discriminant_analysis_has_the_posterior_of_normals() -> None:
    random = np.random.default_rng(0)
    codes = random.integers(2, size=40_000)
    x = random.standard_normal((40_000, 2)) + np.array([[0.0, 0.0], [2.0, 0.0]])[codes]
    points = np.array([[0.0, 5.0], [1.0, 0.0], [2.0, -3.0]])
    expected = 2 * points[:, 0] - 2
    for shared in (False, True):
        logs = fit_class_densities(x, codes, 2, shared=shared).log_posterior(points)
        np.testing.assert_allclose(logs[:, 1] - logs[:, 0], expected, atol=0.25)
    logs = fit_logistic(x, codes, 2, 1.0).log_posterior(points)
    np.testing.assert_allclose(logs[:, 1] - logs[:, 0], expected, atol=0.25)


@pytest.mark.parametrize("dof", [math.inf, 3.0])
def test_mixtures_find_separate_groups_of_a_class(dof: float) -> None:
    random = np.random.default_rng(0)
    x = random.standard_normal((2_000, 1)) * 0.3
    codes = random.integers(2, size=2_000)
    x[:, 0] += np.where(codes == 1, 0.0, random.choice([-2.0, 2.0], size=2_000))
    model = fit_class_densities(x, codes, 2, 2, dof=dof)
    chosen = model.log_posterior(np.array([[-2.0], [0.0], [2.0]])).argmax(axis=1)
    assert chosen.tolist() == [0, 1, 0]


def test_a_class_without_rows_is_unlikely() -> None:
    x, codes = np.random.default_rng(0).standard_normal((100, 2)), np.zeros(100, dtype=np.int64)
    for model in (fit_class_densities(x, codes, 2), fit_neighbours(x, codes, 2, 10)):
        assert (model.log_posterior(x)[:, 1] < math.log(0.1)).all()


def test_the_number_of_columns_decides_which_classifiers_use_them_all() -> None:
    assert {each.number for each in candidates(3, 1_000, 2)} == {0, 1, 2}
    names = {columns: _names_of_all_columns(columns) for columns in (10, 60, 100, 300)}
    assert {"boosted trees", "neural networks", "2 normals per class"} <= names[10]
    assert {"boosted trees", "a normal per class"} <= names[60]
    assert "2 normals per class" not in names[60]
    assert "boosted trees" not in names[100]
    assert all("logistic" in name for name in names[300])


def _names_of_all_columns(columns: int) -> set[str]:
    found = candidates(columns, 1_000, 2)
    return {each.name for each in found if each.reduction == "none"}
