r"""Nearest neighbours of a sentence in latent space, in one pass over any number of sentences.

The query sentence has the posterior :math:`q = \mathcal{N}(\mu, \mathrm{diag}\, \sigma^2)`, and
another sentence :math:`q' = \mathcal{N}(\mu', \mathrm{diag}\, \sigma'^2)`.

Shapes: N sentences, B sentences of a block, Z latent units.
"""

__all__ = ["Neighbour", "as_read", "distances", "encoded_blocks", "nearest", "stored_texts"]

import math
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple, assert_never

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, softplus

from ..choices import Distance
from ..data.ingestion import chunks
from ..data.prepared_corpus import TokenStore
from ..data.tokenizer import Tokenizer
from ..errors import ConfigError
from ..models.latent import DiagonalGaussian, Posterior
from ..models.vae import VAE
from .generate import encode_texts

BLOCK = 8192  # sentences encoded before they are compared


class Neighbour(NamedTuple):
    """A sentence and its distance to the query."""

    distance: float
    text: str


def nearest(
    query: Posterior,
    blocks: Iterable[tuple[list[str], Posterior]],
    by: Distance = "mean",
    count: int = 10,
    skipped: Collection[str] = (),
) -> list[Neighbour]:
    """Returns the sentences with the smallest `distances`, nearest first.

    Duplicates are returned once. At equal distances, earlier sentences come first. Memory holds
    one block and the sentences found so far.

    Arguments:
        query: One posterior, with shape (1, Z).
        blocks: Batches of B texts and their posteriors.
        by: The distance.
        count: Maximum number of sentences.
        skipped: Texts to leave out, such as the query.
    """
    found: list[Neighbour] = []
    for texts, posterior in blocks:
        apart = distances(query, posterior, by)
        limit = found[-1].distance if len(found) == count else math.inf
        seen = {*skipped, *(neighbour.text for neighbour in found)}
        fresh: list[Neighbour] = []
        for place in apart.argsort(stable=True).tolist():
            candidate = Neighbour(float(apart[place]), texts[place])
            if candidate.distance >= limit or len(fresh) == count:
                break
            if candidate.text not in seen:
                seen.add(candidate.text)
                fresh.append(candidate)
        found = sorted(found + fresh, key=lambda neighbour: neighbour.distance)[:count]
    return found


def distances(query: Posterior, others: Posterior, by: Distance) -> Tensor:
    r"""Returns the distances of B posteriors to a query, in double precision, on the CPU.

    | mean           :math:`\lVert \mu - \mu' \rVert`
    | cosine         :math:`1 - \mu \cdot \mu' / (\lVert \mu \rVert \lVert \mu' \rVert)`, or 1
      if either mean is 0
    | bhattacharyya  :math:`-\ln \int \sqrt{q(z) \, q'(z)} \, dz`, in nats

    An inactive unit has the same mean and scale for every sentence, so it adds nothing to any of
    these distances. It would if units were standardised first, so they are not.

    The Bhattacharyya distance also weights each unit by the encoder's precision. It is 0 for equal
    posteriors, and large if no z is likely under both. In practice all three agree; the default is
    the simplest.

    Raises:
        ConfigError: `bhattacharyya` with posteriors that are not Gaussian.
    """
    match by:
        case "mean":
            return (_double(query.mean) - _double(others.mean)).square().sum(dim=-1).sqrt()
        case "cosine":
            cosines: Tensor = cosine_similarity(_double(query.mean), _double(others.mean), dim=-1)
            return (1 - cosines).clamp(min=0)
        case "bhattacharyya":
            if not (isinstance(query, DiagonalGaussian) and isinstance(others, DiagonalGaussian)):
                raise ConfigError(
                    "bhattacharyya needs Gaussian posteriors; use cosine for this run"
                )
            return _bhattacharyya(query, others)
        case _:
            assert_never(by)


def encoded_blocks(
    model: VAE, tokenizer: Tokenizer, texts: Iterable[str], max_tokens: int
) -> Iterator[tuple[list[str], Posterior]]:
    """Yields texts with their posteriors, in blocks of limited length.

    Raises:
        DataError: A text is empty or not valid UTF-8.
    """
    for chunk in chunks(enumerate(texts, start=1)):
        for start in range(0, len(chunk.sentences), BLOCK):
            block = chunk.sentences[start : start + BLOCK]
            yield block, encode_texts(model, tokenizer, block, max_tokens)


def stored_texts(store: TokenStore, tokenizer: Tokenizer) -> Iterator[str]:
    """Returns the sentences of a store as text."""
    return (tokenizer.decode(store.sentence(place)) for place in range(len(store)))


def as_read(tokenizer: Tokenizer, text: str, max_tokens: int) -> str:
    """Returns a text as a corpus stores it: truncated, with unknown words replaced."""
    [ids] = tokenizer.encode([text.strip()])
    return tokenizer.decode(ids[:max_tokens])


def _bhattacharyya(query: DiagonalGaussian, others: DiagonalGaussian) -> Tensor:
    r"""Returns the Bhattacharyya distances between Gaussians, with shape (B,).

    .. math:: \frac{(\mu - \mu')^2}{4 (\sigma^2 + \sigma'^2)}
        + \frac{1}{2} \ln \frac{\sigma^2 + \sigma'^2}{2 \sigma \sigma'}
    """
    mean, log_scale = _double(query.mean), _double(query.log_scale)
    other_mean, other_log_scale = _double(others.mean), _double(others.log_scale)
    log_variances = torch.logaddexp(2 * log_scale, 2 * other_log_scale)
    squares = (mean - other_mean).square() * (-log_variances).exp()
    # the ratio of scales is cosh(log s - log s'), whose logarithm is exactly 0 for equal scales
    ratio = 2 * (log_scale - other_log_scale).abs()
    log_cosh = ratio / 2 + softplus(-ratio) - math.log(2)
    return (0.25 * squares + 0.5 * log_cosh).sum(dim=-1)


def _double(values: Tensor) -> Tensor:
    """Returns the values in double precision, on the CPU: some devices lack it."""
    return values.cpu().double()
