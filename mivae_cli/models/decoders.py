r"""Decoders: from z to a distribution over sentences, :math:`p(x \mid z)`.

.. math:: \log p(x \mid z) = \sum_{t=1}^{T+1} \log p(x_t \mid x_{<t}, z)

where :math:`x_0` and :math:`x_{T+1}` are the boundary tokens of the sentence.

Shapes: B sentences, T tokens, V vocabulary, E embedding, H hidden units, L layers, Z latent
units, G gates (4 H for an LSTM, 3 H for a GRU), K samples of z per sentence, M sequences in
parallel.
"""

__all__ = ["Decoder", "RecurrentDecoder", "State"]

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from ..config.model import RecurrentDecoderConfig
from ..data.batches import Batch
from .dropout import Dropout, WordDropout
from .encoders import Recurrent
from .output_layer import OutputLayer, product

Layer = tuple[Tensor, ...]


@dataclass(frozen=True)
class State:
    """The state of a decoder between two words; the first dimension of all tensors is M.

    The state of a layer is its hidden state (M, H), for an LSTM also its cell state (M, H), and
    for a Transformer its keys and values.
    """

    layers: tuple[Layer, ...]
    latent_input: Tensor  # the contribution of z to the input of every step, (M, G) or (M, H)

    def __getitem__(self, rows: Tensor | slice) -> "State":
        """Returns the state of some of the sequences."""
        layers = tuple(tuple(part[rows] for part in layer) for layer in self.layers)
        return State(layers, self.latent_input[rows])


class Decoder(nn.Module, ABC):
    """Base class of decoders: computes log-likelihoods from words and z.

    With Z = 0, a decoder is an ordinary language model.
    """

    embedding: nn.Embedding
    word_dropout: WordDropout
    dropout: Dropout
    output: OutputLayer

    def forward(self, batch: Batch, z: Tensor) -> Tensor:
        r"""Returns :math:`\log p(x \mid z)` in nats, (B,) for z (B, Z), (K, B) for z (K, B, Z)."""
        if z.dim() == 3 and not (self.training or torch.is_grad_enabled()):
            return self._log_prob_of_samples(batch, z)
        flat = z.flatten(end_dim=-2)  # (M, Z)
        copies = len(flat) // len(batch)
        words = self.embedding(self.word_dropout(batch.inputs()))  # (B, T + 1, E)
        states = self._states(words.repeat(copies, 1, 1), flat)  # (M, T + 1, H)
        mask, targets = batch.target_mask(), batch.targets()
        log_probs = self.output.log_prob(states, targets.repeat(copies, 1), mask.repeat(copies, 1))
        return log_probs.sum(dim=-1).view(z.shape[:-1])

    @property
    @abstractmethod
    def network(self) -> nn.Module:
        """The network between the word vectors and the output layer."""

    @abstractmethod
    def start(self, z: Tensor) -> State:
        """Returns the state before the first word, for z with shape (M, Z)."""

    @abstractmethod
    def step(self, previous: Tensor, state: State) -> tuple[Tensor, State]:
        """Returns the logits of the next word (M, V), and the state after the previous words (M,)."""

    @abstractmethod
    def _states(self, words: Tensor, z: Tensor) -> Tensor:
        """Returns the input of the output layer, (M, T + 1, H), for word vectors (M, T + 1, E)."""

    @abstractmethod
    def _log_prob_of_samples(self, batch: Batch, z: Tensor) -> Tensor:
        """Returns the log-likelihoods (K, B) for z with shape (K, B, Z), without gradients.

        Memory does not grow with K or B, and as little as possible with the sentence length.
        """


class RecurrentDecoder(Recurrent, Decoder):
    r"""An LSTM or a GRU with one or more layers, whose input is :math:`[x_{t-1}; z]`.

    The initial state of each layer is :math:`c_0 = W z, h_0 = \tanh c_0`, with one W per layer; a
    GRU has only :math:`h_0`.
    """

    def __init__(self, config: RecurrentDecoderConfig, vocab_size: int, latent_size: int) -> None:
        super().__init__()
        self.word_dropout = WordDropout(config.word_dropout)
        self.embedding = nn.Embedding(vocab_size, config.embedding_size)
        self.dropout = Dropout(config.dropout)
        cells = config.layers * config.hidden_size
        self.initial = nn.Linear(latent_size, cells) if latent_size else None
        self._add_network(config, config.embedding_size + latent_size)
        tied = self.embedding.weight if config.tie_weights else None
        self.output = OutputLayer(config.hidden_size, vocab_size, tied)

    def start(self, z: Tensor) -> State:
        """Returns the state before the first word, for z with shape (M, Z)."""
        input_weight, _, bias, hidden_bias = self.network.all_weights[0]
        latent_weight = input_weight[:, self.embedding.embedding_dim :]
        # the reset gate of a GRU acts on its hidden bias, which `_advance` therefore adds
        total_bias = bias + hidden_bias if self.kind == "lstm" else bias
        return State(self._initial_layers(z), linear(z, latent_weight, total_bias))

    def step(self, previous: Tensor, state: State) -> tuple[Tensor, State]:
        """Returns the logits of the next word (M, V), and the new state."""
        state = self._advance(previous, state)
        return self.output(state.layers[-1][0]), state

    def _states(self, words: Tensor, z: Tensor) -> Tensor:
        words = self.dropout(words)
        repeated = z[:, None].expand(-1, words.shape[1], -1)  # (M, T + 1, Z)
        first = tuple(torch.stack(part) for part in zip(*self._initial_layers(z), strict=True))
        states, _ = self.network(
            torch.cat([words, repeated], dim=-1), first if self.kind == "lstm" else first[0]
        )
        dropped: Tensor = self.dropout(states)
        return dropped

    def _advance(self, previous: Tensor, state: State) -> State:
        """Returns the state after a word: ids with shape (M,), or (M / K,), each for K sequences."""
        layers: list[Layer] = []
        for carried, weights in zip(state.layers, self.network.all_weights, strict=True):
            input_weight, hidden_weight, bias, hidden_bias = weights
            lstm, lowest = self.kind == "lstm", not layers
            if lowest:
                read = state.latent_input
            else:
                read = product(layers[-1][0], input_weight, bias + hidden_bias if lstm else bias)
            kept = product(carried[0], hidden_weight, None if lstm else hidden_bias)
            gates = kept + read if lstm else read.clone()
            if lowest:  # the K samples share the contribution of the words
                word_weight = input_weight[:, : self.embedding.embedding_dim]
                of_words = linear(self.embedding(previous), word_weight)
                gates.view(len(previous), -1, gates.shape[1]).add_(of_words[:, None])
            layers.append(_lstm(gates, carried[1]) if lstm else _gru(gates, kept, carried[0]))
        return State(tuple(layers), state.latent_input)

    def _log_prob_of_samples(self, batch: Batch, z: Tensor) -> Tensor:
        """Returns the log-likelihoods (K, B) for z with shape (K, B, Z), without gradients.

        The K samples share the contribution of the words to the gates, and all words that of z.
        Finished sentences are dropped from the computation.
        """
        lengths, order = batch.lengths.sort(descending=True)
        samples, longest_first = len(z), lengths.tolist()
        state = self.start(z[:, order].transpose(0, 1).flatten(end_dim=1))  # (B K, Z)
        inputs, targets = batch.inputs()[order], batch.targets()[order]
        total = z.new_zeros(len(batch), samples)
        for step in range(longest_first[0] + 1):
            active = sum(length >= step for length in longest_first)
            state = self._advance(inputs[:active, step], state[: active * samples])
            words = targets[:active, step].repeat_interleave(samples)
            log_probs = self.output.log_prob(state.layers[-1][0], words)
            total[:active] += log_probs.view(active, samples)
        return total[order.argsort()].T

    def _initial_layers(self, z: Tensor) -> tuple[Layer, ...]:
        """Returns the state of each layer before the first word."""
        network = self.network
        if self.initial is None:
            cells = z.new_zeros(len(z), network.num_layers * network.hidden_size)
        else:
            cells = self.initial(z)
        parts = cells.chunk(network.num_layers, dim=-1)
        return tuple((c.tanh(), c) if self.kind == "lstm" else (c.tanh(),) for c in parts)


def _lstm(gates: Tensor, cell: Tensor) -> Layer:
    """Returns the next hidden and cell state, (M, H) each, for gates (M, 4 H)."""
    enter, keep, new, leave = gates.chunk(4, dim=-1)
    cell = keep.sigmoid() * cell + enter.sigmoid() * new.tanh()
    return leave.sigmoid() * cell.tanh(), cell


def _gru(read: Tensor, kept: Tensor, hidden: Tensor) -> Layer:
    """Returns the next hidden state (M, H), for the gates of input and state, (M, 3 H) each."""
    reset, keep, new = read.chunk(3, dim=-1)
    more_reset, more_keep, old = kept.chunk(3, dim=-1)
    new = (new + (reset + more_reset).sigmoid() * old).tanh()
    return (new + (keep + more_keep).sigmoid() * (hidden - new),)
