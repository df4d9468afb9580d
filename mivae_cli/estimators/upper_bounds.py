r"""Upper bounds on mutual information from a conditional density, in nats.

The functions take the log-densities of all pairs, a matrix (M, B), square for terms,

.. math:: \ell_{ij} = \log q(z_j \mid x_i), \qquad i = 1, \dots, M, \quad j = 1, \dots, B,
    \quad M \ge B,

with rows x and columns z, and joint pairs on the diagonal, as in `bounds`. In expectation:

| `leave_one_out`  an upper bound for the true conditional
| `club`           an upper bound for the true conditional, and for one close to it

Their values have shape (), the terms of each pair shape (B,). A matrix of another shape, or with
fewer than two rows, raises a DataError.

The error of a fitted conditional (`densities`) lowers the diagonal entries on average, so with it
both values can be below I(x; z).

For example, with the true conditional of a Gaussian channel, z given x, whose mutual information
is 0.51 nats:

>>> import torch
>>> from mivae_cli.estimators import samplers, upper_bounds
>>> x, z = samplers.CorrelatedGaussian(dim=1, rho=0.8).draw(1_000, seed=0)
>>> log_conditional = torch.distributions.Normal(0.8 * x, 0.6).log_prob(z.T)  # (1000, 1000)
>>> round(float(upper_bounds.leave_one_out(log_conditional)), 1)
0.5
>>> upper_bounds.club(log_conditional) > upper_bounds.leave_one_out(log_conditional)
tensor(True)

References:
    | On Variational Bounds of Mutual Information (Poole et al., 2019)
    | CLUB: A Contrastive Log-ratio Upper Bound of Mutual Information (Cheng et al., 2020)
"""

__all__ = ["club", "club_terms", "leave_one_out", "leave_one_out_terms"]

from torch import Tensor

from ..errors import DataError
from .bounds import Scores, matrix_shape


def leave_one_out(log_conditional: Tensor) -> Tensor:
    r"""Returns the leave-one-out estimate (Poole et al., 2019).

    .. math:: \frac{1}{B} \sum_{j=1}^B \Big[ \ell_{jj}
        - \log \frac{1}{M - 1} \sum_{i \ne j} e^{\ell_{ij}} \Big]

    With the true conditional, an upper bound in expectation, because the log of a finite mean is
    below :math:`\log q(z)` in expectation. It is unbounded if the conditionals do not overlap: a value
    above about log M nats only shows that there is much information.
    """
    _check(log_conditional)
    joint, others, _ = Scores.of(log_conditional)
    return (joint - others).mean()


def leave_one_out_terms(log_conditional: Tensor) -> Tensor:
    r"""Returns the terms of `leave_one_out` for each pair, to first order in the sample.

    .. math:: \ell_{jj} - \log m_j - r_j + 1, \qquad
        m_j = \frac{1}{B - 1} \sum_{i \ne j} e^{\ell_{ij}}, \qquad
        r_j = \frac{1}{B - 1} \sum_{i \ne j} \frac{e^{\ell_{ji}}}{m_i}

    Each x is part of all columns; :math:`r_j`, which averages to 1, is its effect there. The mean of
    the terms is therefore the estimate, and their standard error is that of the estimate.
    """
    _check(log_conditional, square=True)
    joint, others, _ = Scores.of(log_conditional)
    rows = _mean_others((log_conditional - others).exp().T)
    return joint - others - rows + 1


def club(log_conditional: Tensor) -> Tensor:
    r"""Returns the contrastive log-ratio estimate (Cheng et al., 2020).

    .. math:: \frac{1}{B} \sum_{j=1}^B \Big[ \ell_{jj}
        - \frac{1}{M - 1} \sum_{i \ne j} \ell_{ij} \Big]

    An upper bound in expectation with the true conditional. For a fitted one, it is an upper bound
    if and only if the KL divergence from the joint distribution to :math:`q(z \mid x) \, p(x)` is at
    most that from the product of the marginals. Tight only at independence: for a bivariate normal
    with the true conditional, it is :math:`\rho^2 / (1 - \rho^2)`, which is 49 nats at
    :math:`\rho = 0.99`, where the mutual information is 1.96.
    """
    _check(log_conditional)
    return (log_conditional.diagonal() - _mean_others(log_conditional)).mean()


def club_terms(log_conditional: Tensor) -> Tensor:
    r"""Returns the terms of `club` for each pair, to first order in the sample.

    .. math:: \ell_{jj} - c_j - r_j + \bar r

    with :math:`c_j` and :math:`r_j` the means of column and row j off the diagonal. The mean of the
    terms is the estimate, and their standard error is that of the estimate. Without :math:`r_j` it
    would be too small, because each x is part of all columns.
    """
    _check(log_conditional, square=True)
    rows = _mean_others(log_conditional.T)
    return log_conditional.diagonal() - _mean_others(log_conditional) - rows + rows.mean()


def _mean_others(matrix: Tensor) -> Tensor:
    """Returns the mean of each column off the diagonal: from (M, B) to (B,)."""
    return (matrix.sum(dim=0) - matrix.diagonal()) / (len(matrix) - 1)


def _check(matrix: Tensor, square: bool = False) -> None:
    rows, columns = matrix_shape(matrix, "log_conditional")
    if square and rows != columns:
        raise DataError(f"log_conditional has shape ({rows}, {columns}); provide a square matrix")
