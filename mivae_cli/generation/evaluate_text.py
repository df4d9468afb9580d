r"""Text evaluation: reconstructions, samples and interpolations of a model.

`evaluation.evaluate` measures likelihood and information; this module measures generated
sentences. Each metric depends on sizes and settings, which are fixed here and stored with the
results:

* Reconstruction: the greedy decoding of the posterior mean, compared with the sentence.
* Generation: sentences sampled from :math:`p(x) = \int p(x \mid z) \, p(z) \, dz` at temperature
  1. Forward perplexity is the perplexity of the samples under a language model of the training
  split: low if the samples are fluent. Reverse perplexity is the perplexity of held-out text
  under a language model of the samples: low if the samples also cover the variety of real text.
* Interpolation: greedy decodings of latents along the arc between two posterior means.

The unknown word is decoded like any other word, because the training text, the references and the
input of the language models contain it.

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
from ..evaluation.encode import encode_split, posteriors
from ..evaluation.metrics import perplexity
from ..evaluation.text_record import (
    Diversity,
    Full,
    Generation,
    Interpolation,
    Protocol,
    Reconstruction,
)
from ..limits import MAX_SENTENCES, check_count
from ..models.vae import VAE
from ..stages import Stage
from .decoding import AT_ONCE, Decoding, decode
from .generate import interpolation, prior_samples
from .neighbours import stored_texts
from .reference_lm import FIXED_LM, described, trained_lm
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


@dataclass(frozen=True)
class Plan:
    """The sizes of the protocol. Results of different sizes are not comparable.

    Raises:
        ConfigError: The number of samples is not between 2 and 10,000,000.
    """

    samples: int | None = None  # None: as many as training sentences, at most MAX_SAMPLES
    self_bleu: int = 500  # sentences, each compared with all others
    pairs: int = 200  # of sentences to interpolate, at most half the number of sentences
    steps: int = 7  # of an interpolation, including both ends
    lm: RunConfig = FIXED_LM

    def __post_init__(self) -> None:
        if self.samples is not None:
            check_count("the number of samples", self.samples, 2, MAX_SENTENCES)


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
        model: The model. For a language model, only samples are evaluated.
        corpus: The model's corpus and vocabulary, on which the language models are trained.
        store: The held-out sentences.
        max_tokens: Maximum length of decoded sentences.
        seed: Seeds all random draws and the language models.
        plan: The sizes.
        lm: The name and the model of a trained language model with the same vocabulary, used as
            the forward language model; by default the reference model is trained.

    Raises:
        ConfigError: sacrebleu is not installed.
        DivergedError: Training of a language model diverged.
        StorageError: There is no disk space for a language model.
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

    def trained(sentences: TokenStore, which: str) -> Generator[Stage, None, VAE]:
        name = f"training a language model on {which}"
        return trained_lm(name, sentences, valid, tokenizer, plan.lm, model.device, seed)

    train_lm = lm[1] if lm else (yield from trained(train, "the training split"))
    samples_lm = yield from trained(samples, "the samples")
    real_lm = train_lm  # the same model, if it was trained on the same sentences in the same way
    if lm or len(real) < len(train):
        real_lm = yield from trained(real, f"{len(real):,} real sentences")
    yield Stage("scoring sentences", 0, count)
    generation = Generation(
        forward_ppl=_perplexity(train_lm, samples),
        forward_ppl_real=_perplexity(train_lm, store),
        reverse_ppl=_perplexity(samples_lm, store),
        reverse_ppl_real=_perplexity(real_lm, store),
        samples=_diversity(samples, samples, corpus, seed, plan),
        real=_diversity(real, store, corpus, seed, plan),
    )
    walks = None
    if model.latent_size and len(store) > 1:
        walks = yield from _interpolation(model, train_lm, means, max_tokens, seed, plan)
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
    texts = [tokenizer.decode(ids) for ids in references]
    decoded = [tokenizer.decode(ids) for ids in outputs]
    score, signature = bleu(texts, decoded, tokenizer.by_word)
    accuracy = token_accuracy(references, outputs)
    return Reconstruction(exact_matches(texts, decoded), accuracy, score), signature


def _samples(
    model: VAE, count: int, max_tokens: int, seed: int
) -> Generator[Stage, None, TokenStore]:
    """Samples sentences from the prior, in the order of their latents."""
    # another seed, so that words and latents use different random numbers
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
    """Returns the diversity of sentences, and the share of others that copy the training split."""
    # sampled, because the first sentences of a file may be alike
    sampled = sentences.sample(plan.self_bleu, seed)
    words, subset = (
        [text.split() for text in stored_texts(store, corpus.tokenizer)]
        for store in (sentences, sampled)
    )
    return Diversity(
        **{f"distinct_{order}": distinct(words, order) for order in range(1, 5)},
        **{f"self_bleu_{order}": self_bleu(subset, order) for order in range(2, 5)},
        mean_length=mean_length(words),
        copies=copied(_rows(others), _rows(corpus["train"])),
    )


def _interpolation(
    model: VAE, lm: VAE, means: Tensor, max_tokens: int, seed: int, plan: Plan
) -> Generator[Stage, None, Interpolation]:
    order = np.random.default_rng(seed).permutation(len(means))
    pairs = order[: 2 * min(plan.pairs, len(means) // 2)].reshape(-1, 2)
    yield Stage("interpolating between sentences", 0, len(pairs))
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
            _nll_per_token(lm, TokenStore.from_ids(sentences[step :: plan.steps]))
            for step in range(plan.steps)
        ],
    )


def _perplexity(lm: VAE, store: TokenStore) -> float:
    return perplexity(_nll_per_token(lm, store), 1, 1)


def _nll_per_token(lm: VAE, store: TokenStore) -> float:
    """Returns the mean negative log-likelihood per token, end-of-sentence tokens included."""
    losses = encode_split(lm, store, seed=0).distortion  # no latent, so nothing is random
    return float(losses.double().sum()) / (len(store.tokens) + len(store))


def _greedy(max_tokens: int) -> Decoding:
    return Decoding(beam=1, max_tokens=max_tokens, unknown=True)


def _rows(store: TokenStore) -> Iterator[list[int]]:
    return map(store.sentence, range(len(store)))
