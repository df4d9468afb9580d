"""Encoders: from token ids to one feature vector per sentence.

Shapes: B sentences, T tokens, E embedding, H hidden units, F features.
"""

__all__ = ["Recurrent", "RecurrentEncoder", "pool"]

import math
from typing import assert_never

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ..choices import Pooling
from ..config.model import RecurrentDecoderConfig, RecurrentEncoderConfig
from ..data.batches import Batch
from .dropout import Dropout


class Recurrent(nn.Module):
    """A module with an LSTM or a GRU, which is an attribute of that name."""

    kind: str

    def _add_network(
        self,
        config: RecurrentEncoderConfig | RecurrentDecoderConfig,
        input_size: int,
        bidirectional: bool = False,
    ) -> None:
        self.kind = config.kind
        network = (nn.LSTM if config.kind == "lstm" else nn.GRU)(
            input_size,
            config.hidden_size,
            config.layers,
            batch_first=True,
            dropout=config.dropout if config.layers > 1 else 0.0,  # applies between layers
            bidirectional=bidirectional,
        )
        self.add_module(config.kind, network)

    @property
    def network(self) -> nn.LSTM | nn.GRU:
        """The LSTM or the GRU."""
        network = getattr(self, self.kind)
        assert isinstance(network, nn.LSTM | nn.GRU)
        return network


class RecurrentEncoder(Recurrent):
    """An LSTM or a GRU; the features are the pooled states of its top layer.

    Pooling affects posterior collapse: at initialisation, the maximum or mean over all states
    differs between sentences, but the last state barely does (Long et al., 2019).
    """

    def __init__(self, config: RecurrentEncoderConfig, vocab_size: int) -> None:
        super().__init__()
        self.pooling = config.pooling
        self.bidirectional = config.bidirectional
        self.features = config.hidden_size * (2 if config.bidirectional else 1)
        self.embedding = nn.Embedding(vocab_size, config.embedding_size)
        self.dropout = Dropout(config.dropout)
        self._add_network(config, config.embedding_size, config.bidirectional)

    def forward(self, batch: Batch) -> Tensor:
        """Returns the features of a batch, with shape (B, F)."""
        embedded = self.dropout(self.embedding(batch.tokens))  # (B, T, E)
        if not self.bidirectional:  # padding on the right has no effect
            return pool(self.network(embedded)[0], batch, self.pooling)
        packed = pack_padded_sequence(
            embedded, batch.lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        states, final = self.network(packed)
        if self.pooling == "last":
            hidden = final[0] if self.kind == "lstm" else final  # one row per layer and direction
            return torch.cat([hidden[-2], hidden[-1]], dim=-1)
        width = batch.tokens.shape[1]
        padded, _ = pad_packed_sequence(states, batch_first=True, total_length=width)
        return pool(padded, batch, self.pooling)


def pool(states: Tensor, batch: Batch, pooling: Pooling) -> Tensor:
    """Returns one vector per sentence (B, F) from its states (B, T, F), ignoring padding."""
    mask = batch.mask[..., None]  # (B, T, 1)
    match pooling:
        case "last":
            return states[torch.arange(len(states), device=states.device), batch.lengths - 1]
        case "mean":
            return states.masked_fill(~mask, 0.0).sum(dim=1) / batch.lengths[:, None]
        case "max":
            return states.masked_fill(~mask, -math.inf).amax(dim=1)
        case _:
            assert_never(pooling)
