"""Decoding of latents to sentences, word by word.

Shapes: N sentences, M = N times beam width, T tokens (written so far, without the boundary), V
vocabulary, Z latent units. Scores are logits or log-probabilities of the next token.
"""

__all__ = ["AT_ONCE", "Decoding", "ban_repeated_ngrams", "decode", "penalize_written"]

import math
from dataclasses import dataclass
from itertools import takewhile

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..data.tokenizer import BOUNDARY, UNKNOWN
from ..errors import ConfigError
from ..limits import (
    MAX_BEAM,
    MAX_COUNT,
    MAX_NGRAM,
    MAX_PENALTY,
    MAX_VOCABULARY,
    MIN_PENALTY,
    check_count,
    check_range,
)
from ..models.vae import VAE

AT_ONCE = 256  # sentences per batch
MAX_AT_ONCE = 4096  # hypotheses per batch, to limit the memory of a wide beam
FEW = 256  # words that usually suffice for top-p; much faster than sorting all
DEFAULT_MAX_TOKENS = 100


@dataclass(frozen=True)
class Decoding:
    """How the words of a sentence are chosen: drawn, greedily, or by beam search.

    The repetition penalty and the ban on repeated n-grams apply to all three, before temperature,
    top-k and top-p. A sentence has at least one word; it ends if all words are banned.

    Raises:
        ConfigError: A value is out of range.

    >>> mivae.Decoding(temperature=0.7, top_p=0.9).beam  # draws words
    0
    >>> mivae.Decoding(beam=5).beam  # beam search; 1 is greedy
    5
    """

    temperature: float = 1.0
    """Temperature at which words are drawn; lower values favour likely words."""
    top_k: int = 0
    """Draw from the k likeliest words; 0: from all."""
    top_p: float = 1.0
    """Draw from the likeliest words that have this total probability."""
    beam: int = 0
    """Beam width; 1 is greedy, 0 draws words."""
    max_tokens: int | None = None
    """Maximum sentence length; by default the run's `data.max_tokens`, or 100 without a run."""
    unknown: bool = False
    """Whether the unknown word may be generated, as under p(x|z)."""
    no_repeat_ngram: int = 0
    """n: no n tokens in a row occur twice in a sentence; 0: no limit."""
    repetition_penalty: float = 1.0
    """Above 1, tokens that the sentence already has become less likely; see `penalize_written`."""

    @property
    def length(self) -> int:
        """Maximum sentence length, in tokens."""
        return DEFAULT_MAX_TOKENS if self.max_tokens is None else self.max_tokens

    def __post_init__(self) -> None:
        check_range("the temperature", self.temperature, 0, math.inf)
        if not 0 < self.temperature < math.inf:
            raise ConfigError("the temperature must be above 0; for the limit 0, decode greedily")
        check_range("top-p", self.top_p, 0, 1)
        if not self.top_p:
            raise ConfigError("top-p must be above 0")
        check_count("top-k", self.top_k, 0, MAX_VOCABULARY)
        check_count("the beam width", self.beam, 0, MAX_BEAM)
        check_count("max_tokens", self.length, 1, MAX_COUNT)
        check_count("no-repeat-ngram", self.no_repeat_ngram, 0, MAX_NGRAM)
        check_range("repetition-penalty", self.repetition_penalty, MIN_PENALTY, MAX_PENALTY)


@torch.inference_mode()
def decode(
    model: VAE, z: Tensor, decoding: Decoding, generator: torch.Generator | None = None
) -> list[list[int]]:
    """Returns the token ids of one sentence per latent (N, Z), without boundaries.

    Sentences are never empty. They have unknown words only if `decoding.unknown` is set.
    """
    model.eval()
    sentences: list[list[int]] = []
    if not len(z):
        return sentences
    at_once = min(AT_ONCE, max(1, MAX_AT_ONCE // max(1, decoding.beam)))
    for part in z.to(model.device).split(at_once):
        beam = decoding.beam
        tokens = _beam(model, part, decoding) if beam else _draw(model, part, decoding, generator)
        sentences += [list(takewhile(BOUNDARY.__ne__, row)) for row in tokens.tolist()]
    return sentences


def _draw(model: VAE, z: Tensor, decoding: Decoding, generator: torch.Generator | None) -> Tensor:
    """Returns sentences drawn word by word, (N, T); finished ones leave the batch."""
    tokens = torch.full((len(z), decoding.length), BOUNDARY, device=z.device)
    going = torch.arange(len(z), device=z.device)
    state = model.decoder.start(z)
    previous = tokens[:, 0]
    for place in range(decoding.length):
        logits, state = model.decoder.step(previous, state)
        written = tokens[going, :place]
        logits = penalize_written(logits, written, decoding.repetition_penalty)
        logits = _allowed(logits, written, decoding)
        previous = _drawn(logits, decoding, generator)
        tokens[going, place] = previous
        rows = (previous != BOUNDARY).nonzero()[:, 0]
        if len(rows) < len(going):
            going, previous, state = going[rows], previous[rows], state[rows]
        if not len(going):
            break
    return tokens


def _beam(model: VAE, z: Tensor, decoding: Decoding) -> Tensor:
    """Returns the likeliest sentences found by beam search, with shape (N, T).

    The search for a sentence ends when its best hypothesis is complete, because the others can
    only become less likely.
    """
    width = decoding.beam
    tokens = torch.full((len(z), decoding.length), BOUNDARY, device=z.device)
    going = torch.arange(len(z), device=z.device)
    state = model.decoder.start(z.repeat_interleave(width, dim=0))  # M hypotheses
    words = torch.full((len(z), width, 1), BOUNDARY, device=z.device)
    scores = torch.full((len(z), width), -math.inf, device=z.device)
    scores[:, 0] = 0.0  # initially, all hypotheses are equal
    finished = torch.zeros(len(z), width, dtype=torch.bool, device=z.device)
    for length in range(1, decoding.length + 1):
        logits, state = model.decoder.step(words[..., -1].flatten(), state)
        written = words[..., 1:].flatten(0, 1)
        logits = penalize_written(logits, written, decoding.repetition_penalty)
        log_probs = _allowed(logits.log_softmax(dim=-1), written, decoding)
        best, said = log_probs.topk(min(width, log_probs.shape[1]), dim=1)
        best, said = (each.view(len(going), width, -1) for each in (best, said))
        # a finished hypothesis continues with boundaries, with probability 1
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


def _allowed(scores: Tensor, written: Tensor, decoding: Decoding) -> Tensor:
    """Sets the scores of banned tokens to -inf.

    An unfinished sentence has no boundary yet, so its end is never a repeated n-gram.
    """
    if not decoding.unknown:
        scores[:, UNKNOWN] = -math.inf
    if not written.shape[1]:
        scores[:, BOUNDARY] = -math.inf
    if decoding.no_repeat_ngram:
        scores = ban_repeated_ngrams(scores, written, decoding.no_repeat_ngram)
    return scores


def _drawn(logits: Tensor, decoding: Decoding, generator: torch.Generator | None) -> Tensor:
    """Returns one word drawn per row, with shape (N,), by inverting the distribution function.

    This takes one random number per row. `torch.multinomial` takes one per word, which costs more
    than computing the logits. The cumulative sum is taken over blocks of words first, then over
    the words of one block.
    """
    weights, words = _shaped(logits, decoding)
    count, width = weights.shape
    size = math.isqrt(width) + 1  # words per block
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
    """Returns the index at which cumulative sums first exceed a point; its weight is above 0."""
    last = torch.nextafter(cumulated[:, -1:], torch.zeros_like(point))
    return torch.searchsorted(cumulated, torch.minimum(point, last), right=True)


def _shaped(logits: Tensor, decoding: Decoding) -> tuple[Tensor, Tensor | None]:
    """Returns the weights (N, k) of the words left by temperature, top-k and top-p, and their ids.

    Weights are proportional to probabilities; the ids are None if all words remain, in order.
    """
    if decoding.temperature != 1:
        # shift the maximum to 0, so that dividing by a small temperature does not overflow
        logits = logits - logits.amax(dim=-1, keepdim=True)
        # keep the divisor finite and positive: -inf / inf is not a number
        limits = torch.finfo(logits.dtype)
        logits /= min(max(decoding.temperature, limits.tiny), limits.max)
    words = None
    if 0 < decoding.top_k < logits.shape[-1]:
        logits, words = logits.topk(decoding.top_k, dim=-1)  # exactly k, also if some tie
    weights = logits.softmax(dim=-1)
    if decoding.top_p < 1:
        ordered, places = _likeliest(weights, decoding.top_p)
        before = ordered.cumsum(dim=-1) - ordered
        # at least the smallest positive float, so that the likeliest word always remains
        share = max(decoding.top_p, torch.finfo(ordered.dtype).tiny)
        weights = ordered.masked_fill(before >= share, 0.0)
        words = places if words is None else words.gather(1, places)
    return weights, words


def _likeliest(weights: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Returns the largest weights, descending, with a sum of at least `share`, and their ids."""
    if weights.shape[1] > FEW:
        few, places = weights.topk(FEW, dim=-1)
        if (few.sum(dim=-1) >= share).all():
            return few, places
    return weights.sort(dim=-1, descending=True)


def penalize_written(scores: Tensor, written: Tensor, penalty: float) -> Tensor:
    r"""Returns scores in which written tokens are less likely.

    With :math:`\theta` the penalty, a written token's score becomes :math:`x / \theta` if it is
    positive and :math:`x \, \theta` if it is negative. A penalty above 1 makes it less likely,
    below 1 more likely, and 1 has no effect. The number of occurrences and their positions do not
    matter. Scores have shape (N, V), written tokens (N, T).

    References:
        | CTRL: A Conditional Transformer Language Model for Controllable Generation (Keskar et al.,
          2019), section 4.1, which assumes that all scores are positive
    """
    if penalty == 1:
        return scores
    found = scores.gather(1, written)
    found = torch.where(found > 0, found / penalty, found * penalty)
    return scores.scatter(1, written, found)


def ban_repeated_ngrams(scores: Tensor, written: Tensor, size: int) -> Tensor:
    """Returns scores in which tokens that would complete an n-gram a second time are -inf.

    Scores have shape (N, V), written tokens (N, T); the size is n. With 1, no token occurs twice.
    """
    if written.shape[1] < size:
        return scores
    ngrams = written.unfold(1, size, 1)  # (N, T - size + 1, size)
    # the next token completes the last size - 1 tokens
    latest = written[:, written.shape[1] - size + 1 :]  # (N, size - 1)
    repeated = (ngrams[..., :-1] == latest[:, None]).all(dim=-1)
    # several n-grams may ban the same token
    counts = torch.zeros_like(scores).scatter_add(1, ngrams[..., -1], repeated.to(scores.dtype))
    return scores.masked_fill(counts > 0, -math.inf)
