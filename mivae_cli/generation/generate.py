r"""Sentences from latents, and latents from sentences.

Shapes: N sentences, Z latent units.
"""

__all__ = [
    "PathName",
    "analogous",
    "encode_ids",
    "encode_texts",
    "generated",
    "interpolation",
    "prior_samples",
    "sentence_pair",
    "token_ids",
]

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ..choices import check_choice
from ..data.batches import ordered_batches
from ..data.prepared_corpus import TokenStore
from ..data.tokenizer import Tokenizer
from ..errors import DataError
from ..limits import (
    MAX_INTERPOLATION_STEPS,
    MAX_SCALE,
    MAX_SENTENCES,
    check_count,
    check_range,
    check_seed,
)
from ..models.latent import Posterior, Prior
from ..models.vae import VAE
from .decoding import AT_ONCE, Decoding, decode

PathName = Literal["slerp", "linear"]


def generated(
    model: VAE, tokenizer: Tokenizer, z: Tensor, decoding: Decoding, seed: int = 0
) -> Iterator[str]:
    """Yields one decoded sentence per latent (N, Z); the seed is for words that are drawn."""
    # another seed than that of `prior_samples`, so that words are independent of latents
    generator = torch.Generator().manual_seed(check_seed(seed) + 1)
    for part in z.split(AT_ONCE):
        for ids in decode(model, part, decoding, generator):
            yield tokenizer.decode(ids)


def sentence_pair(store: TokenStore, tokenizer: Tokenizer, seed: int) -> list[str]:
    """Returns two different sentences of the test split, drawn at random.

    Raises:
        DataError: The split has a single sentence.
    """
    if len(store) < 2:
        raise DataError("the test split has a single sentence: give the two to interpolate")
    chosen = np.random.default_rng(check_seed(seed)).choice(len(store), size=2, replace=False)
    return [tokenizer.decode(store.sentence(int(row))) for row in chosen]


def prior_samples(count: int, prior: Prior, seed: int) -> Tensor:
    r"""Returns draws :math:`z \sim p(z)`, with shape (count, Z).

    Raises:
        ConfigError: The count is below 1 or above 10,000,000.
    """
    count = check_count("the number of samples", count, 1, MAX_SENTENCES)
    return prior.sample(count, torch.Generator().manual_seed(check_seed(seed)))


def interpolation(start: Tensor, end: Tensor, steps: int, path: PathName) -> Tensor:
    r"""Returns latents (steps, Z) on a path from start to end, both included.

    Linear: :math:`(1 - t) a + t b`. Spherical (slerp), with :math:`\omega` the angle between
    a and b: :math:`[\sin((1 - t) \omega) \, a + \sin(t \omega) \, b] / \sin \omega`, which
    stays near the shell where a high-dimensional Gaussian has its mass.

    Raises:
        ConfigError: The number of steps is below 2 or above 100,000.
    """
    check_choice("path", path, PathName)
    steps = check_count("the number of steps", steps, 2, MAX_INTERPOLATION_STEPS)
    t = torch.linspace(0, 1, steps, device=start.device)[:, None]
    # from the half angle, which is accurate even if the cosine rounds to 1 or -1
    a, b = (torch.nn.functional.normalize(vector, dim=0) for vector in (start, end))
    angle = 2 * torch.atan2((a - b).norm(), (a + b).norm())
    # no arc is defined between (almost) parallel or antiparallel vectors
    if path == "linear" or torch.sin(angle) < 1e-4:
        return (1 - t) * start + t * end
    return (torch.sin((1 - t) * angle) * start + torch.sin(t * angle) * end) / torch.sin(angle)


def analogous(a: Tensor, b: Tensor, c: Tensor, scale: float = 1.0) -> Tensor:
    r"""Returns the latent that is to c as b is to a: :math:`c + t \, (b - a)`, with scale t.

    References:
        | Linguistic Regularities in Continuous Space Word Representations (Mikolov et al., 2013)

    Raises:
        ConfigError: The scale is below -1000 or above 1000.
    """
    check_range("the scale", scale, -MAX_SCALE, MAX_SCALE)  # keeps the result finite
    return c + scale * (b - a)


def token_ids(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Returns the token ids of N sentences, without white space at their ends.

    Raises:
        DataError: There are no sentences, or one is empty or not valid UTF-8.
    """
    if not texts:
        raise DataError("there are no sentences to encode")
    for number, text in enumerate(texts, start=1):
        if not text.strip():
            raise DataError(f"sentence {number} is empty")
        if any("\ud800" <= char <= "\udfff" for char in text):  # how Python decodes stray bytes
            raise DataError(f"sentence {number} is not UTF-8")
    return tokenizer.encode([text.strip() for text in texts])


@torch.inference_mode()
def encode_ids(model: VAE, ids: Sequence[list[int]]) -> Posterior:
    """Returns the posteriors of N sentences given as token ids, without dropout."""
    model.eval()
    rows, parts = [], []
    for indices, batch in ordered_batches(TokenStore.from_ids(ids), AT_ONCE):
        rows.append(torch.from_numpy(indices))
        parts.append(model.encode(batch.to(model.device)).posterior)
    return type(parts[0]).cat(parts)[torch.cat(rows).argsort().to(model.device)]


def encode_texts(
    model: VAE, tokenizer: Tokenizer, texts: Sequence[str], max_tokens: int
) -> Posterior:
    """Returns the posteriors of N sentences, of which at most max_tokens tokens are read.

    Raises:
        DataError: There are no sentences, or one is empty or not valid UTF-8.
    """
    return encode_ids(model, [row[:max_tokens] for row in token_ids(tokenizer, texts)])
