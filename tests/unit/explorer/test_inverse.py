"""From places to latents and back, where the result is known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from mivae_cli.evaluation.projection import fit_components
from mivae_cli.explorer.inverse import LatentMap, interpolation_weights


def corpus(count: int = 40, size: int = 5, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(count, size)).astype(np.float32)


def linear(vectors: NDArray[np.float32], neighbours: int = 8) -> LatentMap:
    found = fit_components(vectors)
    return LatentMap(vectors, found.apply(vectors), found.centre, found, neighbours)


def free(vectors: NDArray[np.float32], places: NDArray[np.float32]) -> LatentMap:
    return LatentMap(vectors, places, vectors.mean(axis=0, dtype=np.float64))


class TestWeights:
    def test_weights_are_squares_of_differences_of_inverse_distances(self) -> None:
        found = interpolation_weights(np.array([1.0, 2.0]), 4.0)
        np.testing.assert_allclose(found, np.array([9.0, 1.0]) / 10)  # (3/4)^2 and (1/4)^2

    def test_a_neighbour_at_the_radius_has_no_weight(self) -> None:
        found = interpolation_weights(np.array([1.0, 4.0]), 4.0)
        np.testing.assert_allclose(found, [1, 0])

    def test_sentences_at_the_place_share_the_weight(self) -> None:
        found = interpolation_weights(np.array([0.0, 0.0, 1.0]), 2.0)
        np.testing.assert_allclose(found, [0.5, 0.5, 0])

    @pytest.mark.parametrize("distance", [1e-9, 1.0, 1e9])
    def test_equal_distances_give_equal_weights(self, distance: float) -> None:
        found = interpolation_weights(np.full(3, distance), distance)
        np.testing.assert_allclose(found, np.full(3, 1 / 3))


class TestLatents:
    @pytest.mark.parametrize("neighbours", [1, 8])
    def test_the_place_of_a_sentence_has_its_vector(self, neighbours: int) -> None:
        vectors = corpus()
        known = linear(vectors, neighbours)
        for row in (0, 17, 39):
            x, y = known.places[row].tolist()
            np.testing.assert_allclose(known.latent((x, y)), vectors[row], atol=1e-5)

    @pytest.mark.parametrize("place", [(0.0, 0.0), (0.3, -1.1), (50.0, -20.0)])
    def test_the_projection_of_the_latent_is_the_place(self, place: tuple[float, float]) -> None:
        known = linear(corpus())
        found = known.place(known.latent(place)[None])
        np.testing.assert_allclose(found, [place], atol=1e-4)

    def test_the_length_of_the_residual_is_kept(self) -> None:
        vectors = np.array([[0, 3], [4, 0]], np.float32)
        known = LatentMap(vectors, np.array([[1, 0], [-1, 0]], np.float32), np.zeros(2))
        # the mean (2, 1.5) has length 2.5; the vectors have lengths 3 and 4
        expected = np.array([2, 1.5]) * 3.5 / 2.5
        np.testing.assert_allclose(known.latent((0.0, 0.0)), expected, rtol=1e-5)

    def test_opposite_residuals_cancel(self) -> None:
        vectors = np.array([[0, 3], [0, -3]], np.float32)
        known = LatentMap(vectors, np.array([[1, 0], [-1, 0]], np.float32), np.zeros(2))
        np.testing.assert_allclose(known.latent((0.0, 0.0)), [0, 0], atol=1e-6)

    def test_latents_change_little_where_the_neighbours_change(self) -> None:
        known = linear(corpus())
        steps = [known.latent((t, 0.1)) for t in np.linspace(-1, 1, 4_001)]
        jumps = np.linalg.norm(np.diff(steps, axis=0), axis=1)
        # a jump would be as large as with the coarser steps below
        coarse = np.linalg.norm(np.diff(steps[::20], axis=0), axis=1)
        assert jumps.max() < coarse.max() / 5

    def test_few_sentences_are_enough(self) -> None:
        vectors = corpus(count=2)
        known = linear(vectors)
        x, y = known.places[1].tolist()
        np.testing.assert_allclose(known.latent((x, y)), vectors[1], atol=1e-5)
        assert known.nearest_place((x, y)) == 1


class TestPlacesOfAMapThatIsNotLinear:
    def test_the_vector_of_a_sentence_has_its_place(self) -> None:
        vectors, places = corpus(), corpus(size=2, seed=1)
        known = free(vectors, places)
        np.testing.assert_allclose(known.place(vectors[[3, 8]]), places[[3, 8]], atol=1e-5)

    def test_a_vector_between_two_sentences_is_between_their_places(self) -> None:
        vectors = np.array([[0, 0], [2, 0]], np.float32)
        known = free(vectors, np.array([[5, 5], [7, 9]], np.float32))
        found = known.place(np.array([[1, 0]], np.float32))
        np.testing.assert_allclose(found, [[6, 7]])
