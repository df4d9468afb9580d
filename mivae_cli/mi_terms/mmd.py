r"""How far the codes of a batch are from the prior, by samples of both.

.. math:: \mathrm{MMD}^2 = \mathbb{E} \, k(z, z') + \mathbb{E} \, k(p, p') - 2 \, \mathbb{E} \, k(z, p),
    \qquad k(a, b) = \sum_s \frac{C_s}{C_s + \lVert a - b \rVert^2}, \quad C_s = 2 Z s

with inverse multiquadrics of seven scales s: their tails tell codes that are far off where to go.
It is zero if and only if the distributions are equal, and needs neither density.

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
    r"""Returns the unbiased estimate of :math:`\mathrm{MMD}^2`, which may be below zero.

    Arguments:
        z: Codes, with shape (B, Z), at least two.
        prior: Samples of the prior, with shape (P, Z), at least two.

    Returns:
        The estimate, a number without unit, with shape ().
    """
    return _among(z) + _among(prior) - 2 * _kernel(z, prior).mean()


def _among(z: Tensor) -> Tensor:
    """Returns the mean of the kernel over pairs of different rows."""
    count = len(z)
    kernel = _kernel(z, z)
    return (kernel.sum() - kernel.diagonal().sum()) / (count * (count - 1))


def _kernel(left: Tensor, right: Tensor) -> Tensor:
    """Returns the kernel of all pairs: from (A, Z) and (B, Z) to (A, B)."""
    # a matrix product; what rounding takes below zero is a distance of zero
    squares = left.square().sum(-1)[:, None] + right.square().sum(-1) - 2 * left @ right.mT
    squares = squares.clamp(min=0.0)
    total = torch.zeros_like(squares)
    for scale in SCALES:
        constant = 2 * scale * left.shape[1]
        total = total + constant / (constant + squares)
    return total
