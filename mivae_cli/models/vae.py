r"""The text VAE: encoder, posterior and decoder.

Shapes: B sentences, F features, Z latent units.
"""

__all__ = ["VAE", "Encoding", "build_model"]

from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

import torch
from torch import Tensor, nn

from ..config.model import (
    ModelConfig,
    RecurrentDecoderConfig,
    RecurrentEncoderConfig,
    TransformerDecoderConfig,
    TransformerEncoderConfig,
)
from ..data.batches import Batch
from .decoders import Decoder, RecurrentDecoder
from .encoders import RecurrentEncoder
from .latent import DiagonalGaussian, Posterior
from .posterior_heads import build_head, build_prior
from .transformer import TransformerDecoder, TransformerEncoder


@dataclass(frozen=True)
class Encoding:
    """The output of the encoder for a batch."""

    features: Tensor  # (B, F), the critic's input from x
    posterior: Posterior  # q(z | x)


class VAE(nn.Module):
    r"""The networks of :math:`q(z \mid x)` and :math:`p(x \mid z)`; with Z = 0, a language model."""

    def __init__(self, config: ModelConfig, vocab_size: int) -> None:
        super().__init__()
        self.latent_size = config.latent_size
        self.prior = build_prior(config.posterior, config.latent_size)
        self.decoder = _decoder(config, vocab_size)
        if config.latent_size:
            self.encoder = _encoder(config, vocab_size)
            self.head = build_head(config.posterior, self.encoder.features, config.latent_size)

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.decoder.output.bias.device

    @property
    def features(self) -> int:
        """The number F of features; 0 for a language model."""
        return self.encoder.features if self.latent_size else 0

    def word_parameters(self) -> Iterator[nn.Parameter]:
        """Yields the decoder's weights per word: those of its embedding and its output layer."""
        yield from self.decoder.embedding.parameters()
        yield from self.decoder.output.parameters()

    def encode(self, batch: Batch) -> Encoding:
        """Returns the features and the posterior of each sentence."""
        if not self.latent_size:
            nothing = self.decoder.output.bias.new_empty(len(batch), 0)
            return Encoding(nothing, DiagonalGaussian(nothing, nothing))
        features = self.encoder(batch)
        with torch.autocast(features.device.type, enabled=False):  # rates need full precision
            features = features.to(self.head.linear.weight.dtype)
            return Encoding(features, self.head(features))

    def log_likelihood(self, batch: Batch, z: Tensor) -> Tensor:
        r"""Returns :math:`\log p(x \mid z)`, in nats, for z of shape (..., B, Z): (..., B)."""
        likelihood: Tensor = self.decoder(batch, z)
        return likelihood


def build_model(config: ModelConfig, vocab_size: int) -> VAE:
    """Builds a model with random weights."""
    model = VAE(config, vocab_size)
    if (scale := config.init_scale) is not None:
        for name, parameter in model.named_parameters():
            if "norm" in name:  # its weights must start at 1
                continue
            width = 10 * scale if "embedding" in name else scale
            nn.init.uniform_(parameter, -width, width)
    return model


def _encoder(config: ModelConfig, vocab_size: int) -> RecurrentEncoder | TransformerEncoder:
    match config.encoder:
        case RecurrentEncoderConfig() as encoder:
            return RecurrentEncoder(encoder, vocab_size)
        case TransformerEncoderConfig() as encoder:
            return TransformerEncoder(encoder, vocab_size)
        case _:
            assert_never(config.encoder)


def _decoder(config: ModelConfig, vocab_size: int) -> Decoder:
    match config.decoder:
        case RecurrentDecoderConfig() as decoder:
            return RecurrentDecoder(decoder, vocab_size, config.latent_size)
        case TransformerDecoderConfig() as decoder:
            return TransformerDecoder(decoder, vocab_size, config.latent_size)
        case _:
            assert_never(config.decoder)
