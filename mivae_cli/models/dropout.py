"""Dropout of units, that does not hold up a CPU, and of words."""

__all__ = ["Dropout", "WordDropout"]

import torch
from torch import Tensor, nn

from ..data.tokenizer import UNKNOWN


class Dropout(nn.Dropout):
    """Dropout whose mask is made of uniform numbers on a CPU.

    torch draws Bernoulli ones there, which takes three times as long: several per cent of a
    whole training step.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Returns the input, in training with a share p of it put to 0 and the rest scaled."""
        if input.device.type != "cpu" or not (self.training and self.p):
            return super().forward(input)
        kept = 1 - self.p
        return input * torch.rand_like(input).lt_(kept).div_(kept)


class WordDropout(nn.Module):
    """Hides a share p of the previous words from a decoder in training, the boundary apart."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, inputs: Tensor) -> Tensor:
        """Returns ids with shape (B, T + 1), a share of them those of the unknown word."""
        if not (self.training and self.p):
            return inputs
        hidden = torch.rand(inputs.shape, device=inputs.device) < self.p
        hidden[:, 0] = False
        return inputs.masked_fill(hidden, UNKNOWN)
