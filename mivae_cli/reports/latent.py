r"""The latent space of a run: the aggregated posterior of units, and a map of posterior means.

| :math:`q(z_k) = \frac{1}{N} \sum_n q(z_k \mid x_n)`   aggregated posterior of unit k
| :math:`\mathrm{KL}(q(z_k) \,\|\, p(z_k))`             its divergence from the prior, in nats

Shapes: N sentences, Z latent units, G points of a grid.
"""

__all__ = [
    "LatentSample",
    "aggregated_density",
    "divergence",
    "latent_map",
    "latent_sample",
    "unit_densities",
]

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..choices import MapMethod
from ..data.prepared_corpus import Corpus, TokenStore
from ..errors import DataError
from ..evaluation.encode import posteriors
from ..evaluation.projection import fit_projection
from ..limits import MAX_REPORT_POINTS, check_count
from ..models.latent import DiagonalGaussian
from ..models.vae import VAE
from .records import LatentMap, MapPoint, UnitDensity
from .texts import shortened

UNITS = 6  # units whose aggregated posterior is drawn
GRID = 161  # points of a density
DRAWN = 81  # points of a drawn density
SIDE = 4.0  # standard deviations of the prior on each side
FAR = 6.0  # standard deviations beyond the means

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LatentSample:
    """Sentences of the test split with their posteriors."""

    texts: tuple[str, ...]
    places: NDArray[np.int64]  # in the split, (N,)
    words: NDArray[np.int64]  # (N,)
    means: NDArray[np.float32]  # (N, Z)
    scales: Array | None  # (N, Z); None if the posteriors are not Gaussian
    rates: Array  # of each sentence, (N,)
    unit_rates: tuple[float, ...]  # of each unit
    sentences: int  # of the split


def latent_sample(model: VAE, corpus: Corpus, points: int, seed: int) -> LatentSample:
    """Returns at most `points` sentences of the test split with their posteriors.

    Raises:
        ConfigError: `points` is not between 1 and 100,000.
        DataError: A posterior is not finite.
    """
    points = check_count("the number of points", points, 1, MAX_REPORT_POINTS)
    store = corpus["test"]
    places = np.arange(len(store))
    if len(store) > points:
        places = np.sort(np.random.default_rng(seed).choice(len(store), points, replace=False))
    chosen = TokenStore.from_ids(store.sentence(place) for place in places.tolist())
    posterior = posteriors(model, chosen)
    texts = [corpus.tokenizer.decode(chosen.sentence(place)) for place in range(len(chosen))]
    scales = None
    if isinstance(posterior, DiagonalGaussian):
        scales = np.asarray(posterior.scale.double().numpy(), np.float64)
    known = [posterior.mean.numpy(), *([] if scales is None else [1 / scales])]
    if not all(np.isfinite(values).all() for values in known):
        raise DataError("some posteriors are not finite: training has probably diverged")
    return LatentSample(
        texts=tuple(texts),
        places=places,
        words=np.array([len(text.split()) for text in texts], np.int64),
        means=posterior.mean.numpy(),
        scales=scales,
        rates=posterior.rates().sum(dim=-1).double().numpy(),
        unit_rates=tuple(posterior.unit_rates().tolist()),
        sentences=len(store),
    )


def unit_densities(sample: LatentSample, units: int = UNITS) -> tuple[UnitDensity, ...]:
    """Returns the aggregated posteriors of the units with the highest rates.

    There are none on the sphere, where a unit has no prior of its own.
    """
    if sample.scales is None:
        return ()
    found = []
    for unit in np.argsort(sample.unit_rates)[::-1][:units].tolist():
        means = sample.means[:, unit].astype(np.float64)
        scales = sample.scales[:, unit]
        grid = np.linspace(
            min(-SIDE, float(means.min()) - 2), max(SIDE, float(means.max()) + 2), DRAWN
        )
        found.append(
            UnitDensity(
                unit=unit + 1,
                rate=sample.unit_rates[unit],
                divergence=divergence(means, scales),
                z=tuple(grid.round(4).tolist()),
                aggregated=tuple(aggregated_density(means, scales, grid).round(5).tolist()),
                prior=tuple(_normal(grid, 0.0, 1.0).round(5).tolist()),
            )
        )
    return tuple(found)


def aggregated_density(means: Array, scales: Array, grid: Array) -> Array:
    r"""Returns :math:`\frac{1}{N} \sum_n \mathcal{N}(z; \mu_n, \sigma_n^2)` on a grid, (G,)."""
    return np.array([_normal(z, means, scales).mean() for z in grid])


def divergence(means: Array, scales: Array) -> float:
    r"""Returns :math:`\mathrm{KL}(q(z) \,\|\, \mathcal{N}(0, 1))` of one unit, in nats.

    By the trapezoidal rule on a grid that resolves the narrowest posterior, with shape (N,) for
    means and scales.
    """
    low = float((means - FAR * scales).min())
    high = float((means + FAR * scales).max())
    steps = int(min(max(GRID, 4 * (high - low) / max(float(scales.min()), 1e-3)), 4000))
    grid = np.linspace(low, high, steps)
    density = aggregated_density(means, scales, grid)
    log_ratio = np.log(np.maximum(density, 1e-300)) - (-0.5 * (grid**2 + np.log(2 * np.pi)))
    return max(0.0, float(np.trapezoid(density * log_ratio, grid)))


def latent_map(
    sample: LatentSample,
    method: MapMethod = "pca",
    seed: int = 0,
    label: str = "",
    labels: Sequence[str | float | None] | None = None,
) -> LatentMap:
    """Returns the map of the posterior means of some sentences.

    Arguments:
        sample: The sentences.
        method: `pca`, or `umap`, which needs a package.
        seed: Seeds UMAP.
        label: The name of the labels.
        labels: One label for each sentence of the test split.

    Raises:
        ConfigError: The method does not exist, or its package is missing.
        DataError: There are too few sentences for the method.
    """
    projection = fit_projection(sample.means, method, seed)
    plane = projection.apply(sample.means)
    points = tuple(
        MapPoint(
            x=round(float(plane[row, 0]), 3),
            y=round(float(plane[row, 1]), 3),
            text=shortened(text),
            words=int(sample.words[row]),
            rate=round(float(sample.rates[row]), 3),
            label=None if labels is None else labels[int(sample.places[row])],
        )
        for row, text in enumerate(sample.texts)
    )
    axes = projection.axis_names
    return LatentMap(method, axes, projection.note, points, sample.sentences, label)


def _normal(z: Array | float, mean: Array | float, scale: Array | float) -> Array:
    density = np.exp(-0.5 * ((z - mean) / scale) ** 2) / (np.sqrt(2 * np.pi) * scale)
    return np.asarray(density, np.float64)
