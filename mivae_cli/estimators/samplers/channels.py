r"""Channels with one-dimensional x and z: additive uniform noise, and discrete symbols.

Shapes: B pairs, of one dimension each.
"""

__all__ = ["DiscreteChannel", "UniformNoise"]

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import ConfigError
from .sampler import check_probabilities, seeded_generator


@dataclass(frozen=True)
class UniformNoise:
    r"""x uniform on [0, 1], and z = x + noise, with noise uniform on [-e, e].

    .. math:: I = e - \log 2 e \quad (e \le \tfrac{1}{2}), \qquad I = \frac{1}{4 e}
        \quad (e \ge \tfrac{1}{2})
    """

    half_width: float
    x_dim = z_dim = 1

    def __post_init__(self) -> None:
        if not 0 < self.half_width < math.inf:
            raise ConfigError(f"{self}: half_width must be positive and finite")

    @property
    def mutual_information(self) -> float:
        """I(x; z) in nats."""
        e = self.half_width
        return e - math.log(2 * e) if e <= 0.5 else 1 / (4 * e)

    def draw(self, size: int, seed: int) -> tuple[Tensor, Tensor]:
        """Returns `size` independent pairs: x and z, each with shape (size, 1)."""
        generator = seeded_generator(size, seed)
        x, noise = torch.rand(2, size, 1, dtype=torch.float64, generator=generator)
        return x, x + self.half_width * (2 * noise - 1)

    def log_ratio(self, x: Tensor, z: Tensor) -> Tensor:
        """Returns log q(x, z) / (q(x) q(z)) of paired rows, possibly -inf, with shape (B,)."""
        e = self.half_width
        overlap = (z + e).clamp(max=1) - (z - e).clamp(min=0)  # 2 e q(z); 2 e q(z | x) = 1
        return (-overlap.log()).masked_fill((z - x).abs() > e, -math.inf).squeeze(1)


@dataclass(frozen=True)
class DiscreteChannel:
    r"""Discrete x and z; symbols are numbered from 0 and drawn as floats.

    .. math:: I = \sum_{x, z} q(x, z) \log \frac{q(x, z)}{q(x) \, q(z)}

    Arguments:
        joint: The table q(x, z), with one row per symbol x and one column per symbol z.
    """

    joint: tuple[tuple[float, ...], ...]
    x_dim = z_dim = 1

    def __post_init__(self) -> None:
        check_probabilities(self._table, "the entries of the joint table")

    @property
    def mutual_information(self) -> float:
        """I(x; z) in nats."""
        q = self._table
        product = q.sum(1, keepdim=True) * q.sum(0)
        return float((q.xlogy(q) - q.xlogy(product)).sum())

    def draw(self, size: int, seed: int) -> tuple[Tensor, Tensor]:
        """Returns `size` independent pairs: x and z, each with shape (size, 1)."""
        q, generator = self._table, seeded_generator(size, seed)
        cells = torch.multinomial(q.flatten(), size, replacement=True, generator=generator)
        columns = q.shape[1]
        return (cells // columns)[:, None].double(), (cells % columns)[:, None].double()

    def log_ratio(self, x: Tensor, z: Tensor) -> Tensor:
        """Returns log q(x, z) / (q(x) q(z)) of paired rows, possibly -inf, with shape (B,)."""
        q, row, column = self._table, x[:, 0].long(), z[:, 0].long()
        return q[row, column].log() - q.sum(1)[row].log() - q.sum(0)[column].log()

    @property
    def _table(self) -> Tensor:
        return torch.tensor(self.joint, dtype=torch.float64)
