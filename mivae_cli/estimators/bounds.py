r"""Variational lower bounds on mutual information, in nats.

Every bound is a pure function of a score matrix

.. math:: s_{ij} = f(x_i, z_j), \qquad i = 1, \dots, M, \quad j = 1, \dots, B, \quad M \ge B,

where :math:`f` is the critic (energy function, Q 1) and :math:`(x_i, z_i)` with
:math:`i \le B` are drawn jointly. The B entries of the diagonal hold joint pairs; the M B - B
others stand for draws from the product of the marginals. Rows beyond B are further draws of x,
from a queue, say.

To add a bound, write a function below.

References:
    | (Q n) is equation n of the appendix of Enhancing Variational Autoencoders with Mutual
      Information Neural Estimation for Text Generation (Qian & Cheung, 2019)
    | On Variational Bounds of Mutual Information (Poole et al., 2019)
"""

__all__ = ["donsker_varadhan", "dual", "infonce", "log_mean_exp_product", "nwj"]

import math

import torch
from torch import Tensor


def dual(scores: Tensor, log_xi: Tensor | float, clip: float | None = None) -> Tensor:
    r"""Returns the convex-dual bound (Q 2).

    .. math:: I_\xi = \mathbb{E}_{q(x, z)}[f] - \xi \, \mathbb{E}_{q(x) q(z)}[e^f]
        + \log \xi + 1

    Linear in both expectations, hence unbiased on any batch when :math:`\xi` comes from
    elsewhere. At :math:`\xi = 1 / Z` it is `donsker_varadhan`, its supremum over
    :math:`\xi`; at :math:`\log \xi = -1` it is `nwj`. Attained, at every :math:`\xi`, by
    :math:`f^* = \log q(z \mid x) / q(z) - \log \xi` (Q 3, Q 4).

    Arguments:
        scores: The score matrix, with shape (M, B).
        log_xi: The logarithm of the dual variable, with shape ().
        clip: Caps :math:`f + \log \xi` of product pairs. The result is then no bound, only a
            tamer direction for the gradient: never report it.

    Returns:
        The bound in nats, with shape ().
    """
    information = scores + log_xi  # f + log xi approaches the pointwise mutual information
    product = information if clip is None else information.clamp(max=clip)
    return information.diagonal().mean() - log_mean_exp_product(product).exp() + 1


def donsker_varadhan(scores: Tensor) -> Tensor:
    r"""Returns the Donsker-Varadhan estimate.

    .. math:: I_\mathrm{DV} = \mathbb{E}_{q(x, z)}[f] - \log \mathbb{E}_{q(x) q(z)}[e^f]

    The log of a finite mean is biased low, so on a batch this estimate is biased *high*: it
    is a bound only in the limit of many pairs. Report `dual` instead.

    Arguments:
        scores: The score matrix, with shape (M, B).

    Returns:
        The estimate in nats, with shape ().
    """
    return scores.diagonal().mean() - log_mean_exp_product(scores)


def nwj(scores: Tensor) -> Tensor:
    r"""Returns the bound of Nguyen, Wainwright & Jordan (2010): `dual` at :math:`\xi = 1/e`.

    .. math:: I_\mathrm{NWJ} = \mathbb{E}_{q(x, z)}[f] - e^{-1} \, \mathbb{E}_{q(x) q(z)}[e^f]

    Arguments:
        scores: The score matrix, with shape (M, B).

    Returns:
        The bound in nats, with shape ().
    """
    return dual(scores, -1.0)


def infonce(scores: Tensor) -> Tensor:
    r"""Returns the InfoNCE bound (van den Oord et al., 2018), which never exceeds log M.

    .. math:: I_\mathrm{NCE} = \log M + \frac{1}{B} \sum_{j=1}^B
        \log \frac{e^{s_{jj}}}{\sum_{i=1}^M e^{s_{ij}}}

    Arguments:
        scores: The score matrix, with shape (M, B).

    Returns:
        The estimate in nats, with shape ().
    """
    return scores.log_softmax(dim=0).diagonal().mean() + math.log(len(scores))


def log_mean_exp_product(scores: Tensor) -> Tensor:
    r"""Returns :math:`\log Z`, the log-mean-exp of the scores off the diagonal, shape ()."""
    size, columns = scores.shape
    diagonal = torch.eye(size, columns, dtype=torch.bool, device=scores.device)
    total = scores.masked_fill(diagonal, -math.inf).flatten().logsumexp(dim=0)
    return total - math.log(size * columns - columns)
