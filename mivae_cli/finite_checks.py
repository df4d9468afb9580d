"""Checks of the numbers that a training step computes: finite, and within their possible range."""

__all__ = ["Checker", "FiniteCheck", "NonFiniteBatch", "Quantity", "verify_all"]

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor

from .errors import DivergedError


class Quantity(Enum):
    """A checked number of a training step; the value is its name in messages."""

    LOSS = "the loss"
    RATE = "the rate"
    GRADIENT = "the gradient"
    CRITIC_LOSS = "the critic's loss"
    CRITIC_GRADIENT = "the critic's gradient"
    LOG_XI = "log xi"
    BOUND = "the mutual-information bound"


class NonFiniteBatch(DivergedError):
    """A batch failed a check: a quantity is NaN, infinite, or outside its range; it is skipped."""

    def __init__(
        self, quantity: Quantity, value: float, low: float = -math.inf, high: float = math.inf
    ) -> None:
        self.quantity, self.value = quantity, value
        possible = f"{value:.4g} nats (possible: {low:.0f} to {high:.0f})"
        self.reason = f"{quantity.value} is {possible if math.isfinite(value) else value}"
        super().__init__(f"training diverged: {self.reason}; try a lower learning rate")


@dataclass(frozen=True)
class FiniteCheck:
    """A number to check, with its possible range."""

    quantity: Quantity
    value: Tensor  # ()
    low: float = -math.inf
    high: float = math.inf

    def verify(self, value: float) -> None:
        """Raises NonFiniteBatch if a value read from the device is not finite or out of range."""
        if not math.isfinite(value) or not self.low <= value <= self.high:
            raise NonFiniteBatch(self.quantity, value, self.low, self.high)


# Handles the checks of a step: verifies them immediately (`verify_all`), or stores them for later.
Checker = Callable[[Sequence[FiniteCheck]], None]


def verify_all(checks: Sequence[FiniteCheck]) -> None:
    """Raises NonFiniteBatch for the first bad value; reads all values in one transfer.

    This waits for the device. It cannot be avoided: the CPU decides whether the weights move.
    """
    values = torch.stack([check.value.detach() for check in checks]).tolist()
    for check, value in zip(checks, values, strict=True):
        check.verify(value)
