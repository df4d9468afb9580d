"""The description of a network: encoder, decoder, posterior, and the critic's shape.

A part of `config`, and like it without torch.
"""

__all__ = [
    "BatchNormPosteriorConfig",
    "CommittedRatePosteriorConfig",
    "ConcatenatedCriticConfig",
    "Critic",
    "GaussianPosteriorConfig",
    "ModelConfig",
    "Posterior",
    "RecurrentDecoderConfig",
    "RecurrentEncoderConfig",
    "SeparableCriticConfig",
    "TransformerDecoderConfig",
    "TransformerEncoderConfig",
    "VonMisesFisherPosteriorConfig",
]

from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from ..choices import Pooling
from ..limits import MAX_LATENT
from ..schema import Frozen, OrNone, Probability

Width = Annotated[int, Field(ge=1, le=65_536)]
Layers = Annotated[int, Field(ge=1, le=64)]


class RecurrentEncoderConfig(Frozen):
    """An LSTM or a GRU whose pooled states are the sentence's features."""

    kind: Literal["lstm", "gru"] = "lstm"
    embedding_size: Width = 256
    """Width of the word vectors."""
    hidden_size: Width = 256
    """Width of the states, each way."""
    layers: Layers = 1
    """Layers, one above the other."""
    bidirectional: bool = False
    """Whether every layer also reads the sentence backwards."""
    pooling: Pooling = "max"
    """How the states become one vector: the last one, their mean, or their maximum."""
    dropout: Probability = 0.0
    """Dropout on the word vectors and between layers."""


class RecurrentDecoderConfig(Frozen):
    """An LSTM or a GRU that sees z in its initial states and at every step."""

    kind: Literal["lstm", "gru"] = "lstm"
    embedding_size: Width = 256
    """Width of the word vectors."""
    hidden_size: Width = 256
    """Width of the states."""
    layers: Layers = 1
    """Layers, one above the other."""
    dropout: Probability = 0.5
    """Dropout on the word vectors, between layers, and on the states before the output layer."""
    word_dropout: Probability = 0.0
    """The share of previous words that the decoder is not shown in training."""
    tie_weights: bool = False
    """Whether the output layer reuses the word vectors; both widths must then be equal."""

    @model_validator(mode="after")
    def _tied_widths_are_equal(self) -> Self:
        if self.tie_weights and self.embedding_size != self.hidden_size:
            raise ValueError("tie_weights needs embedding_size and hidden_size to be equal")
        return self


class GaussianPosteriorConfig(Frozen):
    """A Gaussian of free mean and scale, and a standard normal prior."""

    kind: Literal["gaussian"] = "gaussian"


class BatchNormPosteriorConfig(Frozen):
    """A Gaussian whose means are normalised over each batch (Zhu et al., 2020)."""

    kind: Literal["batch-norm"] = "batch-norm"
    scale: Annotated[float, Field(gt=0, le=1000)] = 0.6
    """Spread (gamma) of a unit's means over a batch; its mean rate is gamma^2 / 2 at least."""


class CommittedRatePosteriorConfig(Frozen):
    """A Gaussian whose mean and scale keep away from the prior's (Razavi et al., 2019)."""

    kind: Literal["committed-rate"] = "committed-rate"
    rate: Annotated[float, Field(ge=1e-4, le=100)] = 0.15
    """Rate (delta) in nats that no unit of any sentence falls below."""


class VonMisesFisherPosteriorConfig(Frozen):
    """A von Mises-Fisher distribution, and a uniform prior on the sphere (Xu & Durrett, 2018)."""

    kind: Literal["von-mises-fisher"] = "von-mises-fisher"
    concentration: Annotated[float, Field(ge=1e-3, le=100_000)] = 80.0
    """How near z keeps to its direction (kappa); it alone sets the rate."""


Posterior = Annotated[
    GaussianPosteriorConfig
    | BatchNormPosteriorConfig
    | CommittedRatePosteriorConfig
    | VonMisesFisherPosteriorConfig,
    Field(discriminator="kind"),
]


class _TransformerConfig(Frozen):
    """What the two Transformers have in common."""

    kind: Literal["transformer"] = "transformer"
    width: Width = 256
    """Width of the word vectors and of the states."""
    layers: Layers = 2
    """Layers, one above the other."""
    heads: Annotated[int, Field(ge=1, le=1024)] = 4
    """Heads of attention in every layer; they share the width, which they must divide."""
    feedforward_size: Width = 1024
    """Width of the hidden layer between two layers of attention."""

    @field_validator("heads")
    @classmethod
    def _heads_divide_the_width(cls, heads: int, info: ValidationInfo) -> int:
        width = info.data.get("width", heads)  # absent where it is itself mistaken
        if width % heads:
            raise ValueError(f"heads must divide width, which is {width}")
        return heads


class TransformerEncoderConfig(_TransformerConfig):
    """A Transformer that reads both ways; its pooled states are the sentence's features."""

    pooling: Pooling = "max"
    """How the states become one vector: the last one, their mean, or their maximum."""
    dropout: Probability = 0.0
    """Dropout on the word vectors and on what every layer adds."""


class TransformerDecoderConfig(_TransformerConfig):
    """A causal Transformer that sees z in every word vector and as a memory in every layer."""

    dropout: Probability = 0.1
    """Dropout on the word vectors and on what every layer adds."""
    word_dropout: Probability = 0.0
    """The share of previous words that the decoder is not shown in training."""
    tie_weights: bool = False
    """Whether the output layer reuses the word vectors."""


Encoder = Annotated[RecurrentEncoderConfig | TransformerEncoderConfig, Field(discriminator="kind")]
Decoder = Annotated[RecurrentDecoderConfig | TransformerDecoderConfig, Field(discriminator="kind")]


class ModelConfig(Frozen):
    """The network."""

    latent_size: Annotated[int, Field(ge=0, le=MAX_LATENT)] = 32
    """Units of z; 0 leaves the encoder out: a plain language model."""
    posterior: Posterior = GaussianPosteriorConfig()
    """q(z | x) and its prior: gaussian, batch-norm, committed-rate or von-mises-fisher."""
    encoder: Encoder = RecurrentEncoderConfig()
    """From a sentence to its features: lstm, gru or transformer."""
    decoder: Decoder = RecurrentDecoderConfig()
    """From z to a sentence: lstm, gru or transformer."""
    init_scale: Annotated[Annotated[float, Field(gt=0, le=1000)] | None, OrNone] = None
    """Draw initial weights from U(-s, s), embeddings from ten times that; none: torch's own."""

    @field_validator("encoder", "decoder", mode="before")
    @classmethod
    def _kind_was_once_left_out(cls, given: object) -> object:
        """Takes a table without a kind for an LSTM's, as when there was no other."""
        return {"kind": "lstm", **given} if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _a_sphere_has_two_dimensions(self) -> Self:
        if isinstance(self.posterior, VonMisesFisherPosteriorConfig) and self.latent_size == 1:
            raise ValueError("a von-mises-fisher posterior needs latent_size to be 2 at least")
        return self

    @property
    def posterior_size(self) -> int:
        """How many numbers describe a sentence's posterior."""
        if isinstance(self.posterior, VonMisesFisherPosteriorConfig):
            return self.latent_size
        return 2 * self.latent_size


class SeparableCriticConfig(Frozen):
    """Scores are inner products, f(x, z) = g(x) . k(z) / sqrt(m): all pairs in one product."""

    kind: Literal["separable"] = "separable"
    hidden_size: Width = 128
    """Width of the two networks' hidden layers."""
    score_size: Width = 64
    """Width m of the vectors that are multiplied."""


class ConcatenatedCriticConfig(Frozen):
    """One network reads x's features and z side by side: a pass for every pair."""

    kind: Literal["concatenated"] = "concatenated"
    hidden_size: Width = 256
    """Width of the two hidden layers."""


Critic = Annotated[SeparableCriticConfig | ConcatenatedCriticConfig, Field(discriminator="kind")]
