"""The task suite of the benchmarks: its truths against closed forms, and its draws."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from mivae_cli.estimators.samplers import StudentT
from suite_columns import mixture, normal_truth, scatter, student
from suite_curves import uniform_function
from suite_embeddings import Curve, Features, clusters, features
from suite_labels import groups, logistic
from suite_later_columns import coupling, windows
from suite_later_labels import chosen_by, given_class
from suite_levels import cells_of, table_truth
from suite_tables import covered, too_high
from suite_tasks import KINDS, TASKS
from suite_truths import (
    Floats,
    channel,
    copula,
    curve,
    mean_ratio,
    nodes,
    noisy,
    noisy_plane,
    quasi_normal,
)


def pair(rho: float) -> float:
    return -0.5 * math.log1p(-(rho**2))


def test_integrals_give_the_information_of_normals() -> None:
    rho, noise = 0.8, math.sqrt(1 - 0.8**2)

    def density(z: Floats, x: Floats) -> Floats:
        given: Floats = norm.pdf(z, rho * x, noise)
        return given

    def log_density(u: Floats, v: Floats) -> Floats:
        a, b = norm.ppf(u), norm.ppf(v)
        ratio: Floats = rho * a * b - 0.5 * rho**2 * (a**2 + b**2)
        return pair(rho) + ratio / noise**2

    grid = np.linspace(-9, 9, 3_000)
    assert channel(density, nodes(norm.ppf), grid) == pytest.approx(pair(rho), abs=1e-4)
    assert copula(log_density) == pytest.approx(pair(rho), abs=1e-4)
    assert noisy(rho * quasi_normal(16, 1, 0)[:, 0], noise) == pytest.approx(pair(rho), abs=2e-4)


def test_a_curve_without_z_has_no_information() -> None:
    t = np.linspace(0, 1, 500)
    assert curve(t, 0 * t, 0.1) == pytest.approx(0, abs=1e-6)


def test_mixtures_of_one_component_are_normal() -> None:
    covariance = scatter(2, 1, 1.0, 3)
    draw, _ = mixture(np.ones(1), np.zeros((1, 3)), covariance[None], 2)
    x, z = draw(20_000, np.random.default_rng(0))
    r = np.corrcoef(np.column_stack([x, z]).T)
    assert normal_truth(r, 2) == pytest.approx(normal_truth(covariance, 2), abs=0.03)


def test_student_pairs_agree_with_the_sampler() -> None:
    _, truth = student(np.eye(5), 3, 2.0)
    assert truth(0) == pytest.approx(StudentT(3, 2, dof=2).mutual_information)


def test_the_noise_of_linear_features_is_accounted_for() -> None:
    linear: Curve = (lambda t: t, np.ones_like)
    rho = 0.85
    x, z = (Features(linear, 2, 24, 0.15, seed, 0.7) for seed in (1, 2))
    _, truth = features(x, z, rho)
    shared = np.kron(np.array([[1, rho], [rho, 1]]), np.eye(2))
    loadings = np.zeros((4, 48))
    loadings[:2, :24], loadings[2:, 24:] = x.weights, z.weights
    covariance = loadings.T @ shared @ loadings + 0.15**2 * np.eye(48)
    exact = normal_truth(covariance, 24)
    assert truth(0) == pytest.approx(exact, abs=5e-4)
    assert 2 * pair(rho) - exact > 1e-3


def test_distant_clusters_share_their_labels() -> None:
    draw, _ = clusters((8, 8), 4, 1.0, 5.0, 0)
    x, z = draw(200, np.random.default_rng(0))
    assert len(np.unique(np.column_stack([x, z]).round(-1)[:, 0])) > 1
    assert x.shape == z.shape == (200, 8)


def test_cells_keep_the_information_of_normals() -> None:
    edges = np.linspace(-3, 3, 61)
    assert table_truth(cells_of(0.8, edges, edges)) == pytest.approx(pair(0.8), abs=0.01)


def test_the_mean_log_ratio_is_that_of_the_draws() -> None:
    draw, _ = uniform_function(0, 1, lambda x: x, 1.0)
    assert mean_ratio(draw, lambda x, z: np.full(len(x), 2.0), 100_000, 0) == 2.0


def test_labels_of_distant_classes_are_known() -> None:
    draw, _ = groups(3, 2, 100.0, 1)
    x, label = draw(300, np.random.default_rng(0))
    centres = np.stack([x[label == each].mean(axis=0) for each in range(3)])
    nearest = np.linalg.norm(x[:, None] - centres, axis=2).argmin(axis=1)
    assert (nearest == label).all()


@pytest.mark.parametrize("name", TASKS)
def test_draws_repeat_and_are_finite(name: str) -> None:
    task = TASKS[name]
    (x, z), again = (task.draw(60, np.random.default_rng(3)) for _ in range(2))
    assert len(x) == len(z) == 60
    assert all((a == b).all() for a, b in zip((x, z), again, strict=True))
    assert all(side.dtype.kind in "Uifb" for side in (x, z))
    if x.dtype.kind == "f":
        assert np.isfinite(x).all()


def test_the_suite_covers_sizes_and_kinds() -> None:
    rows = [task.rows for task in TASKS.values()]
    assert len(TASKS) >= 40
    assert len(KINDS) >= 10
    assert min(rows) == 100
    assert max(rows) == 100_000


def test_intervals_and_one_sided_limits() -> None:
    record = {"truth": 1.0, "value": 0.8, "ci": [0.7, 0.9], "at_least": False}
    assert not covered(record)
    assert covered(record | {"at_least": True})
    assert covered(record | {"truth": 0.75})
    assert not too_high(record)
    assert too_high(record | {"truth": 0.5})
    assert not covered({"truth": 1.0, "value": None})


def test_two_noisy_functions_of_the_same_columns() -> None:
    x, noise = quasi_normal(16, 2, 0), 0.6
    signal = x @ np.array([[1.0, 0.5], [0.3, 1.2]])
    covariance = np.cov(signal.T) + noise**2 * np.eye(2)
    exact = 0.5 * np.linalg.slogdet(covariance / noise**2)[1]
    assert noisy_plane(signal, noise, 16) == pytest.approx(exact, abs=5e-4)


def test_straight_factors_and_processes_are_normal() -> None:
    draw, truth = windows(2, 2, lambda t: 0.7 * t, 0.5)
    assert truth(0) == pytest.approx(pair(0.7), abs=1e-5)
    x, z = draw(20_000, np.random.default_rng(0))
    assert np.corrcoef(x[:, -1], z[:, 0])[0, 1] == pytest.approx(0.7, abs=0.02)


def test_a_label_of_one_column_agrees_with_the_integral() -> None:
    _, exact = logistic(1, 2.0, 0.5)
    _, truth = chosen_by(lambda x: np.stack([0 * x[:, 0], 2 * x[:, 0] + 0.5], axis=1), 1)
    assert truth(0) == pytest.approx(exact(0), abs=1e-4)


def test_replaced_labels_lose_what_a_channel_loses() -> None:
    centres = np.array([[-9.0], [9.0]])
    _, truth = given_class(
        np.array([0.5, 0.5]),
        lambda label, random: centres[label] + random.standard_normal((len(label), 1)),
        lambda x: -0.5 * np.square(x - centres[:, 0]),
        errors=0.2,
    )
    kept = math.log(2) + 0.9 * math.log(0.9) + 0.1 * math.log(0.1)
    assert truth(0) == pytest.approx(kept, abs=1e-6)


def test_smooth_maps_can_be_inverted() -> None:
    t = np.random.default_rng(0).standard_normal((400, 5))
    once, turned = coupling(5, 0.8, 1), np.zeros((400, 5, 5))
    for column in range(5):
        step = np.zeros(5)
        step[column] = 1e-5
        turned[:, column] = (once(t + step) - once(t - step)) / 2e-5
    assert np.linalg.det(turned).min() > 0.01
