"""Settings of the model: encoder, decoder, posterior and critic network."""

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
from ..limits import MAX_HEADS, MAX_LATENT, MAX_LAYERS, MAX_WIDTH
from ..schema import Frozen, OrNone, Probability

Width = Annotated[int, Field(ge=1, le=MAX_WIDTH)]
Layers = Annotated[int, Field(ge=1, le=MAX_LAYERS)]


class _RecurrentConfig(Frozen):
    kind: Literal["lstm", "gru"] = "lstm"
    embedding_size: Width = 256
    """Size of the token embeddings."""
    hidden_size: Width = 256
    """Size of the hidden states."""
    layers: Layers = 1
    """Number of layers."""


class RecurrentEncoderConfig(_RecurrentConfig):
    """LSTM or GRU encoder; its pooled states are the features of the sentence."""

    hidden_size: Width = 256
    """Size of the hidden states, per direction."""
    bidirectional: bool = False
    """Whether each layer also reads the sentence backwards, which doubles the features."""
    pooling: Pooling = "max"
    """Pooling of the states over the sentence: last, mean or max."""
    dropout: Probability = 0.0
    """Dropout on the embeddings and between layers."""


class RecurrentDecoderConfig(_RecurrentConfig):
    """LSTM or GRU decoder; z sets its initial state and is an input at every step."""

    dropout: Probability = 0.5
    """Dropout on the embeddings, between layers, and before the output layer."""
    word_dropout: Probability = 0.0
    """Share of the decoder's input words replaced by the unknown word in training."""
    tie_weights: bool = False
    """Whether the output layer shares the embeddings' weights; requires equal sizes."""

    @model_validator(mode="after")
    def _tied_widths_are_equal(self) -> Self:
        if self.tie_weights and self.embedding_size != self.hidden_size:
            raise ValueError("tie_weights requires embedding_size and hidden_size to be equal")
        return self


class GaussianPosteriorConfig(Frozen):
    """Gaussian posterior with learnt mean and scale; standard normal prior."""

    kind: Literal["gaussian"] = "gaussian"


class BatchNormPosteriorConfig(Frozen):
    """Gaussian posterior whose means are normalised over each batch (Zhu et al., 2020)."""

    kind: Literal["batch-norm"] = "batch-norm"
    scale: Annotated[float, Field(gt=0, le=1000)] = 0.6
    """Standard deviation (gamma) of the means; each unit's mean rate is at least gamma^2 / 2 nats."""


class CommittedRatePosteriorConfig(Frozen):
    """Gaussian posterior with a minimum distance from the prior (Razavi et al., 2019)."""

    kind: Literal["committed-rate"] = "committed-rate"
    rate: Annotated[float, Field(ge=1e-4, le=100)] = 0.15
    """Minimum rate (delta) of each unit for each sentence, in nats."""


class VonMisesFisherPosteriorConfig(Frozen):
    """Von Mises-Fisher posterior, uniform prior on the sphere (Xu & Durrett, 2018)."""

    kind: Literal["von-mises-fisher"] = "von-mises-fisher"
    concentration: Annotated[float, Field(ge=1e-3, le=100_000)] = 80.0
    """Concentration (kappa) around the mean direction; it alone determines the rate."""


Posterior = Annotated[
    GaussianPosteriorConfig
    | BatchNormPosteriorConfig
    | CommittedRatePosteriorConfig
    | VonMisesFisherPosteriorConfig,
    Field(discriminator="kind"),
]


class _TransformerConfig(Frozen):
    kind: Literal["transformer"] = "transformer"
    width: Width = 256
    """Size of the embeddings and hidden states."""
    layers: Layers = 2
    """Number of layers."""
    heads: Annotated[int, Field(ge=1, le=MAX_HEADS)] = 4
    """Attention heads per layer; must divide the width."""
    feedforward_size: Width = 1024
    """Hidden size of the feed-forward networks."""

    @field_validator("heads")
    @classmethod
    def _heads_divide_the_width(cls, heads: int, info: ValidationInfo) -> int:
        width = info.data.get("width", heads)  # missing if it is invalid
        if width % heads:
            raise ValueError(f"must divide the width, {width}")
        return heads


class TransformerEncoderConfig(_TransformerConfig):
    """Bidirectional Transformer; its pooled states are the features of the sentence."""

    pooling: Pooling = "max"
    """Pooling of the states over the sentence: last, mean or max."""
    dropout: Probability = 0.0
    """Dropout on the embeddings and on the output of each sublayer."""


class TransformerDecoderConfig(_TransformerConfig):
    """Causal Transformer; z is added to every embedding and is a memory slot in every layer."""

    dropout: Probability = 0.1
    """Dropout on the embeddings and on the output of each sublayer."""
    word_dropout: Probability = 0.0
    """Share of the decoder's input words replaced by the unknown word in training."""
    tie_weights: bool = False
    """Whether the output layer shares the embeddings' weights."""


Encoder = Annotated[RecurrentEncoderConfig | TransformerEncoderConfig, Field(discriminator="kind")]
Decoder = Annotated[RecurrentDecoderConfig | TransformerDecoderConfig, Field(discriminator="kind")]


class ModelConfig(Frozen):
    """Encoder, latent code and decoder."""

    latent_size: Annotated[int, Field(ge=0, le=MAX_LATENT)] = 32
    """Number of latent units; 0: a language model without an encoder."""
    posterior: Posterior = GaussianPosteriorConfig()
    """Posterior and prior: gaussian, batch-norm, committed-rate or von-mises-fisher."""
    encoder: Encoder = RecurrentEncoderConfig()
    """Encoder: lstm, gru or transformer."""
    decoder: Decoder = RecurrentDecoderConfig()
    """Decoder: lstm, gru or transformer."""
    init_scale: Annotated[Annotated[float, Field(gt=0, le=1000)] | None, OrNone] = None
    """Initialise weights from U(-s, s) and embeddings from U(-10s, 10s); none: PyTorch defaults."""

    @field_validator("encoder", "decoder", mode="before")
    @classmethod
    def _default_kind(cls, given: object) -> object:
        """Reads a table without a kind as an LSTM's: old configurations have no kinds."""
        return {"kind": "lstm", **given} if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _a_sphere_has_two_dimensions(self) -> Self:
        if isinstance(self.posterior, VonMisesFisherPosteriorConfig) and self.latent_size == 1:
            raise ValueError("a von-mises-fisher posterior requires latent_size to be at least 2")
        return self

    @property
    def posterior_size(self) -> int:
        """Number of posterior parameters per sentence."""
        if isinstance(self.posterior, VonMisesFisherPosteriorConfig):
            return self.latent_size
        return 2 * self.latent_size


class SeparableCriticConfig(Frozen):
    """Separable critic, f(x, z) = g(x) . k(z) / sqrt(m): one matrix product scores all pairs."""

    kind: Literal["separable"] = "separable"
    hidden_size: Width = 128
    """Size of the hidden layers of g and k."""
    score_size: Width = 64
    """Size m of the outputs of g and k."""


class ConcatenatedCriticConfig(Frozen):
    """Concatenated critic: a network that takes the features of x and z; one pass per pair."""

    kind: Literal["concatenated"] = "concatenated"
    hidden_size: Width = 256
    """Size of the two hidden layers."""


Critic = Annotated[SeparableCriticConfig | ConcatenatedCriticConfig, Field(discriminator="kind")]
