"""Maps in two dimensions, of points whose principal components are known."""

import importlib.util

import numpy as np
import pytest
from numpy.typing import NDArray

from mivae_cli.errors import ConfigError, DataError
from mivae_cli.evaluation.projection import check_umap, fit_components, fit_projection
from mivae_cli.evaluation.projection import fit_umap as umap_of


def cross(size: int = 4) -> NDArray[np.float32]:
    """Returns four points on two axes, with variances 9 to 1, around (1, 1, ...)."""
    points = np.zeros((4, size), np.float32)
    points[:2, 2], points[2:, 0] = (3, -3), (1, -1)
    return points + 1


def test_components_of_known_points() -> None:
    found = fit_components(cross())
    np.testing.assert_allclose(found.centre, np.ones(4))
    np.testing.assert_allclose(found.axes, [[0, 0, 1, 0], [1, 0, 0, 0]], atol=1e-12)
    assert found.shares == pytest.approx((0.9, 0.1))
    places = found.apply(cross())
    np.testing.assert_allclose(places, [[3, 0], [-3, 0], [0, 1], [0, -1]], atol=1e-6)
    assert "90.0 %" in found.axis_names[0]
    assert "100 %" in found.note


def test_the_signs_do_not_depend_on_the_order_of_the_points() -> None:
    points = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
    found, reversed_ = fit_components(points), fit_components(points[::-1])
    np.testing.assert_allclose(found.axes, reversed_.axes, atol=1e-9)
    assert all(row[np.abs(row).argmax()] > 0 for row in found.axes)


def test_a_sample_places_the_other_points() -> None:
    points = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    found = fit_components(points[:20])
    np.testing.assert_allclose(found.apply(points)[:20], found.apply(points[:20]), atol=1e-6)
    assert found.apply(points[:0]).shape == (0, 2)


@pytest.mark.parametrize("shape", [(1, 3), (5, 1), (1, 1)])
def test_missing_components_are_zero(shape: tuple[int, int]) -> None:
    points = np.arange(shape[0] * shape[1], dtype=np.float32).reshape(shape)
    found = fit_components(points)
    places = found.apply(points)
    assert places.shape == (shape[0], 2)
    np.testing.assert_allclose(places[:, 1], 0, atol=1e-6)
    assert np.isfinite(found.shares).all()


@pytest.mark.parametrize("bad", [np.zeros((0, 3)), np.zeros(3), np.full((5, 2), np.nan)])
def test_unusable_vectors_are_rejected(bad: NDArray[np.float32]) -> None:
    with pytest.raises(DataError):
        fit_projection(bad)


def test_unknown_methods_and_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="tsne"):
        fit_projection(cross(), "tsne")  # type: ignore[arg-type]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="umap"):
        check_umap()


@pytest.mark.slow  # compiles for ten seconds
def test_umap_separates_distant_clusters_and_repeats_itself() -> None:
    pytest.importorskip("umap")
    rng = np.random.default_rng(0)
    points = rng.normal(size=(60, 5)).astype(np.float32)
    points[30:] += 50
    maps = [umap_of(points, seed=1) for _ in range(2)]
    placed = [each.apply(points) for each in maps]
    np.testing.assert_array_equal(placed[0], placed[1])
    first, second = placed[0][:30], placed[0][30:]
    apart = np.linalg.norm(first.mean(axis=0) - second.mean(axis=0))
    assert apart > 2 * max(first.std(), second.std())
    with pytest.raises(DataError):
        umap_of(points[:3])
