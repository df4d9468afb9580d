"""The record of an evaluation in full; how its figures come about is told in `full`."""

__all__ = ["Diversity", "Full", "Generation", "Interpolation", "Protocol", "Reconstruction"]

from dataclasses import dataclass


@dataclass(frozen=True)
class Protocol:
    """How the figures were measured."""

    seed: int
    samples: int
    real: int  # training sentences that the samples are compared with
    temperature: float
    max_tokens: int
    self_bleu_sentences: int
    forward_lm: str
    reverse_lm: str
    bleu: str | None  # sacrebleu's signature


@dataclass(frozen=True)
class Reconstruction:
    """Greedy decodings of the posterior means against their sentences."""

    exact_match: float
    token_accuracy: float
    bleu: float


@dataclass(frozen=True)
class Diversity:
    """How many different things sentences say; n-grams are of words between spaces."""

    distinct_1: float
    distinct_2: float
    distinct_3: float
    distinct_4: float
    self_bleu_2: float
    self_bleu_3: float
    self_bleu_4: float
    mean_length: float  # words
    copies: float  # the share that stands in the training split token for token


@dataclass(frozen=True)
class Generation:
    """Samples, and the same figures of real text beside them."""

    forward_ppl: float  # of the samples, under a language model of the training split
    forward_ppl_real: float  # of the held-out sentences under the same
    reverse_ppl: float  # of the held-out sentences, under a language model of the samples
    reverse_ppl_real: float  # the same of as many training sentences as there are samples
    samples: Diversity
    real: Diversity  # of those training sentences; its copies are among the held-out ones


@dataclass(frozen=True)
class Interpolation:
    """Walks between posterior means of held-out sentences; distances are normalised edits.

    A model that says the same whatever z walks without a jump, so `neighbours` is to be read
    beside `ends`: on an even walk, it is no more than a share of it for each step.
    """

    pairs: int
    steps: int
    neighbours: float  # the mean distance between a step's sentence and the next one's
    largest_jump: float  # the largest of a walk, on average
    ends: float  # the mean distance between the first and the last sentence of a walk
    nll_per_token: list[float]  # at each step, under the forward language model


@dataclass(frozen=True)
class Full:
    """The record of an evaluation in full; its fields are keys of the JSON form."""

    protocol: Protocol
    reconstruction: Reconstruction | None  # none without a latent
    generation: Generation
    interpolation: Interpolation | None  # none without a latent, or of a single sentence
