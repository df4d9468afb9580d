"""A trained model: encode sentences, decode latents, and generate text.

Shapes: N sentences, Z latent units.
"""

__all__ = ["TrainedModel"]

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from ..data.records import TextRecords
from ..data.tokenizer import UNKNOWN, Tokenizer
from ..errors import CheckpointError, ConfigError, DataError, cut
from ..estimators.io.arrays import numbers
from ..generation.decoding import Decoding
from ..generation.generate import (
    PathName,
    analogous,
    encode_ids,
    generated,
    interpolation,
    prior_samples,
    token_ids,
)
from ..generation.latent_files import TextRows
from ..limits import MAX_SENTENCES, check_count, check_seed
from ..models.vae import VAE
from .codes import Codes
from .texts import Sentences, strings

Array = NDArray[np.float32]
GREEDY = Decoding(beam=1)
DRAWN = Decoding(temperature=0.8)


class TrainedModel:
    """A model with its vocabulary.

    A language model (`latent_size` 0) can only `sample`; other methods raise CheckpointError.
    """

    def __init__(self, model: VAE, tokenizer: Tokenizer, max_tokens: int) -> None:
        self._model, self._tokenizer, self._max_tokens = model, tokenizer, max_tokens

    @property
    def latent_size(self) -> int:
        """The number Z of latent units; 0 for a language model."""
        return self._model.latent_size

    def encode(self, sentences: Sentences) -> Codes:
        """Returns the posteriors q(z|x) of sentences.

        Arguments:
            sentences: N strings, or the records of a file (`read_file`).

        Raises:
            DataError: There are no sentences, or one is empty or not valid UTF-8.

        >>> codes = run.encode(["a man rides a horse ."])
        >>> codes.mean.shape
        (1, 4)
        """
        if isinstance(sentences, TextRecords):
            records = list(sentences)
            codes = self.encode([record.text for record in records])
            return replace(codes, rows=TextRows.of(records, sentences.header))
        self._require_latents()
        ids, longest = token_ids(self._tokenizer, list(strings(sentences))), self._max_tokens
        posterior = encode_ids(self._model, [row[:longest] for row in ids]).cpu()
        return Codes(posterior, truncated=sum(len(row) > longest for row in ids))

    def decode(
        self, latents: ArrayLike, *, decoding: Decoding = GREEDY, seed: int = 0
    ) -> list[str]:
        """Returns one sentence per latent vector.

        Arguments:
            latents: Vectors with shape (N, Z), or one with shape (Z,).
            decoding: How words are chosen; by default greedily.
            seed: Seeds words that are drawn.

        Raises:
            DataError: The latents have another shape, or are not finite numbers.

        >>> run.decode(codes.mean) == run.reconstruct(["a man rides a horse ."])
        True
        """
        return list(self.iter_decode(latents, decoding=decoding, seed=seed))

    def iter_decode(
        self, latents: ArrayLike, *, decoding: Decoding = GREEDY, seed: int = 0
    ) -> Iterator[str]:
        """Yields the sentences of `decode` as they are decoded, for many latents.

        >>> next(run.iter_decode(run.sample_latents(1000))) in run.decode(run.sample_latents(1000))
        True
        """
        chosen, z = self._with_length(decoding), self._latents(latents)
        return generated(self._model, self._tokenizer, z, chosen, check_seed(seed))

    def sample(self, n: int = 10, *, decoding: Decoding = DRAWN, seed: int = 0) -> list[str]:
        """Returns n sentences decoded from latents drawn from the prior.

        Arguments:
            n: The number of sentences.
            decoding: How words are chosen; by default drawn at temperature 0.8.
            seed: Seeds latents and words.

        >>> run.sample(2, seed=1, decoding=mivae.Decoding(beam=4)) == run.sample(2, seed=0)
        False
        """
        return self.decode(self.sample_latents(n, seed), decoding=decoding, seed=seed)

    def sample_latents(self, n: int = 10, seed: int = 0) -> Array:
        """Returns n draws from the prior p(z), with shape (n, Z).

        >>> run.sample_latents(3).shape
        (3, 4)
        """
        return np.asarray(prior_samples(n, self._model.prior, seed).numpy())

    def reconstruct(
        self, sentences: Sentences, *, decoding: Decoding = GREEDY, seed: int = 0
    ) -> list[str]:
        """Returns each sentence decoded from its posterior mean.

        Arguments:
            sentences: N strings, or the records of a file (`read_file`).
            decoding: How words are chosen; by default greedily.
            seed: Seeds words that are drawn.

        >>> len(run.reconstruct(["a man rides a horse .", "two dogs play ."]))
        2
        """
        return self.decode(self.encode(sentences).mean, decoding=decoding, seed=seed)

    def interpolate(
        self,
        a: str | ArrayLike,
        b: str | ArrayLike,
        steps: int = 7,
        *,
        path: PathName = "slerp",
        decoding: Decoding = GREEDY,
        seed: int = 0,
    ) -> list[str]:
        """Returns sentences on a path in latent space between a and b, both ends included.

        Arguments:
            a: A sentence (its posterior mean is used), or a vector with shape (Z,).
            b: The same.
            steps: The number of sentences, at least 2.
            path: `slerp` (an arc) or `linear`.
            decoding: How words are chosen; by default greedily.
            seed: Seeds words that are drawn.

        >>> len(run.interpolate("a man rides a horse .", "two dogs play .", steps=5))
        5
        """
        latents = self.interpolate_latents(a, b, steps, path)
        return self.decode(latents, decoding=decoding, seed=seed)

    def interpolate_latents(
        self, a: str | ArrayLike, b: str | ArrayLike, steps: int = 7, path: PathName = "slerp"
    ) -> Array:
        """Returns the latents that `interpolate` decodes, with shape (steps, Z).

        >>> run.interpolate_latents("a man rides a horse .", [0.0] * run.latent_size, 3).shape
        (3, 4)
        """
        start, end = self._points(a, b)
        return self._projected(interpolation(start, end, steps, path))

    def analogy(
        self,
        a: str | ArrayLike,
        b: str | ArrayLike,
        c: str | ArrayLike,
        n: int = 1,
        *,
        scale: float = 1.0,
        decoding: Decoding | None = None,
        seed: int = 0,
    ) -> list[str]:
        """Returns n sentences decoded from c + scale (b - a): what is to c as b is to a.

        Arguments:
            a: A sentence (its posterior mean is used), or a vector with shape (Z,).
            b: The same.
            c: The same.
            n: The number of sentences.
            scale: A factor for the step from a to b.
            decoding: How words are chosen; by default greedily, or drawn at temperature 0.8 if
                n is above 1.
            seed: Seeds words that are drawn.

        >>> len(run.analogy("a man runs .", "two men run .", "a dog sleeps ."))
        1
        """
        latents = self.analogy_latents(a, b, c, scale, n)
        decoding = decoding or (GREEDY if n == 1 else DRAWN)
        return self.decode(latents, decoding=decoding, seed=seed)

    def analogy_latents(
        self,
        a: str | ArrayLike,
        b: str | ArrayLike,
        c: str | ArrayLike,
        scale: float = 1.0,
        n: int = 1,
    ) -> Array:
        """Returns the latent that `analogy` decodes, n times, with shape (n, Z).

        >>> run.analogy_latents("a man runs .", "two men run .", "a dog sleeps .").shape
        (1, 4)
        """
        n = check_count("the number of sentences", n, 1, MAX_SENTENCES)
        start, end, origin = self._points(a, b, c)
        latent = self._projected(analogous(start, end, origin, scale))
        return np.broadcast_to(latent, (n, self.latent_size))

    def unknown_words(self, sentences: Sentences) -> list[str]:
        """Returns the words that the vocabulary lacks, once each; none with byte-pair encoding.

        >>> run.unknown_words(["one xylophone"])
        ['xylophone']
        """
        texts = list(strings(sentences))
        if not self._tokenizer.by_word:
            return []
        words = [word for text in texts for word in text.split()]
        ids = chain.from_iterable(token_ids(self._tokenizer, texts))
        unknown = (word for word, index in zip(words, ids, strict=True) if index == UNKNOWN)
        return list(dict.fromkeys(unknown))

    def _with_length(self, decoding: Decoding) -> Decoding:
        """Returns a decoding with a maximum length, by default the run's."""
        if not isinstance(decoding, Decoding):
            raise ConfigError(f"decoding is {cut(repr(decoding))}, but must be a mivae.Decoding")
        if decoding.max_tokens is None:
            decoding = replace(decoding, max_tokens=self._max_tokens)
        return decoding

    def _require_latents(self) -> None:
        if not self.latent_size:
            raise CheckpointError("this run is a language model: it has no latent units")

    def _points(self, *points: str | ArrayLike) -> list[torch.Tensor]:
        """Returns vectors with shape (Z,): the posterior means of sentences, or latents as given."""
        texts = [point for point in points if isinstance(point, str)]
        means = iter(self.encode(texts).posterior.mean if texts else ())
        found = [
            next(means)[None] if isinstance(point, str) else self._latents(point)
            for point in points
        ]
        for latents in found:
            if len(latents) != 1:
                raise DataError(f"a point must be one latent, not {len(latents):,}")
        return [latents[0] for latents in found]

    def _projected(self, latents: torch.Tensor) -> Array:
        return np.asarray(self._model.prior.projected(latents).numpy())

    def _latents(self, values: ArrayLike) -> torch.Tensor:
        """Returns latents with shape (N, Z), checked."""
        with np.errstate(over="ignore"):  # values beyond the range of float32 become infinite
            latents = np.atleast_2d(numbers(values, "latents").astype(np.float32))
        if latents.ndim != 2 or latents.shape[1] != self.latent_size:
            raise DataError(
                f"the latents have shape {latents.shape}: expected (N, {self.latent_size})"
            )
        if not np.isfinite(latents).all():
            raise DataError("the latents contain NaN or numbers outside the range of float32")
        return torch.from_numpy(latents)
