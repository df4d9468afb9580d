"""Classifiers of labels against exact posteriors, and the choice of columns."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mivae_cli.estimators.discrete.class_densities import fit_class_densities
from mivae_cli.estimators.discrete.label_mixtures import mixture_weights
from mivae_cli.estimators.discrete.label_reductions import column_scores, pair_scores
from mivae_cli.estimators.discrete.labels import label_estimates
from mivae_cli.estimators.discrete.library_models import (
    LibraryModel,
    fit_boosted_trees,
    fit_neighbours,
    fit_networks,
)
from mivae_cli.estimators.discrete.logistic import fit_logistic, fit_noisy_logistic

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def same_sign(rows: int, columns: int, flips: float, seed: int = 0) -> tuple[Floats, Ints]:
    """Returns normal columns, and whether the second and fourth have the same sign, with flips."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((rows, columns))
    codes = (x[:, 1] * x[:, 3] > 0) != (random.random(rows) < flips)
    return x, codes.astype(np.int64)


def information(flips: float) -> float:
    return float(np.log(2) + flips * np.log(flips) + (1 - flips) * np.log(1 - flips))


def test_columns_that_tell_something_only_together_are_found() -> None:
    x, codes = same_sign(2_000, 40, 0.1)
    assert set(pair_scores(x, codes, 2).argsort()[-2:]) == {1, 3}
    assert column_scores(x, codes, 2)[[1, 3]].max() < 0.01
    np.testing.assert_allclose(pair_scores(x, codes, 2)[[1, 3]], information(0.1), atol=0.05)


def test_a_rule_of_two_of_many_columns_is_estimated() -> None:
    x, codes = same_sign(1_000, 34, 0.1)
    best = label_estimates(torch.from_numpy(x), torch.from_numpy(codes)).recommended
    assert best.value == pytest.approx(information(0.1), abs=0.06)


def test_flexible_classifiers_learn_a_rule_of_two_columns() -> None:
    x, codes = same_sign(6_000, 4, 0.1)
    kept, rest = slice(4_000), slice(4_000, None)
    trees = fit_boosted_trees(x[kept], codes[kept], 2).log_posterior(x[rest])
    networks = fit_networks(x[kept], codes[kept], 2).log_posterior(x[rest])
    for logs, atol in ((trees, 0.05), (networks, 0.08)):
        np.testing.assert_allclose(np.exp(logs).sum(axis=1), 1.0, rtol=1e-6)
        gain = np.log(2) + logs[np.arange(len(logs)), codes[rest]].mean()
        assert gain == pytest.approx(information(0.1), abs=atol)


def test_classes_with_other_covariances_have_a_quadratic_posterior() -> None:
    random = np.random.default_rng(0)
    codes = random.integers(2, size=40_000)
    x = random.standard_normal((40_000, 2)) * np.array([[1.0, 1.0], [2.0, 0.5]])[codes]
    points = np.array([[0.0, 0.5], [1.0, 0.2], [2.0, 0.0]])
    # the determinants of both covariances are 1
    expected = 0.5 * np.square(points) @ (1 - np.array([0.25, 4.0]))
    quadratic = fit_logistic(x, codes, 2, 1.0, quadratic=True).log_posterior(points)
    normals = fit_class_densities(x, codes, 2, diagonal=True).log_posterior(points)
    for logs in (quadratic, normals):
        np.testing.assert_allclose(logs[:, 1] - logs[:, 0], expected, atol=0.15)


def test_logistic_regression_sees_through_random_labels() -> None:
    random = np.random.default_rng(0)
    x = random.standard_normal((40_000, 1))
    codes = (random.random(40_000) < 1 / (1 + np.exp(-4 * x[:, 0]))).astype(np.int64)
    replaced = random.random(40_000) < 0.2
    codes[replaced] = random.integers(2, size=40_000)[replaced]
    points = np.array([[-0.5], [0.0], [0.5]])
    logs = fit_noisy_logistic(x, codes, 2, 1.0, 0.2).log_posterior(points)
    np.testing.assert_allclose(logs[:, 1] - logs[:, 0], 4 * points[:, 0], atol=0.3)


def test_weights_of_a_mixture_have_the_largest_likelihood() -> None:
    random = np.random.default_rng(0)
    likelihoods = random.random((200, 2))
    grid = np.linspace(0, 1, 1_001)
    scores = np.log(likelihoods @ np.stack([grid, 1 - grid])).mean(axis=0)
    best = mixture_weights(likelihoods)
    assert best.sum() == pytest.approx(1.0)
    assert np.log(likelihoods @ best).mean() == pytest.approx(scores.max(), abs=1e-4)


def penalised(x: Floats, codes: Ints, classes: int) -> LibraryModel:
    return fit_logistic(x, codes, classes, 3.0)


def ten_neighbours(x: Floats, codes: Ints, classes: int) -> LibraryModel:
    return fit_neighbours(x, codes, classes, 10)


@pytest.mark.parametrize("fit", [penalised, ten_neighbours, fit_boosted_trees, fit_networks])
def test_classes_without_rows_get_half_a_row(fit: Callable[..., LibraryModel]) -> None:
    x, codes = same_sign(60, 4, 0.1)
    codes[:5] = 4
    for labels in (codes, np.ones(60, dtype=np.int64)):  # three of six classes, or one
        logs = fit(x, labels, 6).log_posterior(x)
        probabilities = np.exp(logs)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-6)
        np.testing.assert_allclose(probabilities[:, 5], 0.5 / 63, rtol=1e-6)
        np.testing.assert_array_equal(fit(x, labels, 6).log_posterior(x), logs)


def test_the_rows_nearby_are_counted() -> None:
    x, codes = np.array([[0.0], [1.0], [2.0], [9.0]]), np.array([0, 1, 1, 0])
    found = np.exp(fit_neighbours(x, codes, 2, 3).log_posterior(np.array([[1.1]])))
    np.testing.assert_allclose(found, [[(1 + 0.5) / 4, (2 + 0.5) / 4]])


def test_two_classes_have_the_penalty_of_one_weight_each() -> None:
    """The weights of two classes are opposite; the derivative of the penalised loss is 0."""
    random = np.random.default_rng(0)
    x = random.standard_normal((400, 1))
    codes = (random.random(400) < 1 / (1 + np.exp(-2 * x[:, 0]))).astype(np.int64)
    scaled = (x[:, 0] - x.mean()) / x.std()
    penalty = 50.0
    (model,) = fit_logistic(x, codes, 2, penalty).models
    p = model.predict_proba(x)[:, 1]
    difference = np.polyfit(scaled, np.log(p / (1 - p)), 1)[0]  # of both weights
    slope = ((p - codes) * scaled).sum() + penalty * difference / 2
    assert slope == pytest.approx(0.0, abs=0.05)
