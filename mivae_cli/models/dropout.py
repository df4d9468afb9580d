"""Dropout of units (fast on CPUs) and of words."""

__all__ = ["Dropout", "WordDropout"]

import torch
from torch import Tensor, nn

from ..data.tokenizer import UNKNOWN


class Dropout(nn.Dropout):
    """Dropout that draws its mask from uniform numbers on a CPU.

    torch draws Bernoulli numbers, which takes three times as long: several percent of a training
    step.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Returns the input; in training, a fraction p is set to 0 and the rest is scaled."""
        if input.device.type != "cpu" or not (self.training and self.p):
            return super().forward(input)
        kept = 1 - self.p
        return input * torch.rand_like(input).lt_(kept).div_(kept)


class WordDropout(nn.Module):
    """Replaces a fraction p of the decoder's input words in training, except the boundary."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, inputs: Tensor) -> Tensor:
        """Returns ids with shape (B, T + 1), in training a fraction p of them `UNKNOWN`."""
        if not (self.training and self.p):
            return inputs
        hidden = torch.rand(inputs.shape, device=inputs.device) < self.p
        hidden[:, 0] = False
        return inputs.masked_fill(hidden, UNKNOWN)
