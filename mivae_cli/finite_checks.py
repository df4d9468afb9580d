"""The numbers on which a step of training rests, and what they must be."""

__all__ = ["Look", "Number", "look"]

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .errors import NonFiniteBatch


@dataclass(frozen=True)
class Number:
    """A number that a step rests on, and the limits within which it is possible."""

    name: str
    value: Tensor  # with shape ()
    low: float = -math.inf
    high: float = math.inf

    def detached(self) -> "Number":
        """Returns the number without what it was computed from."""
        return replace(self, value=self.value.detach())

    def judge(self, value: float) -> None:
        """Raises NonFiniteBatch, naming it, where what was read is NaN, infinite or not possible."""
        if not math.isfinite(value):
            raise NonFiniteBatch(self.name, str(value))
        if not self.low <= value <= self.high:
            limits = f"not between {self.low:.0f} and {self.high:.0f}"
            raise NonFiniteBatch(self.name, f"{value:.4g} nats, {limits}")


# What is done with a step's numbers: judged at once (`look`), or noted, to be judged later.
Look = Callable[[Sequence[Number]], None]


def look(numbers: Sequence[Number]) -> None:
    """Reads numbers, all at once, and judges them.

    A device is waited for here. Nothing else would do: whether to move the weights is decided
    on the processor.

    Raises:
        NonFiniteBatch: One of them is not finite or not possible; the first such is named.
    """
    values = torch.stack([number.value.detach() for number in numbers]).tolist()
    for number, value in zip(numbers, values, strict=True):
        number.judge(value)
