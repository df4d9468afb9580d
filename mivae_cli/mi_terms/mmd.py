r"""Maximum mean discrepancy between the codes of a batch and the prior, from samples of both.

.. math:: \mathrm{MMD}^2 = \mathbb{E} \, k(z, z') + \mathbb{E} \, k(p, p') - 2 \, \mathbb{E} \, k(z, p),
    \qquad k(a, b) = \sum_s \frac{C_s}{C_s + \lVert a - b \rVert^2}, \quad C_s = 2 Z s

with inverse multiquadric kernels of seven scales s, whose heavy tails give gradients to distant
codes. It is zero if and only if the distributions are equal, and needs no densities.

Shapes: B codes, P samples of the prior, Z latent units.

References:
    | A Kernel Two-Sample Test (Gretton et al., 2012)
    | Wasserstein Auto-Encoders (Tolstikhin et al., 2018), for the kernel and its scales
"""

__all__ = ["maximum_mean_discrepancy"]

import torch
from torch import Tensor

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def maximum_mean_discrepancy(z: Tensor, prior: Tensor) -> Tensor:
    r"""Returns the unbiased estimate of :math:`\mathrm{MMD}^2`, which can be negative.

    From codes (B, Z) and samples of the prior (P, Z), at least two of each, to shape ().
    """
    return _mean_kernel(z) + _mean_kernel(prior) - 2 * _kernel(z, prior).mean()


def _mean_kernel(z: Tensor) -> Tensor:
    """Returns the mean of the kernel over all pairs of different rows."""
    count = len(z)
    kernel = _kernel(z, z)
    return (kernel.sum() - kernel.diagonal().sum()) / (count * (count - 1))


def _kernel(left: Tensor, right: Tensor) -> Tensor:
    """Returns the kernel of all pairs: from (A, Z) and (B, Z) to (A, B)."""
    # by a matrix product, whose rounding can make zero distances negative
    squares = left.square().sum(-1)[:, None] + right.square().sum(-1) - 2 * left @ right.mT
    squares = squares.clamp(min=0.0)
    total = torch.zeros_like(squares)
    for scale in SCALES:
        constant = 2 * scale * left.shape[1]
        total = total + constant / (constant + squares)
    return total
