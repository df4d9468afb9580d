"""The protocol of samplers, and helpers for seeded draws."""

__all__ = ["Sampler", "check_probabilities", "seeded_generator", "standard_normal"]

import math
from typing import Protocol

import torch
from torch import Tensor

from ...errors import ConfigError
from ...limits import MAX_PAIRS, check_count, check_seed


class Sampler(Protocol):
    """A distribution of pairs (x, z) with known mutual information."""

    @property
    def x_dim(self) -> int:
        """X, the dimensions of x."""

    @property
    def z_dim(self) -> int:
        """Z, the dimensions of z."""

    @property
    def mutual_information(self) -> float:
        """I(x; z) in nats."""

    def draw(self, size: int, seed: int) -> tuple[Tensor, Tensor]:
        """Returns `size` independent pairs: x (size, X) and z (size, Z)."""


def seeded_generator(size: int, seed: int) -> torch.Generator:
    """Returns a new generator for `size` draws; ConfigError if size or seed is out of range."""
    check_count("the number of pairs", size, 1, MAX_PAIRS)
    return torch.Generator().manual_seed(check_seed(seed))


def standard_normal(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """Returns standard normal draws, with shape (rows, columns)."""
    return torch.randn(rows, columns, dtype=torch.float64, generator=generator)


def check_probabilities(values: Tensor, name: str) -> None:
    """Raises ConfigError if a value is negative, or the sum is not 1."""
    lowest, total = float(values.min()), float(values.sum())
    if not (lowest >= 0 and math.isclose(total, 1, abs_tol=1e-9)):
        raise ConfigError(
            f"{name} must be probabilities, but the minimum is {lowest:g} and the sum is {total:g}"
        )
