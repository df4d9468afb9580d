"""The vectors of a corpus that are nearest to a latent vector.

Shapes: N sentences, Z latent units.
"""

__all__ = ["Metric", "nearest_vectors"]

from collections.abc import Collection, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Metric = Literal["euclidean", "cosine"]
CANDIDATES = 512  # compared exactly
Floats = NDArray[np.float32]


def nearest_vectors(
    vectors: Floats,
    latent: Floats,
    metric: Metric,
    texts: Sequence[str],
    count: int,
    skipped: Collection[str] = (),
) -> list[tuple[int, float]]:
    r"""Returns numbers and distances of the nearest sentences, nearest first, duplicates once.

    The distance is :math:`\lVert \mu - z \rVert`, or 1 minus the cosine. Candidates are found with
    a matrix product, whose rounding errors matter for near copies, and then compared exactly.

    Arguments:
        vectors: Posterior means, with shape (N, Z).
        latent: The latent z, with shape (Z,).
        metric: The distance.
        texts: N sentences or more.
        count: Maximum number of sentences.
        skipped: Texts to leave out, such as the query.
    """
    rough = _rough(vectors, latent, metric)
    seen, found = set(skipped), list[tuple[int, float]]()
    most = CANDIDATES
    while True:
        most = min(most, len(vectors))
        rows = np.argpartition(rough, most - 1)[:most]
        exact = _exact(vectors[rows], latent, metric)
        for place in np.lexsort((rows, exact)):
            row = int(rows[place])
            if texts[row] in seen:
                continue
            seen.add(texts[row])
            found.append((row, float(exact[place])))
            if len(found) == count:
                return found
        if most == len(vectors):
            return found
        seen, found, most = set(skipped), [], 8 * most  # most candidates were duplicates


def _rough(vectors: Floats, latent: Floats, metric: Metric) -> NDArray[np.floating]:
    """Returns numbers in the order of the distances, up to rounding errors, with shape (N,)."""
    products = vectors @ latent
    squares = np.einsum("ij,ij->i", vectors, vectors)
    if metric == "euclidean":
        return np.asarray(squares - 2 * products)
    return np.asarray(-products / np.sqrt(np.maximum(squares, np.finfo(np.float32).tiny)))


def _exact(vectors: Floats, latent: Floats, metric: Metric) -> NDArray[np.float64]:
    rows, query = vectors.astype(np.float64), latent.astype(np.float64)
    if metric == "euclidean":
        return np.asarray(np.linalg.norm(rows - query, axis=1))
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(query)
    cosines = np.divide(rows @ query, lengths, out=np.zeros(len(rows)), where=lengths > 0)
    return np.asarray(np.maximum(1 - cosines, 0.0))
