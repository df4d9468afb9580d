"""What the samplers share: their protocol, and private, seeded noise."""

__all__ = ["Sampler", "check_probabilities", "seeded_generator", "standard_normal"]

import math
from typing import Protocol

import torch
from torch import Tensor

from ...errors import ConfigError


class Sampler(Protocol):
    """A distribution of pairs (x, z)."""

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
        """Returns as many independent pairs, with shapes (size, X) and (size, Z)."""


def seeded_generator(seed: int) -> torch.Generator:
    """Returns a generator of its own, so that the global random state stays as it is."""
    return torch.Generator().manual_seed(seed)


def standard_normal(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """Returns standard normal draws, with shape (rows, columns)."""
    return torch.randn(rows, columns, dtype=torch.float64, generator=generator)


def check_probabilities(values: Tensor, name: str) -> None:
    """Refuses what is negative somewhere, or does not add up to 1.

    Raises:
        ConfigError: The values are no probabilities.
    """
    lowest, total = float(values.min()), float(values.sum())
    if not (lowest >= 0 and math.isclose(total, 1, abs_tol=1e-9)):
        raise ConfigError(
            f"{name} must be probabilities: the least is {lowest:g}, and they add up to {total:g}"
        )
