"""Samples of x, z and w as the estimators of conditional mutual information read them.

Shapes: N rows; X, Z and W continuous columns, each may be 0.
"""

__all__ = ["Part", "Samples"]

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


class Part(NamedTuple):
    """One of x, z and w: its continuous columns, and one code for all of its discrete columns."""

    continuous: Tensor  # (N, C), C may be 0
    code: Tensor  # (N,), all 0 without discrete columns

    def rows(self, index: Tensor) -> "Part":
        """Returns the part of some rows."""
        return Part(self.continuous[index], self.code[index])

    @property
    def empty(self) -> bool:
        """Whether nothing varies: no continuous column, and one code."""
        return not self.continuous.shape[1] and not bool((self.code != self.code[:1]).any())


@dataclass(frozen=True, eq=False)
class Samples:
    """N samples of x, z and the given w; w is empty for the unconditional information."""

    x: Part
    z: Part
    w: Part

    def __len__(self) -> int:
        return len(self.x.code)

    def rows(self, index: Tensor) -> "Samples":
        """Returns the samples of some rows, given by their numbers or by a mask."""
        return Samples(self.x.rows(index), self.z.rows(index), self.w.rows(index))

    def permuted(self, order: Tensor) -> "Samples":
        """Returns the samples with the rows of x in another order."""
        return Samples(self.x.rows(order), self.z, self.w)

    def without_given(self) -> "Samples":
        """Returns the samples with an empty w."""
        nothing = Part(self.w.continuous[:, :0], torch.zeros_like(self.w.code))
        return Samples(self.x, self.z, nothing)

    @property
    def dimensions(self) -> int:
        """The number of continuous columns of x, z and w together."""
        return sum(part.continuous.shape[1] for part in (self.x, self.z, self.w))
