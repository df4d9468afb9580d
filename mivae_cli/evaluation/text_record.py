"""The record of `eval --full`, which `generation.evaluate_text` computes."""

__all__ = ["Diversity", "Full", "Generation", "Interpolation", "Protocol", "Reconstruction"]

from dataclasses import dataclass


@dataclass(frozen=True)
class Protocol:
    """The settings of the measurement."""

    seed: int  # seed of all draws
    samples: int  # number of samples from the prior
    real: int  # training sentences that the samples are compared with
    temperature: float  # temperature of the samples
    max_tokens: int  # maximum length of a sample
    self_bleu_sentences: int  # sentences that self-BLEU is computed on
    forward_lm: str  # language model that judges the samples
    reverse_lm: str  # language model that is trained on the samples
    bleu: str | None  # signature of sacrebleu; null without it


@dataclass(frozen=True)
class Reconstruction:
    """Greedy decodings of the posterior means against their sentences."""

    exact_match: float  # share of sentences that are reproduced exactly
    token_accuracy: float  # share of tokens that are correct at their position
    bleu: float  # BLEU, 0 to 100


@dataclass(frozen=True)
class Diversity:
    """Diversity of sentences; words are separated by spaces."""

    distinct_1: float  # share of distinct words
    distinct_2: float  # share of distinct pairs of words
    distinct_3: float  # share of distinct 3-grams
    distinct_4: float  # share of distinct 4-grams
    self_bleu_2: float  # BLEU-2 of each sentence against the others
    self_bleu_3: float  # the same for BLEU-3
    self_bleu_4: float  # the same for BLEU-4
    mean_length: float  # words per sentence
    copies: float  # share of exact copies of training sentences


@dataclass(frozen=True)
class Generation:
    """Quality of samples from the prior, with the same figures for real text."""

    forward_ppl: float  # perplexity of the samples under a language model of the training split
    forward_ppl_real: float  # perplexity of held-out sentences under the same model
    reverse_ppl: float  # perplexity of held-out sentences under a language model of the samples
    reverse_ppl_real: float  # the same for as many training sentences as samples
    samples: Diversity  # diversity of the samples
    real: Diversity  # diversity of these training sentences; copies are of held-out sentences


@dataclass(frozen=True)
class Interpolation:
    """Interpolation between posterior means of held-out sentences.

    Distances are normalised edit distances. A decoder that ignores z has no jumps, so compare
    `neighbours` with `ends`: for even steps, it is about `ends` divided by the number of steps.
    """

    pairs: int  # number of pairs of sentences
    steps: int  # sentences per interpolation
    neighbours: float  # mean distance between consecutive sentences
    largest_jump: float  # largest such distance of an interpolation, on average
    ends: float  # mean distance between first and last sentence
    nll_per_token: list[float]  # -log p per token at each step, under the forward model


@dataclass(frozen=True)
class Full:
    """The record of `eval --full`; its fields are the keys of the JSON form."""

    protocol: Protocol  # how the figures were measured
    reconstruction: Reconstruction | None  # null for a language model
    generation: Generation  # samples from the prior
    interpolation: Interpolation | None  # null for a language model, or for a single sentence
