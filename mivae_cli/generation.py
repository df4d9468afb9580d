r"""Generation: samples, reconstructions and walks between sentences.

Shapes: N sentences, M = N times beam width, T tokens, V vocabulary, Z latent units.
"""

__all__ = [
    "VECTOR_FORMATS",
    "Decoding",
    "PathName",
    "decode",
    "encode_texts",
    "generated",
    "interpolation",
    "prior_samples",
    "sentence_pair",
    "write_vectors",
]

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from .config import DataConfig
from .data.batches import ordered_batches
from .data.store import TokenStore
from .data.tokenizer import BOUNDARY, UNKNOWN, Tokenizer
from .errors import ConfigError, DataError
from .models.latent import DiagonalGaussian
from .models.vae import VAE

PathName = Literal["slerp", "linear"]
VECTOR_FORMATS = (".npz", ".safetensors", ".npy")
AT_ONCE = 256  # sentences decoded side by side


@dataclass(frozen=True)
class Decoding:
    """How words are chosen: drawn at a temperature, greedily, or by beam search.

    Raises:
        ConfigError: A setting is out of its range.
    """

    temperature: float = 1.0
    top_k: int = 0  # keep the k likeliest words; 0: all
    top_p: float = 1.0  # keep the likeliest words that make up this share
    beam: int = 0  # hypotheses; 0: no beam search, 1: greedy
    max_tokens: int = 100

    def __post_init__(self) -> None:
        if not 0 < self.temperature < math.inf:
            raise ConfigError("the temperature must be above 0 (use --greedy for its limit)")
        if self.top_k < 0 or self.beam < 0:
            raise ConfigError("top-k and beam must not be negative")
        if not 0 < self.top_p <= 1:
            raise ConfigError("top-p must be above 0 and at most 1")
        if self.max_tokens < 1:
            raise ConfigError("a sentence must be allowed one token at least")


@torch.inference_mode()
def decode(
    model: VAE, z: Tensor, decoding: Decoding, generator: torch.Generator | None = None
) -> list[list[int]]:
    """Returns the ids of one sentence for each latent, without boundaries.

    The unknown word is never generated, nor an empty sentence.

    Arguments:
        model: The model.
        z: The latents, with shape (N, Z).
        decoding: How words are chosen.
        generator: Draws the words, where they are drawn.
    """
    model.eval()
    sentences: list[list[int]] = []
    if not len(z):
        return sentences
    for part in z.to(model.device).split(AT_ONCE):
        if decoding.beam:
            tokens = _beam(model, part, decoding)
        else:
            tokens = _draw(model, part, decoding, generator)
        sentences += [_until_boundary(row) for row in tokens.tolist()]
    return sentences


def generated(
    model: VAE, tokenizer: Tokenizer, z: Tensor, decoding: Decoding, seed: int = 0
) -> Iterator[str]:
    """Yields the text of one sentence for each latent of z, with shape (N, Z)."""
    generator = torch.Generator().manual_seed(seed)
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


def write_vectors(path: Path, posterior: DiagonalGaussian) -> None:
    """Writes means and scales, (N, Z) each, to .npz or .safetensors; .npy holds the means.

    Raises:
        ConfigError: The file cannot be written.
    """
    mean, scale = posterior.mean.cpu().contiguous(), posterior.scale.cpu().contiguous()
    try:
        match path.suffix:
            case ".npz":
                np.savez(path, mean=mean.numpy(), scale=scale.numpy())
            case ".npy":
                np.save(path, mean.numpy())
            case _:
                save_file({"mean": mean, "scale": scale}, str(path))
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"cannot write '{path}': {error}") from error


def prior_samples(count: int, latent_size: int, seed: int) -> Tensor:
    r"""Draws :math:`z \sim \mathcal{N}(0, I)`, with shape (count, Z)."""
    return torch.randn(count, latent_size, generator=torch.Generator().manual_seed(seed))


def interpolation(start: Tensor, end: Tensor, steps: int, path: PathName) -> Tensor:
    r"""Returns latents on the way between two, both ends among them.

    Linear: :math:`(1 - t) a + t b`. Spherical (slerp), with :math:`\omega` the angle between
    a and b: :math:`[\sin((1 - t) \omega) \, a + \sin(t \omega) \, b] / \sin \omega`, which
    keeps to the shell where a high-dimensional Gaussian has its mass.

    Arguments:
        start: The first latent, with shape (Z,).
        end: The last latent, with shape (Z,).
        steps: The number of latents, at least 2.
        path: The kind of way.

    Returns:
        The latents, with shape (steps, Z).
    """
    t = torch.linspace(0, 1, steps, device=start.device)[:, None]
    # from the half angle, which stays exact where the cosine is rounded to almost 1 or -1
    a, b = (torch.nn.functional.normalize(vector, dim=0) for vector in (start, end))
    angle = 2 * torch.atan2((a - b).norm(), (a + b).norm())
    # Where the ends point (almost) the same or opposite ways, no arc is defined.
    if path == "linear" or torch.sin(angle) < 1e-4:
        return (1 - t) * start + t * end
    return (torch.sin((1 - t) * angle) * start + torch.sin(t * angle) * end) / torch.sin(angle)


@torch.inference_mode()
def encode_texts(
    model: VAE, tokenizer: Tokenizer, texts: Sequence[str], config: DataConfig
) -> DiagonalGaussian:
    """Returns the posteriors of sentences given as text, dropout off, with shape (N, Z).

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
    return DiagonalGaussian.cat(parts)[torch.cat(rows).argsort().to(model.device)]


def _draw(model: VAE, z: Tensor, decoding: Decoding, generator: torch.Generator | None) -> Tensor:
    """Draws sentences word by word, with shape (N, T)."""
    state = model.decoder.start(z)
    previous = torch.full((len(z),), BOUNDARY, device=z.device)
    finished = torch.zeros(len(z), dtype=torch.bool, device=z.device)
    words: list[Tensor] = []
    while len(words) < decoding.max_tokens and not finished.all():
        log_probs, state = model.decoder.step(previous, state)
        probs = _shaped(_allowed(log_probs, first=not words), decoding).cpu()
        drawn = torch.multinomial(probs, 1, generator=generator)[:, 0].to(z.device)
        previous = drawn.masked_fill(finished, BOUNDARY)
        finished = finished | (previous == BOUNDARY)
        words.append(previous)
    return torch.stack(words, dim=1)


def _beam(model: VAE, z: Tensor, decoding: Decoding) -> Tensor:
    """Keeps the likeliest hypotheses a sentence and returns the best, with shape (N, T)."""
    count, width = len(z), decoding.beam
    state = model.decoder.start(z.repeat_interleave(width, dim=0))  # of M
    words = torch.full((count, width, 1), BOUNDARY, device=z.device)
    scores = torch.full((count, width), -math.inf, device=z.device)
    scores[:, 0] = 0.0  # all hypotheses are the same at first
    finished = torch.zeros(count, width, dtype=torch.bool, device=z.device)
    for length in range(decoding.max_tokens):
        log_probs, state = model.decoder.step(words[..., -1].flatten(), state)
        log_probs = _allowed(log_probs, first=length == 0).view(count, width, -1)
        # a finished hypothesis goes on with further boundaries, at no cost
        stay = torch.full_like(log_probs, -math.inf)
        stay[..., BOUNDARY] = 0.0
        log_probs = torch.where(finished[..., None], stay, log_probs)
        candidates = (scores[..., None] + log_probs).flatten(1)  # (N, width V)
        scores, chosen = candidates.topk(width, dim=1)
        parent = chosen // log_probs.shape[-1]  # (N, width)
        word = chosen % log_probs.shape[-1]
        words = torch.cat(
            [words.gather(1, parent[..., None].expand(-1, -1, length + 1)), word[..., None]], dim=2
        )
        finished = word == BOUNDARY
        if finished.all():
            break
        rows = (torch.arange(count, device=z.device)[:, None] * width + parent).flatten()
        state = state[rows]
    return words[:, 0, 1:]


def _allowed(log_probs: Tensor, first: bool) -> Tensor:
    log_probs[:, UNKNOWN] = -math.inf
    if first:
        log_probs[:, BOUNDARY] = -math.inf
    return log_probs


def _shaped(log_probs: Tensor, decoding: Decoding) -> Tensor:
    """Applies temperature, top-k and top-p, and returns probabilities of shape (N, V)."""
    # The likeliest word is put at 0 first, so that the lowest temperatures overflow nothing.
    log_probs = log_probs - log_probs.amax(dim=-1, keepdim=True)
    log_probs = log_probs / max(decoding.temperature, torch.finfo(log_probs.dtype).tiny)
    if 0 < decoding.top_k < log_probs.shape[-1]:
        kept, places = log_probs.topk(decoding.top_k, dim=-1)  # k of them even if some tie
        log_probs = torch.full_like(log_probs, -math.inf).scatter(1, places, kept)
    probs = log_probs.softmax(dim=-1)
    if decoding.top_p < 1:
        ordered, places = probs.sort(dim=-1, descending=True)
        before = ordered.cumsum(dim=-1) - ordered  # the likeliest word always stays
        probs = probs.scatter(1, places, ordered.masked_fill(before >= decoding.top_p, 0.0))
        probs = probs / probs.sum(dim=-1, keepdim=True)
    return probs


def _until_boundary(ids: list[int]) -> list[int]:
    return ids[: ids.index(BOUNDARY)] if BOUNDARY in ids else ids
