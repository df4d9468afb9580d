r"""Generation: samples, reconstructions and walks between sentences.

Shapes: N sentences, M = N times beam width, T tokens, V vocabulary, Z latent units.
"""

__all__ = [
    "PathName",
    "analogous",
    "encode_texts",
    "generated",
    "interpolation",
    "prior_samples",
    "sentence_pair",
]

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ..config.data import DataConfig
from ..data.batches import ordered_batches
from ..data.prepared_corpus import TokenStore
from ..data.tokenizer import Tokenizer
from ..errors import DataError
from ..limits import MAX_INTERPOLATION_STEPS, MAX_SCALE, MAX_SENTENCES, check_range
from ..models.latent import Posterior, Prior
from ..models.vae import VAE
from .decoding import AT_ONCE, Decoding, decode

PathName = Literal["slerp", "linear"]


def generated(
    model: VAE, tokenizer: Tokenizer, z: Tensor, decoding: Decoding, seed: int = 0
) -> Iterator[str]:
    """Yields the text of one sentence for each latent of z, with shape (N, Z)."""
    # words are not drawn from the very numbers that latents of the same seed are made of
    generator = torch.Generator().manual_seed(seed + 1)
    for part in z.split(AT_ONCE):
        for ids in decode(model, part, decoding, generator):
            yield tokenizer.decode(ids)


def sentence_pair(store: TokenStore, tokenizer: Tokenizer, seed: int) -> list[str]:
    """Picks two different sentences of a store, to walk between.

    Raises:
        DataError: The store has fewer than two.
    """
    if len(store) < 2:
        raise DataError("the test split has a single sentence: name two to walk between")
    chosen = np.random.default_rng(seed).choice(len(store), size=2, replace=False)
    return [tokenizer.decode(store.sentence(int(place))) for place in chosen]


def prior_samples(count: int, prior: Prior, seed: int) -> Tensor:
    r"""Draws :math:`z \sim p(z)`, with shape (count, Z).

    Raises:
        ConfigError: The count is below 1 or above 10,000,000.
    """
    check_range("the number of samples", count, 1, MAX_SENTENCES)
    return prior.sample(count, torch.Generator().manual_seed(seed))


def interpolation(start: Tensor, end: Tensor, steps: int, path: PathName) -> Tensor:
    r"""Returns latents on the way between two, both ends among them.

    Linear: :math:`(1 - t) a + t b`. Spherical (slerp), with :math:`\omega` the angle between
    a and b: :math:`[\sin((1 - t) \omega) \, a + \sin(t \omega) \, b] / \sin \omega`, which
    keeps to the shell where a high-dimensional Gaussian has its mass.

    Arguments:
        start: The first latent, with shape (Z,).
        end: The last latent, with shape (Z,).
        steps: The number of latents, from 2 to 100,000.
        path: The kind of way.

    Returns:
        The latents, with shape (steps, Z).

    Raises:
        ConfigError: The number of latents is out of its range.
    """
    check_range("the number of steps", steps, 2, MAX_INTERPOLATION_STEPS)
    t = torch.linspace(0, 1, steps, device=start.device)[:, None]
    # from the half angle, which stays exact where the cosine is rounded to almost 1 or -1
    a, b = (torch.nn.functional.normalize(vector, dim=0) for vector in (start, end))
    angle = 2 * torch.atan2((a - b).norm(), (a + b).norm())
    # Where the ends point (almost) the same or opposite ways, no arc is defined.
    if path == "linear" or torch.sin(angle) < 1e-4:
        return (1 - t) * start + t * end
    return (torch.sin((1 - t) * angle) * start + torch.sin(t * angle) * end) / torch.sin(angle)


def analogous(a: Tensor, b: Tensor, c: Tensor, scale: float = 1.0) -> Tensor:
    r"""Returns the latent that is to c as b is to a: :math:`c + t \, (b - a)`.

    References:
        | Linguistic Regularities in Continuous Space Word Representations (Mikolov et al., 2013)

    Arguments:
        a: Where the step begins, with shape (Z,).
        b: Where it ends, with shape (Z,).
        c: Where it is taken from, with shape (Z,).
        scale: How much t of the step is taken; negative, the other way.

    Returns:
        The latent, with shape (Z,).

    Raises:
        ConfigError: The scale is beyond 1000 either way: no latent is there.
    """
    check_range("the scale", scale, -MAX_SCALE, MAX_SCALE)  # finite numbers stay so
    return c + scale * (b - a)


@torch.inference_mode()
def encode_texts(
    model: VAE, tokenizer: Tokenizer, texts: Sequence[str], config: DataConfig
) -> Posterior:
    """Returns the posteriors of N sentences given as text, dropout off.

    Raises:
        DataError: A sentence is empty, or made of bytes that are not UTF-8.
    """
    model.eval()
    if not texts:
        raise DataError("there are no sentences to encode")
    for place, text in enumerate(texts, start=1):
        if not text.strip():
            raise DataError(f"sentence {place} is empty")
        if any("\ud800" <= char <= "\udfff" for char in text):  # how Python shows stray bytes
            raise DataError(f"sentence {place} is not UTF-8")
    ids = [row[: config.max_tokens] for row in tokenizer.encode([text.strip() for text in texts])]
    store = TokenStore.from_ids(ids)
    rows, parts = [], []
    for indices, batch in ordered_batches(store, AT_ONCE):
        rows.append(torch.from_numpy(indices))
        parts.append(model.encode(batch.to(model.device)).posterior)
    return type(parts[0]).cat(parts)[torch.cat(rows).argsort().to(model.device)]
