"""Decoding: from latents to sentences, word by word.

Shapes: N sentences, M = N times beam width, T tokens, V vocabulary, Z latent units.
"""

__all__ = ["AT_ONCE", "Decoding", "decode"]

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..data.tokenizer import BOUNDARY, UNKNOWN
from ..errors import ConfigError
from ..limits import MAX_BEAM, MAX_NGRAM, MAX_PENALTY, MIN_PENALTY, check_range
from ..models.vae import VAE
from .repetition import ban_repeated_ngrams, penalize_written

AT_ONCE = 256  # sentences decoded side by side
MAX_AT_ONCE = 4096  # hypotheses of a wide beam, so that memory stays within bounds
FEW = 256  # words: most often enough for top-p, and much quicker to find than to sort all


@dataclass(frozen=True)
class Decoding:
    """How words are chosen: drawn at a temperature, greedily, or by beam search.

    The repetition penalty and the ban on repeated n-grams apply to all three, before the
    temperature, top-k and top-p. A sentence may always end, except before its first word: where
    every word is banned, it does.

    Raises:
        ConfigError: A setting is out of its range.
    """

    temperature: float = 1.0
    top_k: int = 0  # keep the k likeliest words; 0: all
    top_p: float = 1.0  # keep the likeliest words that make up this share
    beam: int = 0  # hypotheses; 0: no beam search, 1: greedy
    max_tokens: int = 100
    unknown: bool = False  # whether the unknown word may be said, as in the model's own p(x | z)
    no_repeat_ngram: int = 0  # n: no n tokens in a row come twice in a sentence; 0: they may
    repetition_penalty: float = 1.0  # above 1: tokens already written are less likely

    def __post_init__(self) -> None:
        if not 0 < self.temperature < math.inf:
            raise ConfigError("the temperature must be above 0 (use --greedy for its limit)")
        if self.top_k < 0:
            raise ConfigError("top-k must not be negative")
        check_range("the width of the beam", self.beam, 0, MAX_BEAM)
        if not 0 < self.top_p <= 1:
            raise ConfigError("top-p must be above 0 and at most 1")
        if self.max_tokens < 1:
            raise ConfigError("a sentence must be allowed one token at least")
        check_range("no-repeat-ngram", self.no_repeat_ngram, 0, MAX_NGRAM)
        check_range("repetition-penalty", self.repetition_penalty, MIN_PENALTY, MAX_PENALTY)


@torch.inference_mode()
def decode(
    model: VAE, z: Tensor, decoding: Decoding, generator: torch.Generator | None = None
) -> list[list[int]]:
    """Returns the ids of one sentence for each latent, without boundaries.

    The unknown word is not generated unless `decoding` lets it, an empty sentence never.

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
    at_once = min(AT_ONCE, max(1, MAX_AT_ONCE // max(1, decoding.beam)))
    for part in z.to(model.device).split(at_once):
        if decoding.beam:
            tokens = _beam(model, part, decoding)
        else:
            tokens = _draw(model, part, decoding, generator)
        sentences += [_until_boundary(row) for row in tokens.tolist()]
    return sentences


def _draw(model: VAE, z: Tensor, decoding: Decoding, generator: torch.Generator | None) -> Tensor:
    """Draws sentences word by word, with shape (N, T); those that have ended cost no more."""
    tokens = torch.full((len(z), decoding.max_tokens), BOUNDARY, device=z.device)
    going = torch.arange(len(z), device=z.device)
    state = model.decoder.start(z)
    previous = tokens[:, 0]
    for place in range(decoding.max_tokens):
        logits, state = model.decoder.step(previous, state)
        written = tokens[going, :place]
        logits = _allowed(_penalized(logits, written, decoding), written, decoding)
        previous = _drawn(logits, decoding, generator)
        tokens[going, place] = previous
        rows = (previous != BOUNDARY).nonzero()[:, 0]
        if len(rows) < len(going):
            going, previous, state = going[rows], previous[rows], state[rows]
        if not len(going):
            break
    return tokens


def _beam(model: VAE, z: Tensor, decoding: Decoding) -> Tensor:
    """Keeps the likeliest hypotheses a sentence and returns the best, with shape (N, T).

    A sentence is done as soon as its best hypothesis has ended: the others can only become
    less likely.
    """
    width = decoding.beam
    tokens = torch.full((len(z), decoding.max_tokens), BOUNDARY, device=z.device)
    going = torch.arange(len(z), device=z.device)
    state = model.decoder.start(z.repeat_interleave(width, dim=0))  # of M
    words = torch.full((len(z), width, 1), BOUNDARY, device=z.device)
    scores = torch.full((len(z), width), -math.inf, device=z.device)
    scores[:, 0] = 0.0  # all hypotheses are the same at first
    finished = torch.zeros(len(z), width, dtype=torch.bool, device=z.device)
    for length in range(1, decoding.max_tokens + 1):
        logits, state = model.decoder.step(words[..., -1].flatten(), state)
        written = words[..., 1:].flatten(0, 1)
        log_probs = _penalized(logits, written, decoding).log_softmax(dim=-1)
        log_probs = _allowed(log_probs, written, decoding)
        best, said = log_probs.topk(min(width, log_probs.shape[1]), dim=1)
        best, said = (each.view(len(going), width, -1) for each in (best, said))
        # a finished hypothesis goes on with further boundaries, at no cost
        best[finished], said[finished] = -math.inf, BOUNDARY
        best[..., 0].masked_fill_(finished, 0.0)
        scores, chosen = (scores[..., None] + best).flatten(1).topk(width, dim=1)
        parent = chosen // best.shape[2]  # (N, width)
        word = said.flatten(1).gather(1, chosen)
        before = words.gather(1, parent[..., None].expand(-1, -1, length))
        words = torch.cat([before, word[..., None]], dim=2)
        finished = word == BOUNDARY
        tokens[going, :length] = words[:, 0, 1:]
        left = (~finished[:, 0]).nonzero()[:, 0]
        rows = (torch.arange(len(going), device=z.device)[:, None] * width + parent)[left]
        going, words, scores, finished = going[left], words[left], scores[left], finished[left]
        state = state[rows.flatten()]
        if not len(going):
            break
    return tokens


def _penalized(logits: Tensor, written: Tensor, decoding: Decoding) -> Tensor:
    if decoding.repetition_penalty == 1:
        return logits
    return penalize_written(logits, written, decoding.repetition_penalty)


def _allowed(scores: Tensor, written: Tensor, decoding: Decoding) -> Tensor:
    """Gives what may not come next a score of -inf.

    A sentence that goes on has not written the boundary, so its end is never a repeated n-gram.
    """
    if not decoding.unknown:
        scores[:, UNKNOWN] = -math.inf
    if not written.shape[1]:
        scores[:, BOUNDARY] = -math.inf
    if decoding.no_repeat_ngram:
        scores = ban_repeated_ngrams(scores, written, decoding.no_repeat_ngram)
    return scores


def _drawn(logits: Tensor, decoding: Decoding, generator: torch.Generator | None) -> Tensor:
    """Draws a word from each row, with shape (N,), by inverting the distribution function.

    That takes one random number a row; `torch.multinomial` takes one for every word, which is
    more work than all that led to the logits. The function is summed up over blocks of words,
    and word by word only within the block where the number falls.
    """
    weights, words = _shaped(logits, decoding)
    count, width = weights.shape
    size = math.isqrt(width) + 1  # of a block
    blocks = pad(weights, (0, -width % size)).view(count, -1, size)
    over_blocks = blocks.sum(dim=-1).double().cumsum(dim=-1)
    uniform = torch.rand(count, 1, generator=generator, dtype=torch.double).to(weights.device)
    point = uniform * over_blocks[:, -1:]
    block = _found(over_blocks, point)
    before = pad(over_blocks, (1, 0)).gather(1, block)
    within = blocks[torch.arange(count, device=weights.device), block[:, 0]].double()
    chosen = block * size + _found(within.cumsum(dim=-1), point - before)
    return (chosen if words is None else words.gather(1, chosen))[:, 0]


def _found(cumulated: Tensor, point: Tensor) -> Tensor:
    """Returns where rising sums first exceed a point; there, what was added is above 0."""
    last = torch.nextafter(cumulated[:, -1:], torch.zeros_like(point))
    return torch.searchsorted(cumulated, torch.minimum(point, last), right=True)


def _shaped(logits: Tensor, decoding: Decoding) -> tuple[Tensor, Tensor | None]:
    """Applies temperature, top-k and top-p.

    Returns:
        Weights in proportion to the probabilities of the words that are left, with shape
        (N, k), and their ids; none where all words are left, in order.
    """
    if decoding.temperature != 1:
        # The likeliest word is put at 0 first, so that the lowest ones overflow nothing.
        logits = logits - logits.amax(dim=-1, keepdim=True)
        # Nor is the divisor infinite, or what is not allowed at all would be no number.
        limits = torch.finfo(logits.dtype)
        logits /= min(max(decoding.temperature, limits.tiny), limits.max)
    words = None
    if 0 < decoding.top_k < logits.shape[-1]:
        logits, words = logits.topk(decoding.top_k, dim=-1)  # k of them even if some tie
    weights = logits.softmax(dim=-1)
    if decoding.top_p < 1:
        ordered, places = _likeliest(weights, decoding.top_p)
        before = ordered.cumsum(dim=-1) - ordered
        # as a number above 0 that the weights' precision has: the likeliest word always stays
        share = max(decoding.top_p, torch.finfo(ordered.dtype).tiny)
        weights = ordered.masked_fill(before >= share, 0.0)
        words = places if words is None else words.gather(1, places)
    return weights, words


def _likeliest(weights: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Returns the largest weights in falling order, as many as sum up to a share, and places."""
    if weights.shape[1] > FEW:
        few, places = weights.topk(FEW, dim=-1)
        if (few.sum(dim=-1) >= share).all():
            return few, places
    return weights.sort(dim=-1, descending=True)


def _until_boundary(ids: list[int]) -> list[int]:
    return ids[: ids.index(BOUNDARY)] if BOUNDARY in ids else ids
