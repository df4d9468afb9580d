"""Classifiers of labels against exact posteriors, and the choice of columns."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mivae_cli.estimators.discrete.boosted_trees import fit_boosted_trees
from mivae_cli.estimators.discrete.class_densities import fit_class_densities
from mivae_cli.estimators.discrete.label_mixtures import mixture_weights
from mivae_cli.estimators.discrete.label_reductions import column_scores, pair_scores
from mivae_cli.estimators.discrete.labels import label_estimates
from mivae_cli.estimators.discrete.logistic import fit_logistic, fit_quadratic_logistic
from mivae_cli.estimators.discrete.networks import fit_networks

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
    x, codes = same_sign(1_500, 40, 0.1)
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
    quadratic = fit_quadratic_logistic(x, codes, 2, 1.0).log_posterior(points)
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
    logs = fit_logistic(x, codes, 2, 1.0, noise=0.2).log_posterior(points)
    np.testing.assert_allclose(logs[:, 1] - logs[:, 0], 4 * points[:, 0], atol=0.3)


def test_weights_of_a_mixture_have_the_largest_likelihood() -> None:
    random = np.random.default_rng(0)
    likelihoods = random.random((200, 2))
    grid = np.linspace(0, 1, 1_001)
    scores = np.log(likelihoods @ np.stack([grid, 1 - grid])).mean(axis=0)
    best = mixture_weights(likelihoods)
    assert best.sum() == pytest.approx(1.0)
    assert np.log(likelihoods @ best).mean() == pytest.approx(scores.max(), abs=1e-4)
