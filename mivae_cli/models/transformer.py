r"""Pre-norm Transformers (Vaswani et al., 2017).

.. math::
    h &\leftarrow h + \mathrm{attention}(\mathrm{norm}(h)) \\
    h &\leftarrow h + W_2 \, \mathrm{GELU}(W_1 \, \mathrm{norm}(h))

in every layer. The input is :math:`\sqrt{H}` times the word vectors plus sinusoidal position
encodings, so the sentence length is not limited.

Shapes: B sentences, T tokens, V vocabulary, H width, L layers, N heads, D = H / N, F units of a
hidden layer, Z latent units, K samples of z per sentence, M sequences in parallel, S attended
positions.

References:
    | Attention Is All You Need (Vaswani et al., 2017)
    | Optimus: Organizing Sentences via Pre-trained Modeling of a Latent Space (Li et al., 2020),
      for the two inputs of z to the decoder
"""

__all__ = ["TransformerDecoder", "TransformerEncoder"]

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from ..config.model import TransformerDecoderConfig, TransformerEncoderConfig
from ..data.batches import Batch
from .decoders import Decoder, Layer, State
from .dropout import Dropout, WordDropout
from .encoders import pool
from .output_layer import OutputLayer

TOKENS = 4096  # per piece without gradients: fewer than in a training step
LONGEST_WAVE = 10_000  # longest wavelength of the position encoding, divided by 2 pi


class TransformerEncoder(nn.Module):
    """A bidirectional Transformer; the features are the pooled states of its top layer."""

    def __init__(self, config: TransformerEncoderConfig, vocab_size: int) -> None:
        super().__init__()
        self.pooling = config.pooling
        self.features = config.width
        self.embedding = _embedding(vocab_size, config.width)
        self.dropout = Dropout(config.dropout)
        self.transformer = _Transformer(config)

    def forward(self, batch: Batch) -> Tensor:
        """Returns the features of a batch, with shape (B, H)."""
        words = _with_positions(self.embedding(batch.tokens))
        mask = batch.mask[:, None, None]  # (B, 1, 1, T)
        states, _ = self.transformer(self.dropout(words), mask)
        return pool(states, batch, self.pooling)


class TransformerDecoder(Decoder):
    """A causal Transformer with two inputs of z (Li et al., 2020).

    A linear function of z is added to every word vector. In addition, every layer attends to one
    position before the first word (memory), whose key and value are linear functions of z.
    """

    def __init__(
        self, config: TransformerDecoderConfig, vocab_size: int, latent_size: int
    ) -> None:
        super().__init__()
        self.word_dropout = WordDropout(config.word_dropout)
        self.embedding = _embedding(vocab_size, config.width)
        self.dropout = Dropout(config.dropout)
        if latent_size:
            self.added = nn.Linear(latent_size, config.width, bias=False)
            self.memory = nn.Linear(latent_size, config.layers * 2 * config.width)
        self.latent_size = latent_size
        self.transformer = _Transformer(config)
        tied = self.embedding.weight if config.tie_weights else None
        self.output = OutputLayer(config.width, vocab_size, tied)

    @property
    def network(self) -> nn.Module:
        """The network between the word vectors and the output layer."""
        return self.transformer

    def start(self, z: Tensor) -> State:
        """Returns the state before the first word, for z with shape (M, Z)."""
        layers, heads = len(self.transformer.layers), self.transformer.heads
        count, width = len(z), self.embedding.embedding_dim
        if not self.latent_size:
            nothing = z.new_zeros(count, heads, 0, width // heads)
            return State(((nothing, nothing),) * layers, z.new_zeros(count, width))
        memory = self.memory(z).view(count, layers, 2, heads, 1, width // heads)
        past = tuple((layer[:, 0], layer[:, 1]) for layer in memory.unbind(1))
        return State(past, self.added(z))

    def step(self, previous: Tensor, state: State) -> tuple[Tensor, State]:
        """Returns the logits of the next word (M, V), and the new state."""
        place = state.layers[0][0].shape[2] - bool(self.latent_size)
        words = _with_positions(self.embedding(previous)[:, None], place)
        states, layers = self.transformer(words + state.latent_input[:, None], past=state.layers)
        return self.output(states[:, 0]), State(layers, state.latent_input)

    def _states(self, words: Tensor, z: Tensor) -> Tensor:
        state = self.start(z)
        words = self.dropout(_with_positions(words) + state.latent_input[:, None])
        places = words.shape[1]
        before = places + state.layers[0][0].shape[2]
        mask = torch.ones(places, before, dtype=torch.bool, device=z.device)
        found: Tensor = self.transformer(words, mask.tril(before - places), state.layers)[0]
        return found

    def _log_prob_of_samples(self, batch: Batch, z: Tensor) -> Tensor:
        """Returns the log-likelihoods (K, B), without gradients.

        They are computed in pieces of at most `TOKENS` tokens, or of one sequence.
        """
        samples, device = len(z), z.device
        ordered = sorted((length, row) for row, length in enumerate(batch.lengths.tolist()))
        pairs = [(length, row, k) for length, row in ordered for k in range(samples)]
        total = z.new_empty(samples, len(batch))
        while pairs:
            # longest first, so that little padding is needed
            longest = pairs[-1][0]
            piece = pairs[-max(1, TOKENS // (longest + 1)) :]
            del pairs[-len(piece) :]
            lengths, rows, ks = torch.tensor(piece, device=device).unbind(1)
            total[ks, rows] = self(Batch(batch.tokens[rows, :longest], lengths), z[ks, rows])
        return total


class _Transformer(nn.Module):
    """Layers, followed by a final norm."""

    def __init__(self, config: TransformerEncoderConfig | TransformerDecoderConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.layers = nn.ModuleList(
            _Layer(config.width, config.heads, config.feedforward_size, config.dropout)
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.width)

    def forward(
        self, states: Tensor, mask: Tensor | None = None, past: tuple[Layer, ...] | None = None
    ) -> tuple[Tensor, tuple[Layer, ...]]:
        """Returns the states of the top layer, and the keys and values of each layer.

        Arguments:
            states: Word vectors, with shape (M, T, H).
            mask: True at the positions to attend to, broadcastable to (M, N, T, S).
            past: Keys and values (M, N, S - T, D) of the earlier positions in each layer.
        """
        seen: list[Layer] = []
        for place, layer in enumerate(self.layers):
            states, keys, values = layer(states, mask, past[place] if past else None)
            seen.append((keys, values))
        return self.norm(states), tuple(seen)


class _Layer(nn.Module):
    """Self-attention and a feed-forward layer, each with a residual connection."""

    def __init__(self, width: int, heads: int, feedforward_size: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.projection = nn.Linear(width, 3 * width)  # to queries, keys and values
        self.attended = nn.Linear(width, width)
        self.feedforward_norm = nn.LayerNorm(width)
        self.hidden = nn.Linear(width, feedforward_size)
        self.feedforward = nn.Linear(feedforward_size, width)
        self.dropout = Dropout(dropout)

    def forward(
        self, states: Tensor, mask: Tensor | None, past: Layer | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the states of the next layer (M, T, H), and keys and values, (M, N, S, D) each."""
        projected = self.projection(self.attention_norm(states))
        queries, keys, values = projected.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        if past is not None:
            keys, values = (
                torch.cat(parts, dim=2) for parts in zip(past, (keys, values), strict=True)
            )
        found = scaled_dot_product_attention(queries, keys, values, mask)  # (M, N, T, D)
        states = states + self.dropout(self.attended(found.transpose(1, 2).flatten(2)))
        hidden = gelu(self.hidden(self.feedforward_norm(states)))
        return states + self.dropout(self.feedforward(hidden)), keys, values


def _embedding(vocab_size: int, width: int) -> nn.Embedding:
    """Returns word vectors of about unit length, suitable for a tied output layer."""
    embedding = nn.Embedding(vocab_size, width)
    nn.init.normal_(embedding.weight, std=width**-0.5)
    return embedding


def _with_positions(words: Tensor, first: int = 0) -> Tensor:
    """Returns scaled word vectors plus position encodings (M, T, H), from position `first` on."""
    places, width = words.shape[-2:]
    exponents = torch.arange(0, width, 2, device=words.device, dtype=words.dtype) / width
    time = torch.arange(first, first + places, device=words.device, dtype=words.dtype)
    angles = time[:, None] * LONGEST_WAVE**-exponents
    waves = torch.cat([angles.sin(), angles.cos()], dim=-1)[:, :width]  # (T, H)
    return words * math.sqrt(width) + waves
