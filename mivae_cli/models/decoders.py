r"""Decoders: from z to a distribution over sentences, :math:`p(x \mid z)`.

.. math:: \log p(x \mid z) = \sum_{t=1}^{T+1} \log p(x_t \mid x_{<t}, z)

where :math:`x_0` and :math:`x_{T+1}` are the sentence's boundaries.

Shapes: B sentences, T tokens, V vocabulary, E embedding, H hidden units, Z latent units,
K samples of z a sentence, M = K B.
"""

__all__ = ["LSTMDecoder", "State"]

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ..config import LSTMDecoderConfig
from ..data.batches import Batch
from ..data.tokenizer import UNKNOWN

State = tuple[Tensor, Tensor]  # hidden and cell state, each with shape (1, M, H)


class LSTMDecoder(nn.Module):
    r"""An LSTM that reads :math:`[x_{t-1}; z]`, from :math:`c_0 = W z, h_0 = \tanh c_0`.

    With Z = 0 it is an ordinary LSTM language model.
    """

    def __init__(self, config: LSTMDecoderConfig, vocab_size: int, latent_size: int) -> None:
        super().__init__()
        self.hidden_size = config.hidden_size
        self.word_dropout = config.word_dropout
        self.embedding = nn.Embedding(vocab_size, config.embedding_size)
        self.dropout = nn.Dropout(config.dropout)
        self.initial = nn.Linear(latent_size, config.hidden_size) if latent_size else None
        self.lstm = nn.LSTM(
            config.embedding_size + latent_size, config.hidden_size, batch_first=True
        )
        self.output = nn.Linear(config.hidden_size, vocab_size)
        if config.tie_weights:
            self.output.weight = self.embedding.weight

    def forward(self, batch: Batch, z: Tensor) -> Tensor:
        r"""Returns :math:`\log p(x \mid z)` in nats.

        Arguments:
            batch: The sentences x.
            z: One latent a sentence with shape (B, Z), or K with shape (K, B, Z).

        Returns:
            The log-likelihoods, with the shape of z less its last dimension.
        """
        flat = z.flatten(end_dim=-2)  # (M, Z)
        copies = len(flat) // len(batch)
        words = self.embedding(self._dropped(batch.inputs()))  # (B, T + 1, E)
        words = words.repeat(copies, 1, 1)  # (M, T + 1, E)
        states, _ = self._advance(words, flat, self.start(flat))  # (M, T + 1, H)
        mask = batch.target_mask().repeat(copies, 1)  # (M, T + 1)
        targets = batch.targets().repeat(copies, 1)
        # Only real tokens reach the output layer, by far the largest product.
        losses = cross_entropy(
            self.output(self.dropout(states[mask])), targets[mask], reduction="none"
        )
        per_token = states.new_zeros(mask.shape).masked_scatter(mask, losses)
        return -per_token.sum(dim=-1).view(z.shape[:-1])

    def start(self, z: Tensor) -> State:
        """Returns the state before the first word, for z with shape (M, Z)."""
        if self.initial is None:
            zeros = z.new_zeros(1, len(z), self.hidden_size)
            return zeros, zeros
        cell = self.initial(z)[None]
        return cell.tanh(), cell

    def step(self, previous: Tensor, z: Tensor, state: State) -> tuple[Tensor, State]:
        """Returns the next word's log-probabilities (M, V) and the state after them.

        Arguments:
            previous: The ids of the words before, with shape (M,).
            z: The latents, with shape (M, Z).
            state: The state before those words were read.
        """
        states, state = self._advance(self.embedding(previous)[:, None], z, state)
        return self.output(states[:, 0]).log_softmax(dim=-1), state

    def _advance(self, words: Tensor, z: Tensor, state: State) -> tuple[Tensor, State]:
        everywhere = z[:, None].expand(-1, words.shape[1], -1)
        states, state = self.lstm(torch.cat([self.dropout(words), everywhere], dim=-1), state)
        return states, state

    def _dropped(self, inputs: Tensor) -> Tensor:
        """Hides a share of the previous words, the boundary apart, in training."""
        if not (self.training and self.word_dropout):
            return inputs
        hidden = torch.rand(inputs.shape, device=inputs.device) < self.word_dropout
        hidden[:, 0] = False
        return inputs.masked_fill(hidden, UNKNOWN)
