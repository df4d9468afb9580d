r"""Maps of a corpus: vectors of sentences, such as posterior means, in two dimensions.

A principal component is a direction :math:`v` of the centred vectors :math:`c_n = \mu_n - \bar\mu`:

.. math:: c_n \approx \sum_j (c_n \cdot v_j) \, v_j, \qquad
    \text{share}_j = \frac{s_j^2}{\sum_i s_i^2}

with :math:`s_j` the singular values of the matrix of all :math:`c_n`. The map takes the first two.
A projection is fitted once and then places any vectors, so a sample determines the map.

Shapes: N vectors, Z latent units.
"""

__all__ = [
    "UMAP_AXES",
    "UMAP_NOTE",
    "PrincipalComponents",
    "Projection",
    "UMAPProjection",
    "check_umap",
    "fit_components",
    "fit_projection",
    "fit_umap",
]

import importlib
import importlib.util
import warnings
from dataclasses import dataclass
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from ..choices import MapMethod, check_choice
from ..errors import ConfigError, DataError

Vectors = NDArray[np.float32]
Plane = NDArray[np.float32]  # places on the map, (N, 2)
NEIGHBOURS = 15  # the default of UMAP
UMAP_AXES = ("UMAP 1", "UMAP 2")
UMAP_NOTE = "UMAP keeps neighbourhoods; distances and axes have no unit"
MIN_UMAP = 4  # sentences; fewer have no neighbourhoods


@dataclass(frozen=True, eq=False)
class PrincipalComponents:
    """The first two principal components of vectors."""

    centre: NDArray[np.float64]  # the mean, (Z,)
    axes: NDArray[np.float64]  # orthonormal rows, (2, Z); a row of zeros where Z or N is too small
    shares: tuple[float, float]  # of the variance, from 0 to 1

    @property
    def method(self) -> MapMethod:
        """`pca`."""
        return "pca"

    @property
    def axis_names(self) -> tuple[str, str]:
        """Titles of the axes, with the share of the variance."""
        first, second = (f"{share:.1%}".replace("%", " %") for share in self.shares)
        return (
            f"First component ({first} of the variance)",
            f"Second component ({second} of the variance)",
        )

    @property
    def note(self) -> str:
        """What the map shows, in one sentence without a full stop."""
        share = f"{sum(self.shares):.0%}".replace("%", " %")
        return f"two principal components hold {share} of the variance"

    def apply(self, vectors: Vectors) -> Plane:
        """Returns the places of vectors, from (N, Z) to (N, 2)."""
        return ((vectors - self.centre) @ self.axes.T).astype(np.float32)


@dataclass(frozen=True, eq=False)
class UMAPProjection:
    """A map by UMAP, which keeps neighbourhoods; distances and axes have no unit."""

    model: Any  # umap.UMAP, which has no types

    @property
    def method(self) -> MapMethod:
        """`umap`."""
        return "umap"

    @property
    def axis_names(self) -> tuple[str, str]:
        """Titles of the axes."""
        return UMAP_AXES

    @property
    def note(self) -> str:
        """What the map shows, in one sentence without a full stop."""
        return UMAP_NOTE

    def apply(self, vectors: Vectors) -> Plane:
        """Returns the places of vectors, from (N, Z) to (N, 2)."""
        if not len(vectors):
            return np.zeros((0, 2), np.float32)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.asarray(self.model.transform(vectors), np.float32)


Projection = PrincipalComponents | UMAPProjection


def fit_projection(vectors: Vectors, method: MapMethod = "pca", seed: int = 0) -> Projection:
    """Fits a map to vectors, with shape (N, Z).

    Arguments:
        vectors: The vectors, or a sample of them.
        method: `pca`, or `umap`, which needs the package umap-learn.
        seed: Seeds UMAP; PCA is deterministic.

    Raises:
        ConfigError: The method does not exist, or its package is missing.
        DataError: There are too few vectors, or they are not finite.
    """
    check_choice("map", method, MapMethod)
    match method:
        case "pca":
            return fit_components(vectors)
        case "umap":
            return fit_umap(vectors, seed)
        case _:
            assert_never(method)


def fit_components(vectors: Vectors) -> PrincipalComponents:
    """Returns the first two principal components of vectors, with shape (N, Z).

    The largest coordinate of each axis is positive, so that equal vectors give equal maps.

    Raises:
        DataError: There are no vectors, or they are not finite.
    """
    rows = _checked(vectors, 1)
    centre = rows.mean(axis=0)
    _, singular, directions = np.linalg.svd(rows - centre, full_matrices=False)
    total = float((singular**2).sum())
    axes = np.zeros((2, rows.shape[1]))
    shares = [0.0, 0.0]
    for place in range(min(2, len(singular))):
        direction = directions[place]
        axes[place] = direction * (np.sign(direction[np.abs(direction).argmax()]) or 1.0)
        shares[place] = float(singular[place] ** 2) / total if total else 0.0
    return PrincipalComponents(centre, axes, (shares[0], shares[1]))


def fit_umap(vectors: Vectors, seed: int = 0) -> UMAPProjection:
    """Returns a UMAP fitted to vectors, with shape (N, Z).

    References:
        | UMAP: Uniform Manifold Approximation and Projection (McInnes et al., 2018)

    Raises:
        ConfigError: The package umap-learn is missing.
        DataError: There are fewer than four vectors, or they are not finite.
    """
    rows = _checked(vectors, MIN_UMAP).astype(np.float32)
    check_umap()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about threads, and about compilation
        umap = importlib.import_module("umap")
        model = umap.UMAP(
            n_neighbors=min(NEIGHBOURS, len(rows) - 1),
            random_state=np.random.RandomState(seed % 2**32),
            n_jobs=1,
            # a spectral layout of so few points fails
            init="spectral" if len(rows) > NEIGHBOURS else "random",
        )
        model.fit(rows)
    return UMAPProjection(model)


def check_umap() -> None:
    """Raises ConfigError if the package umap-learn is missing."""
    if importlib.util.find_spec("umap") is None:
        raise ConfigError(
            "a UMAP map needs umap-learn; install it with: pip install 'mivae[umap]'"
        )


def _checked(vectors: Vectors, least: int) -> NDArray[np.float64]:
    rows = np.asarray(vectors, np.float64)
    if rows.ndim != 2 or len(rows) < least:
        raise DataError(f"a map needs at least {least} vectors, with shape (N, Z)")
    if not np.isfinite(rows).all():
        raise DataError("a map needs finite vectors, and some are NaN or infinite")
    return rows
