"""Dropout that does not hold up a CPU."""

__all__ = ["Dropout"]

import torch
from torch import Tensor, nn


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
