r"""Injective maps, which do not change mutual information.

Each maps the rows of points with shape (B, D), in double precision.
"""

__all__ = [
    "Transformed",
    "asinh",
    "cube",
    "half_cube",
    "identity",
    "normal_cdf",
    "spiral",
    "swiss_roll",
]

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .sampler import Sampler


def identity(t: Tensor) -> Tensor:
    """Returns t unchanged."""
    return t


def cube(t: Tensor) -> Tensor:
    """Returns t^3, which stretches the tails."""
    return t**3


def half_cube(t: Tensor) -> Tensor:
    """Returns sign(t) |t|^1.5."""
    return t.sign() * t.abs() ** 1.5


def asinh(t: Tensor) -> Tensor:
    """Returns the inverse hyperbolic sine of t, which compresses the tails."""
    return t.asinh()


def normal_cdf(t: Tensor) -> Tensor:
    """Returns Phi(t), which maps a standard normal to the uniform distribution on [0, 1]."""
    probability: Tensor = torch.special.ndtr(t)
    return probability


def swiss_roll(u: Tensor) -> Tensor:
    r"""Returns points of a spiral in the plane, from u in [0, 1]: (B, 1) -> (B, 2).

    .. math:: u \mapsto \tfrac{1}{21} (t \cos t, t \sin t), \qquad t = \tfrac{3}{2} \pi (1 + 2 u)
    """
    t = 1.5 * math.pi * (1 + 2 * u)
    return torch.cat([t * t.cos(), t * t.sin()], dim=1) / 21


def spiral(t: Tensor, plane: tuple[int, int], speed: float) -> Tensor:
    r"""Rotates each point by an angle that grows with its norm; the inverse has the opposite speed.

    .. math:: (t_i, t_j) \mapsto (t_i \cos a - t_j \sin a, \; t_i \sin a + t_j \cos a),
        \qquad a = \text{speed} \cdot \|t\|^2

    Arguments:
        t: The points, with shape (B, D).
        plane: The coordinates i and j to rotate.
        speed: The angle, in radians, at norm 1.
    """
    i, j = plane
    angle = speed * t.square().sum(1)
    rotated = t.clone()
    rotated[:, i] = t[:, i] * angle.cos() - t[:, j] * angle.sin()
    rotated[:, j] = t[:, i] * angle.sin() + t[:, j] * angle.cos()
    return rotated


@dataclass(frozen=True)
class Transformed:
    """The pairs of another sampler after injective maps of x and of z.

    Arguments:
        base: The sampler of the pairs.
        of_x: An injective map of the rows of x, from (B, X) to (B, any).
        of_z: An injective map of the rows of z, likewise.
    """

    base: Sampler
    of_x: Callable[[Tensor], Tensor] = identity
    of_z: Callable[[Tensor], Tensor] = identity

    @property
    def x_dim(self) -> int:
        """The dimensions of the mapped x."""
        return self.of_x(torch.zeros(1, self.base.x_dim)).shape[1]

    @property
    def z_dim(self) -> int:
        """The dimensions of the mapped z."""
        return self.of_z(torch.zeros(1, self.base.z_dim)).shape[1]

    @property
    def mutual_information(self) -> float:
        """I(x; z) in nats, the same as before the maps."""
        return self.base.mutual_information

    def draw(self, size: int, seed: int) -> tuple[Tensor, Tensor]:
        """Returns `size` independent mapped pairs: x (size, X) and z (size, Z)."""
        x, z = self.base.draw(size, seed)
        return self.of_x(x), self.of_z(z)
