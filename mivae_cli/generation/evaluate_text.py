r"""Evaluation in full: what a model writes, how it reconstructs, and how smooth its latents are.

Beside the likelihood, which `evaluation` measures, text models are judged by their sentences.
Every figure depends on sizes and settings, so these are fixed here, and go with the figures:

* Reconstruction: the greedy decoding of the posterior mean, against the sentence itself.
* Generation: sentences drawn from :math:`p(x) = \int p(x \mid z) \, p(z) \, dz` at temperature
  1. Forward perplexity is theirs under a language model of the training split, low where they
  are likely; reverse perplexity is that of held-out text under a language model of the samples,
  low where they also cover what people write.
* Interpolation: greedy decodings of latents along the arc between two posterior means.

The unknown word is decoded as any other word: it is part of what the model has learned, of what
it is compared with, and of the text that the language models read.

References:
    | Adversarially Regularized Autoencoders (Zhao et al., 2018), for forward and reverse perplexity

Shapes: N sentences, Z latent units. Likelihoods in nats.
"""

__all__ = ["Plan", "evaluate_text"]

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from ..config.run import RunConfig
from ..data.prepared_corpus import Corpus, TokenStore
from ..data.tokenizer import Tokenizer
from ..evaluation.encode import posteriors
from ..evaluation.metrics import perplexity
from ..evaluation.text_record import (
    Diversity,
    Full,
    Generation,
    Interpolation,
    Protocol,
    Reconstruction,
)
from ..limits import MAX_SENTENCES, check_range
from ..models.vae import VAE
from ..stages import Stage
from .decoding import AT_ONCE, Decoding, decode
from .generate import interpolation, prior_samples
from .reference_lm import FIXED_LM, described, likelihoods, trained_lm
from .text_metrics import (
    bleu,
    copied,
    distinct,
    exact_matches,
    mean_length,
    normalised_distance,
    require_sacrebleu,
    self_bleu,
    token_accuracy,
)

MAX_SAMPLES = 10_000
Ids = list[list[int]]


@dataclass(frozen=True)
class Plan:
    """The sizes of the protocol; figures of other ones do not compare.

    Raises:
        ConfigError: The samples are fewer than 2 or more than 10,000,000.
    """

    samples: int | None = None  # by default as many as training sentences, up to MAX_SAMPLES
    self_bleu: int = 500  # sentences, each held against the others
    pairs: int = 200  # to walk between, fewer where the sentences are fewer than twice that
    steps: int = 7  # of a walk, its ends among them
    lm: RunConfig = FIXED_LM

    def __post_init__(self) -> None:
        if self.samples is not None:
            check_range("the number of samples", self.samples, 2, MAX_SENTENCES)


def evaluate_text(
    model: VAE,
    corpus: Corpus,
    store: TokenStore,
    max_tokens: int,
    seed: int = 0,
    plan: Plan | None = None,
    lm: tuple[str, VAE] | None = None,
) -> Generator[Stage, None, Full]:
    """Yields the stages of a text evaluation and returns its record.

    Arguments:
        model: The model; a language model has only what it writes to be judged by.
        corpus: Its corpus and vocabulary, of which the language models learn.
        store: The sentences to report on.
        max_tokens: The longest sentence that is decoded.
        seed: Seeds every draw and the language models.
        plan: The sizes.
        lm: The name of a trained language model of the same vocabulary, and the model, to take
            as forward language model; by default the fixed one is trained.

    Raises:
        ConfigError: sacrebleu is not installed.
        DivergedError: A language model's training left the finite numbers.
        StorageError: There is no room for a language model.
    """
    plan, store = plan or Plan(), store.canonical()
    train, valid, tokenizer = corpus["train"], corpus["valid"], corpus.tokenizer
    count = plan.samples or min(len(train), MAX_SAMPLES)
    means = torch.empty(len(store), 0)
    reconstruction = signature = None
    if model.latent_size:
        require_sacrebleu()
        yield Stage("reconstructing sentences", 0, len(store))
        means = posteriors(model, store).mean
        reconstruction, signature = _reconstruction(model, tokenizer, store, means, max_tokens)
    samples = yield from _samples(model, count, max_tokens, seed)
    real = train.sample(count, seed)

    def learned(sentences: TokenStore, which: str) -> Generator[Stage, None, VAE]:
        name = f"training a language model on {which}"
        return trained_lm(name, sentences, valid, tokenizer, plan.lm, model.device, seed)

    judge = lm[1] if lm else (yield from learned(train, "the training split"))
    of_samples = yield from learned(samples, "the samples")
    of_real = judge  # where it has learned from the very same sentences in the very same way
    if lm or len(real) < len(train):
        of_real = yield from learned(real, f"{len(real):,} real sentences")
    yield Stage("scoring sentences", 0, count)
    generation = Generation(
        forward_ppl=_perplexity(judge, samples),
        forward_ppl_real=_perplexity(judge, store),
        reverse_ppl=_perplexity(of_samples, store),
        reverse_ppl_real=_perplexity(of_real, store),
        samples=_diversity(samples, samples, corpus, seed, plan),
        real=_diversity(real, store, corpus, seed, plan),
    )
    walks = None
    if model.latent_size and len(store) > 1:
        walks = yield from _interpolation(model, judge, means, max_tokens, seed, plan)
    protocol = Protocol(
        seed=seed,
        samples=count,
        real=len(real),
        temperature=1.0,
        max_tokens=max_tokens,
        self_bleu_sentences=min(plan.self_bleu, count),
        forward_lm=lm[0] if lm else described(plan.lm),
        reverse_lm=described(plan.lm),
        bleu=signature,
    )
    return Full(protocol, reconstruction, generation, walks)


def _reconstruction(
    model: VAE, tokenizer: Tokenizer, store: TokenStore, means: Tensor, max_tokens: int
) -> tuple[Reconstruction, str]:
    references = list(_rows(store))
    outputs = decode(model, means, _greedy(max_tokens))
    said = [tokenizer.decode(ids) for ids in references]
    again = [tokenizer.decode(ids) for ids in outputs]
    score, signature = bleu(said, again, tokenizer.by_word)
    accuracy = token_accuracy(references, outputs)
    return Reconstruction(exact_matches(said, again), accuracy, score), signature


def _samples(
    model: VAE, count: int, max_tokens: int, seed: int
) -> Generator[Stage, None, TokenStore]:
    """Draws sentences from the prior, in the order of their latents."""
    # words are not drawn from the very numbers that their latents are made of
    generator = torch.Generator().manual_seed(seed + 1)
    decoding = Decoding(max_tokens=max_tokens, unknown=True)
    sentences: list[list[int]] = []
    for z in prior_samples(count, model.prior, seed).split(AT_ONCE):
        yield Stage("sampling from the prior", len(sentences), count)
        sentences += decode(model, z, decoding, generator)
    return TokenStore.from_ids(sentences)


def _diversity(
    sentences: TokenStore, others: TokenStore, corpus: Corpus, seed: int, plan: Plan
) -> Diversity:
    """Returns figures of sentences, and how many of others stand in the training split."""
    words = _words(sentences, corpus.tokenizer)
    # drawn, for a file's first sentences may be about the same
    few = _words(sentences.sample(plan.self_bleu, seed), corpus.tokenizer)
    return Diversity(
        distinct_1=distinct(words, 1),
        distinct_2=distinct(words, 2),
        distinct_3=distinct(words, 3),
        distinct_4=distinct(words, 4),
        self_bleu_2=self_bleu(few, 2),
        self_bleu_3=self_bleu(few, 3),
        self_bleu_4=self_bleu(few, 4),
        mean_length=mean_length(words),
        copies=copied(_rows(others), _rows(corpus["train"])),
    )


def _interpolation(
    model: VAE, judge: VAE, means: Tensor, max_tokens: int, seed: int, plan: Plan
) -> Generator[Stage, None, Interpolation]:
    order = np.random.default_rng(seed).permutation(len(means))
    pairs = order[: 2 * min(plan.pairs, len(means) // 2)].reshape(-1, 2)
    yield Stage("walking between sentences", 0, len(pairs))
    z = [interpolation(means[a], means[b], plan.steps, "slerp") for a, b in pairs]
    sentences = decode(model, torch.cat(z), _greedy(max_tokens))
    starts = range(0, len(sentences), plan.steps)
    walks = [sentences[start : start + plan.steps] for start in starts]
    jumps = [[normalised_distance(a, b) for a, b in pairwise(walk)] for walk in walks]
    return Interpolation(
        pairs=len(walks),
        steps=plan.steps,
        neighbours=fmean(jump for walk in jumps for jump in walk),
        largest_jump=fmean(map(max, jumps)),
        ends=fmean(normalised_distance(walk[0], walk[-1]) for walk in walks),
        nll_per_token=[
            _nll_per_token(judge, TokenStore.from_ids(sentences[step :: plan.steps]))
            for step in range(plan.steps)
        ],
    )


def _perplexity(lm: VAE, store: TokenStore) -> float:
    return perplexity(_nll_per_token(lm, store), 1, 1)


def _nll_per_token(lm: VAE, store: TokenStore) -> float:
    """Returns the negative log-likelihood of sentences by their tokens, ends counted."""
    return float(likelihoods(lm, store).double().sum()) / (len(store.tokens) + len(store))


def _greedy(max_tokens: int) -> Decoding:
    return Decoding(beam=1, max_tokens=max_tokens, unknown=True)


def _words(store: TokenStore, tokenizer: Tokenizer) -> list[list[str]]:
    return [tokenizer.decode(ids).split() for ids in _rows(store)]


def _rows(store: TokenStore) -> Iterator[list[int]]:
    return map(store.sentence, range(len(store)))
