"""The posterior means of a corpus and its map, which grow block by block.

The first block is a random sample: it determines the map and the order of the latent units.
Encoding yields after every batch, so that a thread can answer requests in between.

Shapes: N sentences, Z latent units.
"""

__all__ = ["FIRST", "CorpusCodes", "UnitSummary"]

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..choices import MapMethod
from ..data.batches import collate
from ..evaluation.projection import (
    UMAP_AXES,
    UMAP_NOTE,
    PrincipalComponents,
    Projection,
    fit_projection,
)
from ..models.latent import Posterior
from ..models.vae import VAE
from .cache import cache_key, load_arrays, store_arrays
from .inverse import LatentMap
from .sentences import Sentences

FIRST = 1024  # sentences of the first block
BATCH = 64  # sentences encoded between two requests
PLACED = 512  # sentences placed on the map between two requests
MOST_ACTIVE = 16  # units that have sliders

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class UnitSummary:
    """A latent unit over the sentences of the first block."""

    unit: int  # counted from 1
    rate: float  # mean, in nats
    mean: float  # of posterior means
    deviation: float  # standard deviation of posterior means
    low: float  # smallest posterior mean
    high: float  # largest posterior mean


class CorpusCodes:
    """Vectors, rates and places of the sentences that are encoded so far.

    One thread runs `encode`; others may read the first `loaded` rows at any time.
    """

    def __init__(
        self,
        model: VAE,
        sentences: Sentences,
        method: MapMethod = "pca",
        *,
        weights: str = "",
        cache: Path | None = None,
        seed: int = 0,
    ) -> None:
        """Creates empty codes.

        Arguments:
            model: The model.
            sentences: The corpus, in random order.
            method: How the map is made.
            weights: Identifies the checkpoint in the cache.
            cache: The folder of cached maps; None: nothing is cached.
            seed: Seeds UMAP.
        """
        self.sentences, self.method, self.seed = sentences, method, seed
        self.total, self.loaded = len(sentences), 0
        self.cached = False
        """Whether the codes were read from the cache."""
        self._model, self._cache = model, cache
        self._key = cache_key(weights, sentences.digest, method, seed)
        size = model.latent_size
        self._vectors = np.zeros((self.total, size), np.float32)
        self._rates = np.zeros(self.total, np.float32)
        self._places = np.zeros((self.total, 2), np.float32)
        self._unit_rates = np.zeros(size, np.float32)
        self._projection: Projection | None = None

    @property
    def vectors(self) -> Floats:
        """The posterior means, with shape (loaded, Z)."""
        return self._vectors[: self.loaded]

    @property
    def rates(self) -> Floats:
        """The rates in nats, with shape (loaded,)."""
        return self._rates[: self.loaded]

    @property
    def places(self) -> Floats:
        """The places on the map, with shape (loaded, 2)."""
        return self._places[: self.loaded]

    @property
    def axis_names(self) -> tuple[str, str]:
        """Titles of the axes of the map."""
        known = self._projection
        return UMAP_AXES if known is None else known.axis_names

    @property
    def note(self) -> str:
        """What the map shows, in one sentence."""
        known = self._projection
        return UMAP_NOTE if known is None else known.note

    def map(self) -> LatentMap:
        """Returns the map of the sentences that are encoded so far."""
        linear = self._projection if isinstance(self._projection, PrincipalComponents) else None
        centre = self._vectors[: min(self.loaded, FIRST)].mean(axis=0, dtype=np.float64)
        return LatentMap(self.vectors, self.places, centre, linear)

    def units(self) -> list[UnitSummary]:
        """Returns the units with the highest rates, at most 16, sorted by rate."""
        first = self._vectors[: min(self.loaded, FIRST)]
        order = np.argsort(-self._unit_rates, kind="stable")[:MOST_ACTIVE]
        return [
            UnitSummary(
                int(unit) + 1,
                float(self._unit_rates[unit]),
                float(first[:, unit].mean()),
                float(first[:, unit].std()),
                float(first[:, unit].min()),
                float(first[:, unit].max()),
            )
            for unit in order
        ]

    def encode(self) -> Iterator[int]:
        """Encodes all sentences; yields `loaded` after every batch."""
        if self._read_cache():
            yield self.total
            return
        for start in range(0, self.total, FIRST):
            rows = np.arange(start, min(start + FIRST, self.total))
            posteriors: list[Posterior] = []
            by_length = rows[np.argsort(self.sentences.store.lengths[rows], kind="stable")]
            for at in range(0, len(rows), BATCH):
                part = by_length[at : at + BATCH]
                posteriors.append(self._posterior(part))
                self._vectors[part] = posteriors[-1].mean.numpy()
                self._rates[part] = posteriors[-1].rates().sum(dim=-1).numpy()
                yield self.loaded
            if self._projection is None:
                self._unit_rates[:] = type(posteriors[0]).cat(posteriors).unit_rates().numpy()
                self._projection = fit_projection(self._vectors[rows], self.method, self.seed)
            for part in np.array_split(rows, -(-len(rows) // PLACED)):
                self._places[part] = self._projection.apply(self._vectors[part])
                yield self.loaded
            self.loaded = int(rows[-1]) + 1  # last: other threads read the rows before it
            yield self.loaded
        self._write_cache()

    @torch.inference_mode()
    def _posterior(self, rows: NDArray[np.int64]) -> Posterior:
        batch = collate(self.sentences.store, rows).to(self._model.device)
        return self._model.encode(batch).posterior.cpu()

    def _read_cache(self) -> bool:
        if self._cache is None:
            return False
        shapes = {name: array.shape for name, array in self._arrays().items()}
        found = load_arrays(self._cache, self._key, shapes)
        if found is None:
            return False
        self._vectors, self._rates = found["vectors"], found["rates"]
        self._places, self._unit_rates = found["places"], found["unit_rates"]
        if self.method == "pca":  # of the same vectors, so it is the same
            self._projection = fit_projection(self._vectors[:FIRST], "pca")
        self.loaded, self.cached = self.total, True
        return True

    def _write_cache(self) -> None:
        if self._cache is not None:
            store_arrays(self._cache, self._key, self._arrays())

    def _arrays(self) -> dict[str, Floats]:
        return {
            "vectors": self._vectors,
            "rates": self._rates,
            "places": self._places,
            "unit_rates": self._unit_rates,
        }
