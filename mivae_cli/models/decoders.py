r"""Decoders: from z to a distribution over sentences, :math:`p(x \mid z)`.

.. math:: \log p(x \mid z) = \sum_{t=1}^{T+1} \log p(x_t \mid x_{<t}, z)

where :math:`x_0` and :math:`x_{T+1}` are the sentence's boundaries.

Shapes: B sentences, T tokens, V vocabulary, E embedding, H hidden units, L layers, Z latent
units, G gates (4 H for an LSTM, 3 H for a GRU), K samples of z a sentence, M sequences side by
side.
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
from .matmul import product
from .output_layer import OutputLayer

Layer = tuple[Tensor, ...]


@dataclass(frozen=True)
class State:
    """What a decoder carries from word to word of M sequences, which all its tensors begin with.

    A layer carries its hidden state (M, H), an LSTM's its cell state as well; a Transformer's
    carries keys and values.
    """

    layers: tuple[Layer, ...]
    of_latent: Tensor  # z's part of what is read with every word, (M, G) or (M, H)

    def __getitem__(self, rows: Tensor | slice) -> "State":
        """Returns the state of some of the sequences."""
        layers = tuple(tuple(part[rows] for part in layer) for layer in self.layers)
        return State(layers, self.of_latent[rows])


class Decoder(nn.Module, ABC):
    """What all decoders share: how words and z become log-likelihoods.

    With Z = 0 a decoder is an ordinary language model.
    """

    embedding: nn.Embedding
    word_dropout: WordDropout
    dropout: Dropout
    output: OutputLayer

    def forward(self, batch: Batch, z: Tensor) -> Tensor:
        r"""Returns :math:`\log p(x \mid z)` in nats.

        Arguments:
            batch: The sentences x.
            z: One latent a sentence with shape (B, Z), or K with shape (K, B, Z).

        Returns:
            The log-likelihoods, with the shape of z less its last dimension.
        """
        if z.dim() == 3 and not (self.training or torch.is_grad_enabled()):
            return self._of_samples(batch, z)
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
        """What lies between the word vectors and the output layer."""

    @abstractmethod
    def start(self, z: Tensor) -> State:
        """Returns the state before the first word, for z with shape (M, Z)."""

    @abstractmethod
    def step(self, previous: Tensor, state: State) -> tuple[Tensor, State]:
        """Returns the logits of the next word (M, V) and the state after the words before.

        Arguments:
            previous: The ids of the words before, with shape (M,).
            state: The state before those words were read.
        """

    @abstractmethod
    def _states(self, words: Tensor, z: Tensor) -> Tensor:
        """Returns what the output layer reads, (M, T + 1, H), of word vectors (M, T + 1, E)."""

    @abstractmethod
    def _of_samples(self, batch: Batch, z: Tensor) -> Tensor:
        """Returns the log-likelihoods (K, B) of z with shape (K, B, Z), to be quick and small.

        Memory depends neither on K and B nor, as far as can be, on the length of sentences.
        """


class RecurrentDecoder(Decoder):
    r"""An LSTM or a GRU that reads :math:`[x_{t-1}; z]`, in one layer or more.

    Every layer begins from :math:`c_0 = W z, h_0 = \tanh c_0` with a W of its own; a GRU has no
    :math:`c`, but begins from the same :math:`h_0`.
    """

    def __init__(self, config: RecurrentDecoderConfig, vocab_size: int, latent_size: int) -> None:
        super().__init__()
        self.kind, layers = config.kind, config.layers
        self.word_dropout = WordDropout(config.word_dropout)
        self.embedding = nn.Embedding(vocab_size, config.embedding_size)
        self.dropout = Dropout(config.dropout)
        self.initial = nn.Linear(latent_size, layers * config.hidden_size) if latent_size else None
        network = (nn.LSTM if self.kind == "lstm" else nn.GRU)(
            config.embedding_size + latent_size,
            config.hidden_size,
            layers,
            batch_first=True,
            dropout=config.dropout if layers > 1 else 0.0,  # which has no place in a single one
        )
        self.add_module(self.kind, network)
        tied = self.embedding.weight if config.tie_weights else None
        self.output = OutputLayer(config.hidden_size, vocab_size, tied)

    @property
    def network(self) -> nn.LSTM | nn.GRU:
        """The LSTM or the GRU."""
        network = getattr(self, self.kind)
        assert isinstance(network, nn.LSTM | nn.GRU)
        return network

    def start(self, z: Tensor) -> State:
        """Returns the state before the first word, for z with shape (M, Z)."""
        of_inputs, _, bias, more = self.network.all_weights[0]
        of_z = of_inputs[:, self.embedding.embedding_dim :]
        # a GRU's second bias is added to what its reset gate acts upon
        return State(self._first(z), linear(z, of_z, bias + more if self.kind == "lstm" else bias))

    def step(self, previous: Tensor, state: State) -> tuple[Tensor, State]:
        """Returns the logits of the next word (M, V) and the state after the words before.

        Arguments:
            previous: The ids of the words before, with shape (M,).
            state: The state before those words were read.
        """
        state = self._advance(previous, state)
        return self.output(state.layers[-1][0]), state

    def _states(self, words: Tensor, z: Tensor) -> Tensor:
        words = self.dropout(words)
        everywhere = z[:, None].expand(-1, words.shape[1], -1)  # (M, T + 1, Z)
        first = tuple(torch.stack(part) for part in zip(*self._first(z), strict=True))
        states, _ = self.network(
            torch.cat([words, everywhere], dim=-1), first if self.kind == "lstm" else first[0]
        )
        dropped: Tensor = self.dropout(states)
        return dropped

    def _advance(self, previous: Tensor, state: State) -> State:
        """Reads a word, with shape (M,), or with (M / K,) one for K neighbouring sequences."""
        layers: list[Layer] = []
        for carried, weights in zip(state.layers, self.network.all_weights, strict=True):
            of_inputs, of_hidden, bias, more = weights
            lstm, lowest = self.kind == "lstm", not layers
            if lowest:
                read = state.of_latent
            else:
                read = product(layers[-1][0], of_inputs, bias + more if lstm else bias)
            kept = product(carried[0], of_hidden, None if lstm else more)
            gates = kept + read if lstm else read.clone()
            if lowest:  # the words' part is the same for all samples
                of_words = of_inputs[:, : self.embedding.embedding_dim]
                said = linear(self.embedding(previous), of_words)
                gates.view(len(previous), -1, gates.shape[1]).add_(said[:, None])
            layers.append(_lstm(gates, carried[1]) if lstm else _gru(gates, kept, carried[0]))
        return State(tuple(layers), state.of_latent)

    def _of_samples(self, batch: Batch, z: Tensor) -> Tensor:
        """Returns the log-likelihoods (K, B) of z with shape (K, B, Z), to be quick and small.

        The words' part of the gates is shared by the K samples, z's part by all words; a
        sentence that has ended costs no more; and nothing is kept from word to word.
        """
        lengths, order = batch.lengths.sort(descending=True)
        samples, longest_first = len(z), lengths.tolist()
        state = self.start(z[:, order].transpose(0, 1).flatten(end_dim=1))  # (B K, Z)
        inputs, targets = batch.inputs()[order], batch.targets()[order]
        total = z.new_zeros(len(batch), samples)
        for step in range(longest_first[0] + 1):
            going = sum(length >= step for length in longest_first)
            state = self._advance(inputs[:going, step], state[: going * samples])
            said = targets[:going, step].repeat_interleave(samples)
            log_probs = self.output.log_prob(state.layers[-1][0], said)
            total[:going] += log_probs.view(going, samples)
        return total[order.argsort()].T

    def _first(self, z: Tensor) -> tuple[Layer, ...]:
        """Returns what each layer carries before the first word."""
        network = self.network
        if self.initial is None:
            cells = z.new_zeros(len(z), network.num_layers * network.hidden_size)
        else:
            cells = self.initial(z)
        parts = cells.chunk(network.num_layers, dim=-1)
        return tuple((c.tanh(), c) if self.kind == "lstm" else (c.tanh(),) for c in parts)


def _lstm(gates: Tensor, cell: Tensor) -> Layer:
    """Returns the next hidden and cell state, (M, H) each, of gates (M, 4 H)."""
    enter, keep, new, leave = gates.chunk(4, dim=-1)
    cell = keep.sigmoid() * cell + enter.sigmoid() * new.tanh()
    return leave.sigmoid() * cell.tanh(), cell


def _gru(read: Tensor, kept: Tensor, hidden: Tensor) -> Layer:
    """Returns the next hidden state, (M, H), of what was read and what was kept, (M, 3 H) each."""
    reset, keep, new = read.chunk(3, dim=-1)
    more_reset, more_keep, old = kept.chunk(3, dim=-1)
    new = (new + (reset + more_reset).sigmoid() * old).tanh()
    return (new + (keep + more_keep).sigmoid() * (hidden - new),)
