"""Answers to the requests of the page, as JSON objects; safe to call from several threads.

Shapes: M latents, Z latent units, N sentences that are encoded so far.
"""

__all__ = ["Explorer"]

from collections.abc import Collection
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..choices import MapMethod
from ..errors import DataError, MivaeError, reason
from ..generation.generate import analogous, interpolation, prior_samples
from ..generation.vary import Variation
from . import requests as ask
from .codes import CorpusCodes
from .colours import Colours
from .inverse import LatentMap
from .model import ExploredModel, at_mean
from .neighbours import Metric, nearest_vectors
from .overview import About, overview
from .sentences import Sentences, json_label
from .worker import Decoded, ModelWorker

Latents = NDArray[np.float32]
Answer = dict[str, Any]
NEIGHBOURS = 8


class Explorer:
    """A model, a corpus on a map, and the thread that owns the model.

    Arguments:
        model: The model.
        sentences: The corpus, in random order.
        about: What the page says of the run.
        method: How the map is made.
        cache: The folder of cached maps; None: nothing is cached.
    """

    def __init__(
        self,
        model: ExploredModel,
        sentences: Sentences,
        about: About,
        method: MapMethod = "pca",
        cache: Path | None = None,
    ) -> None:
        self.about, self.sentences, self._model = about, sentences, model
        self.codes = CorpusCodes(model.vae, sentences, method, weights=model.weights, cache=cache)
        steps = self.codes.encode()
        while not self.codes.loaded:
            next(steps)
        self.colours = Colours(sentences, self.codes)
        self._units = self.codes.units()
        self.worker = ModelWorker(model.decode, steps, model.start)
        self._latest_map = self.codes.map()

    def close(self) -> None:
        """Ends the thread of the model."""
        self.worker.close()

    def finish_encoding(self) -> None:
        """Waits until the whole corpus is encoded.

        Raises:
            MivaeError: Encoding failed.
        """
        self.worker.finished.wait()
        self.check_encoding()

    def check_encoding(self) -> None:
        """Raises MivaeError if encoding failed."""
        problem = self.worker.problem
        if problem is not None:
            count = f"{self.codes.loaded:,} of {self.codes.total:,}"
            raise MivaeError(f"encoding stopped after {count} sentences: {reason(problem)}")

    @property
    def map(self) -> LatentMap:
        """The map of the sentences that are encoded so far."""
        if len(self._latest_map.vectors) != self.codes.loaded:
            self._latest_map = self.codes.map()
        return self._latest_map

    def overview(self) -> Answer:
        """Returns what the page shows first."""
        return overview(self.about, self.sentences, self.codes, self.colours, self._metric)

    def sentence(self, request: ask.SentenceRequest) -> Answer:
        """Returns a sentence of the corpus, its reconstruction and its neighbours."""
        index = self._checked(request.index)
        latent = self.codes.vectors[index]
        [decoded] = self.worker.decode(latent[None])
        found = self._stored(index)
        found["reconstruction"] = decoded.text
        found["neighbours"] = self._neighbours(latent, {self.sentences.texts[index]})
        return found

    def place(self, request: ask.PlaceRequest) -> Answer:
        """Returns where a typed sentence is on the map, its reconstruction and its neighbours."""
        text = request.text.strip()
        posterior = self.worker.call(lambda: self._model.encode([text]))
        latent = np.asarray(posterior.mean[0].numpy())
        [decoded] = self.worker.decode(latent[None])
        return {
            **self._rows([text], latent[None])[0],
            "rate": float(posterior.rates().sum()),
            "length": len(text.split()),
            "unknown": self._model.unknown_words(text),
            "reconstruction": decoded.text,
            "neighbours": self._neighbours(latent, {text}),
        }

    def point(self, request: ask.PointRequest) -> Answer:
        """Returns the sentence decoded from a place on the map, unless it is superseded."""
        place = (request.x, request.y)
        known = self.map
        decoded = self.worker.live(
            request.page, "point", request.sequence, lambda: known.latent(place)
        )
        if decoded is None:
            return {"sequence": request.sequence, "superseded": True}
        nearest = known.nearest_place(place)
        apart = np.linalg.norm(known.places[nearest] - np.asarray(place, np.float64))
        neighbours = self._neighbours(known.latent(place), ()) if request.neighbours else None
        return {
            "sequence": request.sequence,
            "neighbours": neighbours,
            "text": decoded.text,
            "x": request.x,
            "y": request.y,
            "nearest": {
                "index": nearest,
                "text": self.sentences.texts[nearest],
                "distance": float(apart),
            },
        }

    def decode(self, request: ask.DecodeRequest) -> Answer:
        """Returns the sentence of an end with some units replaced, unless it is superseded."""
        latent = self.latent(request.start).copy()
        for unit, value in request.units.items():
            if not 1 <= unit <= len(latent):
                raise DataError(f"there is no unit {unit}: the model has {len(latent)} units")
            latent[unit - 1] = value
        decoded = self.worker.live(request.page, "units", request.sequence, lambda: latent)
        if decoded is None:
            return {"sequence": request.sequence, "superseded": True}
        row = self._rows([decoded.text], latent[None])[0]
        units = {str(each.unit): float(latent[each.unit - 1]) for each in self._units}
        return {**row, "sequence": request.sequence, "units": units}

    def interpolate(self, request: ask.InterpolateRequest) -> Answer:
        """Returns the sentences on a path, with t and log p(x|z) in nats."""
        ends = [torch.from_numpy(self.latent(end)) for end in (request.start, request.end)]
        latents = interpolation(ends[0], ends[1], request.steps, request.method).numpy()
        decoded = self.worker.decode(latents, request.temperature, request.seed)
        likelihoods = self._likelihoods(decoded, latents)
        rows = self._rows([row.text for row in decoded], latents)
        steps = len(rows) - 1
        for place, (row, likelihood) in enumerate(zip(rows, likelihoods, strict=True)):
            row |= {"t": place / steps, "log_likelihood": likelihood}
        return {"rows": rows}

    def vary(self, request: ask.VaryRequest) -> Answer:
        """Returns sentences from samples around an end, with their distances from it."""
        start = request.start
        latent = torch.from_numpy(self.latent(start))[None]
        if isinstance(start, ask.TextEnd):
            text = start.text.strip()
        elif isinstance(start, ask.IndexEnd):
            text = self.sentences.texts[start.index]
        else:  # as wide as the posterior of the nearest sentence
            [(nearest, _)] = self._nearest(latent[0].numpy(), 1)
            text = self.sentences.texts[nearest]

        def variants() -> list[Variation]:
            posterior = at_mean(self._model.encode([text]), latent)
            how = (request.count, request.spread, request.temperature, request.seed)
            return self._model.vary(posterior, *how)

        found = self.worker.call(variants)
        rows = self._rows([each.text for each in found], np.stack([each.latent for each in found]))
        for row, each in zip(rows, found, strict=True):
            row |= {"distance": each.distance, "count": each.count}
        return {"rows": rows}

    def analogy(self, request: ask.AnalogyRequest) -> Answer:
        """Returns what is to c as b is to a, and the places of all three."""
        texts = [text.strip() for text in (request.a, request.b, request.c)]
        means = self.worker.call(lambda: self._model.encode(texts)).mean
        latent = analogous(means[0], means[1], means[2])[None].numpy()
        decoded = self.worker.decode(latent, request.temperature, request.seed)
        ends = self._rows(texts, np.asarray(means.numpy()))
        return {
            "rows": self._rows([row.text for row in decoded], latent),
            "ends": dict(zip("abc", ends, strict=True)),
        }

    def sample(self, request: ask.SampleRequest) -> Answer:
        """Returns sentences decoded from draws from the prior."""
        prior = self._model.vae.prior
        latents = prior_samples(request.count, prior, request.seed).numpy()
        decoded = self.worker.decode(latents, request.temperature, request.seed)
        return {"rows": self._rows([row.text for row in decoded], latents)}

    def search(self, request: ask.SearchRequest) -> Answer:
        """Returns the encoded sentences that contain a text, in any case."""
        query, loaded = request.query.casefold(), self.codes.loaded
        found = [index for index, text in enumerate(self._folded[:loaded]) if query in text]
        rows = [self._stored(index) for index in found[: request.limit]]
        return {"total": len(found), "indices": found, "rows": rows}

    def chosen(self, request: ask.SentencesRequest) -> Answer:
        """Returns the sentences with the given numbers."""
        return {"rows": [self._stored(self._checked(index)) for index in request.indices]}

    def latent(self, end: ask.End) -> Latents:
        """Returns the latent of an end, with shape (Z,)."""
        match end:
            case ask.IndexEnd():
                return np.array(self.codes.vectors[self._checked(end.index)])
            case ask.TextEnd():
                text = end.text
                mean = self.worker.call(lambda: self._model.encode([text])).mean[0]
                return np.asarray(mean.numpy())
            case ask.PlaceEnd():
                latent: Latents = self.map.latent((end.x, end.y))
                return latent
            case ask.PriorEnd():
                return np.zeros(self._model.vae.latent_size, np.float32)

    @cached_property
    def _folded(self) -> list[str]:
        return [text.casefold() for text in self.sentences.texts]

    @cached_property
    def _metric(self) -> Metric:
        return "cosine" if self._model.spherical else "euclidean"

    def _checked(self, index: int) -> int:
        if index >= self.codes.loaded:
            raise DataError(
                f"there is no sentence {index}: {self.codes.loaded} sentences are on the map"
            )
        return index

    def _stored(self, index: int) -> Answer:
        """Returns a sentence of the corpus with what is known of it."""
        x, y = self.codes.places[index].tolist()
        lines = self.sentences.lines
        return {
            "index": index,
            "text": self.sentences.texts[index],
            "x": x,
            "y": y,
            "line": None if lines is None else int(lines[index]),
            "length": int(self.colours.lengths[index]),
            "rate": float(self.codes.rates[index]),
            "labels": {
                label.name: json_label(label.values[index]) for label in self.sentences.labels
            },
        }

    def _rows(self, texts: list[str], latents: Latents) -> list[Answer]:
        inside = self._model.projected(torch.from_numpy(np.ascontiguousarray(latents)))
        places = self.map.place(inside.numpy()).tolist()
        return [
            {"index": None, "text": text, "x": x, "y": y}
            for text, (x, y) in zip(texts, places, strict=True)
        ]

    def _nearest(
        self, latent: Latents, count: int, skipped: Collection[str] = ()
    ) -> list[tuple[int, float]]:
        vectors, texts = self.codes.vectors, self.sentences.texts
        return nearest_vectors(vectors, latent, self._metric, texts, count, skipped)

    def _neighbours(self, latent: Latents, skipped: Collection[str]) -> list[Answer]:
        rows = []
        for index, distance in self._nearest(latent, NEIGHBOURS, skipped):
            x, y = self.codes.places[index].tolist()
            text = self.sentences.texts[index]
            rows.append({"index": index, "text": text, "x": x, "y": y, "distance": distance})
        return rows

    def _likelihoods(self, decoded: list[Decoded], latents: Latents) -> list[float]:
        return self.worker.call(lambda: self._model.log_likelihoods(decoded, latents))
