"""Nearest vectors, compared with a full sort."""

from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from mivae_cli.explorer import neighbours as module
from mivae_cli.explorer.neighbours import Metric, nearest_vectors


def sorted_rows(
    vectors: NDArray[np.float32], latent: NDArray[np.float32], by: Metric
) -> list[int]:
    apart = np.linalg.norm(vectors - latent, axis=1)
    if by == "cosine":
        lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(latent)
        apart = 1 - vectors @ latent / lengths
    return [int(row) for row in apart.argsort()]


@pytest.mark.parametrize("by", get_args(Metric))
@pytest.mark.parametrize("candidates", [4, 512])
def test_the_nearest_are_those_of_a_full_sort(
    by: Metric, candidates: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CANDIDATES", candidates)
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(300, 6)).astype(np.float32)
    latent = rng.normal(size=6).astype(np.float32)
    texts = [f"sentence {row}" for row in range(300)]
    found = nearest_vectors(vectors, latent, by, texts, 4)
    assert [row for row, _ in found] == sorted_rows(vectors, latent, by)[:4]
    distances = [distance for _, distance in found]
    assert distances == sorted(distances)
    if by == "euclidean":
        assert distances[0] == pytest.approx(np.linalg.norm(vectors[found[0][0]] - latent))


def test_near_copies_far_from_the_origin_are_in_order() -> None:
    vectors = np.full((3, 2), 1000, np.float32)
    vectors[:, 0] += [0.003, 0.001, 0.002]
    found = nearest_vectors(vectors, vectors[1], "euclidean", ["a", "b", "c"], 3)
    assert [row for row, _ in found] == [1, 2, 0]


def test_duplicates_and_skipped_texts_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CANDIDATES", 2)
    vectors = np.arange(8, dtype=np.float32)[:, None]
    texts = ["query", "same", "same", "same", "same", "other", "same", "last"]
    found = nearest_vectors(vectors, vectors[0], "euclidean", texts, 3, {"query"})
    assert found == [(1, 1.0), (5, 5.0), (7, 7.0)]
    assert nearest_vectors(vectors[:1], vectors[0], "euclidean", texts, 3, {"query"}) == []
