r"""Evaluation of a model on held-out sentences.

Shapes: N sentences, B sentences per batch, K samples, Z latent units. All in nats.
"""

__all__ = [
    "CheckpointName",
    "Evaluation",
    "TextFigures",
    "evaluate",
    "evaluate_sentences",
    "importance_weighted",
]

import math
from collections.abc import Generator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..data.batches import Batch, ordered_batches
from ..data.prepared_corpus import TokenStore
from ..data.tokenizer import Tokenizer
from ..limits import MAX_IW_SAMPLES, check_count, check_seed
from ..models.vae import VAE
from ..stages import Stage
from .consistency import contradictions
from .encode import encode_split
from .metrics import (
    active_units,
    bits_per_character,
    effective_units,
    importance_weighted_bound,
    perplexity,
    units_above,
)
from .mutual_information import MutualInformation, measure_information
from .sentence_values import SentenceFile, SentenceValues
from .text_record import Full

BATCH = 32  # sentences of similar length
SEQUENCES = 2048  # pairs of a sentence and a sample, decoded in parallel on a CPU
SEQUENCES_CUDA = 8192  # twice as fast as 2048, and less than a GiB


@dataclass(frozen=True)
class TextFigures:
    """Likelihood per word and per character, which can be compared between tokenizers.

    Words and characters of truncated sentences (`max_tokens`) are those of the kept tokens.
    """

    words: int  # words between spaces; the end of a sentence counts as one
    ppl_word_elbo: float  # perplexity per word, from the ELBO
    ppl_word_iw: float  # perplexity per word, from importance weighting
    characters: int | None  # the end of a sentence counts as one; null if words are unknown
    bits_per_character_elbo: float | None  # bits per character, from the ELBO
    bits_per_character_iw: float | None  # bits per character, from importance weighting


@dataclass(frozen=True)
class CheckpointName:
    """The evaluated checkpoint of a run."""

    name: str  # folder of the checkpoint
    step: int  # training steps up to it


@dataclass(frozen=True)
class Evaluation:
    """The evaluation record; its fields are the keys of the JSON form."""

    elbo: float  # evidence lower bound, -(D + R)
    nll: float  # the negative ELBO, D + R
    iw_nll: float  # the negative importance-weighted bound
    iw_samples: int  # samples of z per sentence of that bound
    ppl_elbo: float  # perplexity per token, from the ELBO
    ppl_iw: float  # perplexity per token, from importance weighting
    distortion: float  # D, the expected -log p(x|z)
    rate: float  # R, the KL divergence of q(z|x) from the prior
    rates: list[float]  # rate of each latent unit, or one rate for a posterior on the sphere
    active_units: int  # units whose posterior mean has a variance of at least 0.01
    units_above: int  # units with a mean rate above 0.1 nats
    effective_units: float  # exponential of the entropy of the units' shares of the rate
    latent_units: int  # size of z
    sentences: int  # number of sentences
    tokens: int  # predicted tokens; the end of a sentence counts as one
    mi: MutualInformation | None  # estimates of I(x; z); null for a language model
    kl_aggregated_prior: float  # KL(q(z) || p(z)): the rate minus the known posterior's estimate
    seed: int  # seed of all draws
    text: TextFigures | None = None  # likelihood per word and character; null without a tokenizer
    checkpoint: CheckpointName | None = None  # the evaluated checkpoint
    full: Full | None = None  # results of eval --full
    sentence_values: SentenceFile | None = None  # file of figures per sentence; null if not stored
    warnings: list[str] = field(default_factory=list)  # figures that contradict each other


def evaluate(
    model: VAE,
    store: TokenStore,
    fitting: tuple[TokenStore, TokenStore] | None = None,
    iw_samples: int = 500,
    seed: int = 0,
    tokenizer: Tokenizer | None = None,
) -> Generator[Stage, None, Evaluation]:
    """Yields progress, and returns the evaluation record.

    The result does not depend on the order of the sentences. The arguments are those of
    `evaluate_sentences`.

    Raises:
        ConfigError: `iw_samples` or `seed` is out of range.
    """
    work = evaluate_sentences(model, store, fitting, iw_samples, seed, tokenizer)
    return (yield from work)[0]


def evaluate_sentences(
    model: VAE,
    store: TokenStore,
    fitting: tuple[TokenStore, TokenStore] | None = None,
    iw_samples: int = 500,
    seed: int = 0,
    tokenizer: Tokenizer | None = None,
) -> Generator[Stage, None, tuple[Evaluation, SentenceValues]]:
    """Yields progress, and returns the evaluation record and the figures of each sentence.

    The results do not depend on the order of the sentences.

    Arguments:
        model: The model.
        store: The sentences to evaluate.
        fitting: Training and validation sentences for the critic of the dual bound, if wanted.
        iw_samples: The number K of samples of the importance-weighted bound.
        seed: Seed of all samples.
        tokenizer: The vocabulary, for figures per word and per character.

    Raises:
        ConfigError: `iw_samples` or `seed` is out of range.
    """
    iw_samples = check_count("the number of importance samples", iw_samples, 1, MAX_IW_SAMPLES)
    seed = check_seed(seed)
    store = store.canonical()
    encoded = encode_split(model, store, seed)
    unit_rates = encoded.posterior.unit_rates().tolist()
    sentences, tokens = len(store), len(store.tokens) + len(store)
    distortion, rate = float(encoded.distortion.mean()), float(encoded.rate.mean())
    nll = iw_nll = distortion + rate
    iw_nlls = encoded.distortion + encoded.rate
    mi, kl_aggregated_prior, warnings = None, 0.0, list[str]()
    active = active_units(encoded.posterior.scaled_means())
    if model.latent_size:  # the likelihood of a language model is exact
        bounds = yield from importance_weighted(model, store, iw_samples, seed)
        iw_nll, iw_nlls = -float(bounds.mean()), -bounds
        yield Stage("measuring mutual information", 0, 1)
        mi = measure_information(model, store, encoded, fitting, seed)
        kl_aggregated_prior = rate - mi.known_posterior.value
    ppl_elbo, ppl_iw = (perplexity(value, sentences, tokens) for value in (nll, iw_nll))
    if mi is not None:
        warnings = contradictions(mi, rate, active, (ppl_elbo, ppl_iw), iw_samples)
    values = SentenceValues(
        distortion=encoded.distortion.float().numpy(),
        rate=encoded.rate.float().numpy(),
        iw_nll=iw_nlls.float().numpy(),
        line=store.lines,
    )
    record = Evaluation(
        elbo=-nll,
        nll=nll,
        iw_nll=iw_nll,
        iw_samples=iw_samples,
        ppl_elbo=ppl_elbo,
        ppl_iw=ppl_iw,
        distortion=distortion,
        rate=rate,
        rates=encoded.posterior.rates().mean(dim=0).tolist(),
        active_units=active,
        units_above=units_above(unit_rates),
        effective_units=effective_units(unit_rates),
        latent_units=model.latent_size,
        sentences=sentences,
        tokens=tokens,
        mi=mi,
        kl_aggregated_prior=kl_aggregated_prior,
        seed=seed,
        text=None if tokenizer is None else _text_figures(store, tokenizer, nll, iw_nll),
        warnings=warnings,
    )
    return record, values


def _text_figures(
    store: TokenStore, tokenizer: Tokenizer, nll: float, iw_nll: float
) -> TextFigures:
    sentences = words = characters = len(store)
    for place in range(sentences):
        text = tokenizer.decode(store.sentence(place))
        words += len(text.split())
        characters += len(text)
    bits = [bits_per_character(value, sentences, characters) for value in (nll, iw_nll)]
    lossless = not tokenizer.by_word  # the length of an unknown word is unknown
    return TextFigures(
        words=words,
        ppl_word_elbo=perplexity(nll, sentences, words),
        ppl_word_iw=perplexity(iw_nll, sentences, words),
        characters=characters if lossless else None,
        bits_per_character_elbo=bits[0] if lossless else None,
        bits_per_character_iw=bits[1] if lossless else None,
    )


@torch.inference_mode()
def importance_weighted(
    model: VAE, store: TokenStore, samples: int, seed: int
) -> Generator[Stage, None, Tensor]:
    """Yields progress, and returns the importance-weighted bound of each sentence, (N,).

    Each sentence is encoded once. Its samples are decoded in chunks, so memory does not grow with
    their number.
    """
    model.eval()
    generator = torch.Generator(device=model.device).manual_seed(seed)
    bounds = torch.empty(len(store))
    name = f"{len(store):,} sentences, {samples} importance samples each"
    done, total = 0, len(store.tokens) + len(store)
    for indices, batch in ordered_batches(store, BATCH):
        yield Stage(name, done, total)
        done += int(batch.lengths.sum()) + len(batch)
        batch = batch.to(model.device)
        bound = _importance_weighted(model, batch, samples, generator)
        bounds[torch.from_numpy(indices)] = bound.cpu()
    return bounds


def _importance_weighted(
    model: VAE, batch: Batch, samples: int, generator: torch.Generator
) -> Tensor:
    posterior = model.encode(batch).posterior
    sums = []
    parallel = SEQUENCES_CUDA if model.device.type == "cuda" else SEQUENCES
    size = max(1, parallel // len(batch))
    for start in range(0, samples, size):
        count = min(size, samples - start)
        # sampled one at a time, so that the chunk size does not change the result
        z = torch.stack([posterior.rsample(generator) for _ in range(count)])
        log_joint = model.log_likelihood(batch, z) + posterior.prior.log_prob(z)
        bound = importance_weighted_bound(log_joint, posterior.log_prob(z))
        sums.append(bound + math.log(count))
    return torch.stack(sums).logsumexp(dim=0) - math.log(samples)
