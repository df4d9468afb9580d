"""Aggregated posteriors and their divergence from the prior, against closed forms."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from mivae_cli.reports.latent import (
    LatentSample,
    aggregated_density,
    divergence,
    latent_map,
    unit_densities,
)


def sample(means: np.ndarray, scales: np.ndarray | None) -> LatentSample:
    count = len(means)
    return LatentSample(
        texts=tuple(f"sentence {row}" for row in range(count)),
        places=np.arange(count) * 2,  # every other sentence of the split
        words=np.full(count, 2),
        means=means.astype(np.float32),
        scales=scales,
        rates=np.arange(count, dtype=float),
        unit_rates=tuple(float(rate) for rate in np.arange(means.shape[1])),
        sentences=2 * count,
    )


@pytest.mark.parametrize(("mean", "scale"), [(0.0, 1.0), (1.5, 1.0), (0.0, 0.1), (-2.0, 3.0)])
def test_one_posterior_has_the_divergence_of_a_normal(mean: float, scale: float) -> None:
    exact = 0.5 * (mean**2 + scale**2 - 1) - math.log(scale)
    found = divergence(np.full(5, mean), np.full(5, scale))
    assert found == pytest.approx(exact, abs=2e-3)


def test_means_and_scales_that_add_up_to_the_prior_leave_no_divergence() -> None:
    """Means of N(0, 0.75) and scales of 0.5 give N(0, 1)."""
    quantiles = norm.ppf((np.arange(2000) + 0.5) / 2000) * math.sqrt(0.75)
    assert divergence(quantiles, np.full(2000, 0.5)) < 1e-3


def test_the_density_is_that_of_the_mixture() -> None:
    means, scales, grid = np.array([-1.0, 2.0]), np.array([0.5, 1.0]), np.array([0.0, 1.0])
    exact = (norm.pdf(grid, -1, 0.5) + norm.pdf(grid, 2, 1)) / 2
    assert aggregated_density(means, scales, grid) == pytest.approx(exact)


def test_the_units_with_the_highest_rates_come_first_and_densities_have_mass_one() -> None:
    means = np.random.default_rng(0).normal(size=(50, 5)) * 3
    found = unit_densities(sample(means, np.full((50, 5), 0.5)), units=2)
    assert [unit.unit for unit in found] == [5, 4]
    assert [unit.rate for unit in found] == [4.0, 3.0]
    for unit in found:
        assert np.trapezoid(unit.aggregated, unit.z) == pytest.approx(1, abs=0.01)
        assert np.trapezoid(unit.prior, unit.z) == pytest.approx(1, abs=0.01)


def test_a_sphere_has_no_densities_of_units() -> None:
    assert unit_densities(sample(np.zeros((3, 2)), None)) == ()


def test_a_map_keeps_texts_rates_and_the_labels_of_their_sentences() -> None:
    means = np.array([[0.0, 0.0], [4.0, 0.0], [2.0, 1.0]])
    labels = ["a", "-", "b", "-", "c", "-"]
    found = latent_map(sample(means, None), labels=labels, label="topic")
    assert [point.label for point in found.points] == ["a", "b", "c"]
    assert [point.text for point in found.points] == ["sentence 0", "sentence 1", "sentence 2"]
    # the first component is the first axis, centred
    assert [point.x for point in found.points] == pytest.approx([-2, 2, 0], abs=1e-3)
    assert (found.sentences, found.label) == (6, "topic")
