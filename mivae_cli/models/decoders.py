r"""Decoders: from z to a distribution over sentences, :math:`p(x \mid z)`.

.. math:: \log p(x \mid z) = \sum_{t=1}^{T+1} \log p(x_t \mid x_{<t}, z)

where :math:`x_0` and :math:`x_{T+1}` are the sentence's boundaries.

Shapes: B sentences, T tokens, V vocabulary, E embedding, H hidden units, Z latent units,
K samples of z a sentence, M sequences side by side.
"""

__all__ = ["LSTMDecoder", "State"]

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from ..config import LSTMDecoderConfig
from ..data.batches import Batch
from ..data.tokenizer import UNKNOWN
from .dropout import Dropout
from .output import OutputLayer
from .products import product


@dataclass(frozen=True)
class State:
    """What an LSTM decoder carries from word to word of M sequences."""

    hidden: Tensor  # (M, H)
    cell: Tensor  # (M, H)
    gates: Tensor  # (M, 4 H), z's part of the gates, the same at every word

    def __getitem__(self, rows: Tensor | slice) -> "State":
        """Returns the state of some of the sequences."""
        return State(self.hidden[rows], self.cell[rows], self.gates[rows])


class LSTMDecoder(nn.Module):
    r"""An LSTM that reads :math:`[x_{t-1}; z]`, from :math:`c_0 = W z, h_0 = \tanh c_0`.

    With Z = 0 it is an ordinary LSTM language model.
    """

    def __init__(self, config: LSTMDecoderConfig, vocab_size: int, latent_size: int) -> None:
        super().__init__()
        self.word_dropout = config.word_dropout
        self.embedding = nn.Embedding(vocab_size, config.embedding_size)
        self.dropout = Dropout(config.dropout)
        self.initial = nn.Linear(latent_size, config.hidden_size) if latent_size else None
        self.lstm = nn.LSTM(
            config.embedding_size + latent_size, config.hidden_size, batch_first=True
        )
        tied = self.embedding.weight if config.tie_weights else None
        self.output = OutputLayer(config.hidden_size, vocab_size, tied)

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
        words = self.embedding(self._dropped(batch.inputs()))  # (B, T + 1, E)
        words = self.dropout(words.repeat(copies, 1, 1))  # (M, T + 1, E)
        everywhere = flat[:, None].expand(-1, words.shape[1], -1)  # (M, T + 1, Z)
        states, _ = self.lstm(torch.cat([words, everywhere], dim=-1), self._first(flat))
        mask, targets = batch.target_mask(), batch.targets()
        log_probs = self.output.log_prob(
            self.dropout(states), targets.repeat(copies, 1), mask.repeat(copies, 1)
        )
        return log_probs.sum(dim=-1).view(z.shape[:-1])

    def start(self, z: Tensor) -> State:
        """Returns the state before the first word, for z with shape (M, Z)."""
        hidden, cell = self._first(z)
        of_inputs, _, bias, more = self.lstm.all_weights[0]
        of_z = of_inputs[:, self.embedding.embedding_dim :]
        return State(hidden[0], cell[0], linear(z, of_z, bias + more))

    def step(self, previous: Tensor, state: State) -> tuple[Tensor, State]:
        """Returns the logits of the next word (M, V) and the state after the words before.

        Arguments:
            previous: The ids of the words before, with shape (M,).
            state: The state before those words were read.
        """
        state = self._advance(previous, state)
        return self.output(state.hidden), state

    def _advance(self, previous: Tensor, state: State) -> State:
        """Reads a word, with shape (M,), or with (M / K,) one for K neighbouring sequences."""
        of_inputs, of_hidden, *_ = self.lstm.all_weights[0]
        of_words = linear(self.embedding(previous), of_inputs[:, : self.embedding.embedding_dim])
        gates = product(state.hidden, of_hidden) + state.gates
        gates.view(len(previous), -1, gates.shape[1]).add_(of_words[:, None])
        enter, keep, new, leave = gates.chunk(4, dim=-1)
        cell = keep.sigmoid() * state.cell + enter.sigmoid() * new.tanh()
        return State(leave.sigmoid() * cell.tanh(), cell, state.gates)

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
            total[:going] += self.output.log_prob(state.hidden, said).view(going, samples)
        return total[order.argsort()].T

    def _first(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the first hidden and cell state, as torch's LSTM takes them: (1, M, H)."""
        if self.initial is None:
            zeros = z.new_zeros(1, len(z), self.lstm.hidden_size)
            return zeros, zeros
        cell = self.initial(z)[None]
        return cell.tanh(), cell

    def _dropped(self, inputs: Tensor) -> Tensor:
        """Hides a share of the previous words, the boundary apart, in training."""
        if not (self.training and self.word_dropout):
            return inputs
        hidden = torch.rand(inputs.shape, device=inputs.device) < self.word_dropout
        hidden[:, 0] = False
        return inputs.masked_fill(hidden, UNKNOWN)
