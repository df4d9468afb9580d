r"""From a place on the map to a latent vector, and from a latent vector to a place.

A map loses dimensions, so a place p has many latent vectors. The vector that is chosen agrees with
the sentences near p. With :math:`x_i` the places of sentences and :math:`\mu_i` their vectors,

.. math:: z(p) = b(p) + \frac{\sum_i w_i \lVert r_i \rVert}{\lVert \sum_i w_i r_i \rVert}
    \sum_i w_i r_i, \qquad r_i = \mu_i - b(x_i), \qquad
    w_i \propto \Big( \frac{1}{\lVert p - x_i \rVert} - \frac{1}{R} \Big)^2

where the sums are over the k sentences nearest to p, R is the distance of the next one,
and b(p) is the point of the principal plane at p. For UMAP, b is the mean of all vectors.

* z is continuous in p while the neighbours change, and :math:`z(x_i) = \mu_i`.
* With principal components, the projection of z(p) is p, because every :math:`r_i` is orthogonal
  to the plane.
* An average of many residuals is shorter than each of them, and short vectors decode to the most
  ordinary sentences. The factor keeps the length, as spherical interpolation does.

Shapes: N sentences, Z latent units, k neighbours.

References:
    | Scattered Data Interpolation: Tests of Some Methods (Franke, 1982), for the weights
"""

__all__ = ["LatentMap", "interpolation_weights"]

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..evaluation.projection import PrincipalComponents

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
NEIGHBOURS = 8
TINY = 1e-12


@dataclass(frozen=True, eq=False)
class LatentMap:
    """The places and vectors of N sentences."""

    vectors: Floats  # (N, Z)
    places: Floats  # (N, 2)
    centre: Doubles  # (Z,)
    components: PrincipalComponents | None = None  # None: the map is not linear
    neighbours: int = NEIGHBOURS  # k

    def latent(self, place: tuple[float, float]) -> Floats:
        """Returns z(p), with shape (Z,)."""
        point = np.asarray(place, np.float64)
        found, weights = self._around(self.places, point)
        residuals = self.vectors[found] - self._base(self.places[found])
        mean = weights @ residuals
        length = float(np.linalg.norm(mean))
        wanted = float(weights @ np.linalg.norm(residuals, axis=1))
        factor = wanted / length if length > TINY else 0.0
        return np.asarray(self._base(point) + factor * mean, np.float32)

    def place(self, latents: Floats) -> Floats:
        """Returns the places of latent vectors, from (M, Z) to (M, 2).

        A map that is not linear has the average place of the nearest sentences, with the weights
        above for distances between vectors.
        """
        if self.components is not None:
            return self.components.apply(latents)
        placed = np.empty((len(latents), 2), np.float32)
        for row, latent in enumerate(latents):
            found, weights = self._around(self.vectors, latent.astype(np.float64))
            placed[row] = weights @ self.places[found]
        return placed

    def nearest_place(self, place: tuple[float, float]) -> int:
        """Returns the number of the sentence that is nearest to a place."""
        apart = np.square(self.places - np.asarray(place, np.float64)).sum(axis=1)
        return int(apart.argmin())

    def _base(self, places: NDArray[np.floating]) -> Doubles:
        if self.components is None:
            return self.centre
        return np.asarray(self.centre + places.astype(np.float64) @ self.components.axes)

    def _around(self, points: Floats, point: Doubles) -> tuple[NDArray[np.int64], Doubles]:
        """Returns the rows nearest to a point, at most k, and their weights."""
        squares = np.square(points - point).sum(axis=1)
        count = min(self.neighbours + 1, len(points))
        found = np.argpartition(squares, count - 1)[:count]
        found = found[np.argsort(squares[found], kind="stable")]
        apart = np.sqrt(squares[found])
        if count <= self.neighbours:  # there is no next one
            return found, interpolation_weights(apart, np.inf)
        return found[:-1], interpolation_weights(apart[:-1], float(apart[-1]))


def interpolation_weights(distances: NDArray[np.floating], radius: float) -> Doubles:
    r"""Returns the weights :math:`(1 / d_i - 1 / R)^2`, scaled to the sum 1, with shape (k,).

    Rows at distance 0 share the weight. If all are at the distance R, all weights are equal.

    Arguments:
        distances: The distances :math:`d_i` of the neighbours, with shape (k,).
        radius: The distance R of the next neighbour, or infinity.
    """
    apart = np.asarray(distances, np.float64)
    zero = apart <= TINY
    if zero.any():
        return np.asarray(zero / zero.sum())
    smallest = apart.min()  # scaled, so that squares of tiny distances do not overflow
    weights = np.square(smallest / apart - smallest / radius)
    total = weights.sum()
    if not total > TINY:
        return np.full(len(apart), 1 / len(apart))
    return np.asarray(weights / total)
