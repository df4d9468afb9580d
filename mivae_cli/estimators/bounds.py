r"""Variational bounds on mutual information, in nats.

Every function returns a differentiable value with shape () for a score matrix (M, B), a tensor

.. math:: s_{ij} = f(x_i, z_j), \qquad i = 1, \dots, M, \quad j = 1, \dots, B, \quad M \ge B,

where :math:`f` is the critic (energy function, Q 1) and :math:`(x_i, z_i)` with
:math:`i \le B` are drawn jointly. The B diagonal entries are joint pairs; the other M B - B are
product pairs, drawn from the product of the marginals. Rows beyond B are further draws of x, for
example from a queue.

All bounds but `smile` and `jensen_shannon` need only the diagonal and the log-mean-exp of the
other scores of each column (`Scores`), which can be computed block by block for large matrices. A
matrix of other type or shape raises a DataError.

| function            direction            ceiling          weakness
| `dual`              lower                none             variance of e^f if I is near the log of the number of pairs
| `donsker_varadhan`  lower, for large M B  none            too high if the pairs are too few
| `nwj`               lower                none             same variance, at a worse xi
| `tuba`              lower                none             same variance, per column
| `interpolated`      lower                1 + log M/alpha  both, in part
| `infonce`           lower                log M            its ceiling
| `smile`             neither              none             bias of the clipping, up or down
| `jensen_shannon`    trains a critic; its value is not mutual information

For example, with the optimal critic of a Gaussian channel, whose mutual information is 0.51 nats:

>>> import torch
>>> from mivae_cli.estimators import bounds, samplers
>>> sampler = samplers.CorrelatedGaussian(dim=1, rho=0.8)
>>> x, z = sampler.draw(1_000, seed=0)
>>> scores = torch.stack([sampler.log_ratio(row.expand_as(x), z) for row in x])  # (1000, 1000)
>>> round(float(bounds.dual(scores, log_xi=0.0)), 1), round(float(bounds.infonce(scores)), 1)
(0.5, 0.5)

To add a bound, write a function below; for `estimate-mi`, also add a case to `EstimatorSuite`.

References:
    | (Q n) is equation n of the appendix of Enhancing Variational Autoencoders with Mutual
      Information Neural Estimation for Text Generation (Qian & Cheung, 2019)
    | On Variational Bounds of Mutual Information (Poole et al., 2019)
    | Mutual Information Neural Estimation (Belghazi et al., 2018)
    | Understanding the Limitations of Variational Mutual Information Estimators (Song &
      Ermon, 2020)
"""

__all__ = [
    "Scores",
    "donsker_varadhan",
    "dual",
    "infonce",
    "interpolated",
    "jensen_shannon",
    "log_mean_exp_product",
    "matrix_shape",
    "nwj",
    "smile",
    "tuba",
]

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ..errors import DataError


class Scores(NamedTuple):
    """The parts of a score matrix that the bounds need."""

    joint: Tensor  # f(x_j, z_j), with shape (B,)
    product: Tensor  # log mean over i != j of exp f(x_i, z_j), with shape (B,)
    rows: int  # M

    @classmethod
    def of(cls, scores: "Tensor | Scores") -> "Scores":
        """Reduces a score matrix (`matrix_shape`); returns `Scores` unchanged."""
        if isinstance(scores, Scores):
            return scores
        rows, columns = matrix_shape(scores, "scores")
        diagonal = torch.eye(rows, columns, dtype=torch.bool, device=scores.device)
        product = scores.masked_fill(diagonal, -math.inf).logsumexp(dim=0)
        return cls(scores.diagonal(), product - math.log(rows - 1), rows)

    @property
    def log_partition(self) -> Tensor:
        r"""The log-mean-exp :math:`\log Z` of all product pairs, with shape ()."""
        return self.product.logsumexp(dim=0) - math.log(len(self.product))


def dual(scores: Tensor | Scores, log_xi: Tensor | float, clip: float | None = None) -> Tensor:
    r"""Returns the convex-dual bound (Q 2).

    .. math:: I_\xi = \mathbb{E}_{q(x, z)}[f] - \xi \, \mathbb{E}_{q(x) q(z)}[e^f]
        + \log \xi + 1

    A lower bound, linear in both expectations. It is therefore unbiased on any batch if
    :math:`\xi` does not depend on the batch. At :math:`\xi = 1 / Z` it is `donsker_varadhan`, its supremum over
    :math:`\xi`; at :math:`\log \xi = -1` it is `nwj`. Attained, at every :math:`\xi`, by
    :math:`f^* = \log q(z \mid x) / q(z) - \log \xi` (Q 3, Q 4).

    Its weakness is variance: at :math:`f^*`, that of :math:`\xi e^f` is at least
    :math:`e^I - 1`, so far fewer than :math:`e^I` product pairs seldom contain the mass that the
    bound subtracts.

    Arguments:
        scores: The score matrix, with shape (M, B); `clip` needs the matrix itself.
        log_xi: The logarithm of the dual variable, with shape ().
        clip: Maximum of :math:`f + \log \xi` of product pairs, for gradients of lower variance.
            The clipped value is not a bound: do not report it.
    """
    if clip is not None and not isinstance(scores, Scores):
        matrix_shape(scores, "scores")
        log_partition = log_mean_exp_product((scores + log_xi).clamp(max=clip))
        return scores.diagonal().mean() + log_xi + 1 - log_partition.exp()
    reduced = Scores.of(scores)
    return reduced.joint.mean() + log_xi + 1 - (reduced.log_partition + log_xi).exp()


def donsker_varadhan(scores: Tensor | Scores) -> Tensor:
    r"""Returns the Donsker-Varadhan estimate, which MINE reports (Belghazi et al., 2018).

    .. math:: I_\mathrm{DV} = \mathbb{E}_{q(x, z)}[f] - \log \mathbb{E}_{q(x) q(z)}[e^f]

    The log of a finite mean is biased downwards, so on a batch this estimate is biased *upwards*
    and is a bound only in the limit of many pairs. Report `dual` instead. MINE follows its
    gradient with a moving average of Z, which is the gradient of `dual` at
    :math:`\xi = 1 / \mathrm{EMA}(Z)`.
    """
    reduced = Scores.of(scores)
    return reduced.joint.mean() - reduced.log_partition


def nwj(scores: Tensor | Scores) -> Tensor:
    r"""Returns the bound of Nguyen, Wainwright & Jordan (2010): `dual` at :math:`\xi = 1/e`.

    .. math:: I_\mathrm{NWJ} = \mathbb{E}_{q(x, z)}[f] - e^{-1} \, \mathbb{E}_{q(x) q(z)}[e^f]

    A lower bound without ceiling. It depends on the scale of the critic, so it is far too low for
    a critic trained on another objective.
    """
    return dual(scores, -1.0)


def tuba(scores: Tensor | Scores, log_baseline: Tensor) -> Tensor:
    r"""Returns the TUBA bound with a baseline a(z) for each z (Poole et al., 2019).

    .. math:: I_\mathrm{TUBA} = 1 + \mathbb{E}_{q(x, z)}\Big[\log \frac{e^f}{a(z)}\Big]
        - \mathbb{E}_{q(x) q(z)}\Big[\frac{e^f}{a(z)}\Big]

    A lower bound for every baseline; `dual` with :math:`\xi = 1 / a(z)` depending on z.

    Arguments:
        scores: The score matrix, with shape (M, B).
        log_baseline: log a(z_j), with shape (B,).
    """
    reduced = Scores.of(scores)
    product = reduced.product - log_baseline
    return 1 + (reduced.joint - log_baseline).mean() - product.exp().mean()


def interpolated(scores: Tensor | Scores, log_baseline: Tensor, alpha: float) -> Tensor:
    r"""Returns the bound between `tuba` (alpha = 0) and `infonce` (alpha = 1).

    .. math:: I_\alpha = 1 + \mathbb{E}\Big[\log \frac{e^{f(x_1, z)}}{\alpha m(z) +
        (1 - \alpha) a(z)}\Big] - \mathbb{E}\Big[\frac{m(z)}{\alpha m(z) +
        (1 - \alpha) a(z)}\Big], \qquad m(z) = \frac{1}{K} \sum_{i=1}^K e^{f(x_i, z)}

    With K = M - 1, the first expectation is over :math:`q(x_1, z) \prod_{i > 1} q(x_i)`, the second
    over independent x and z (Poole et al., 2019). The first leaves out one of the M - 1 other rows
    and averages over its choice inside the logarithm, which can only lower the bound. A larger
    alpha lowers the variance and the ceiling, :math:`1 + \log (K / \alpha)` for any baseline.

    Arguments:
        scores: The score matrix, with shape (M, B), M >= 3.
        log_baseline: log a(z_j), with shape (B,).
        alpha: The weight of the batch mean m, from 0 to 1.
    """
    joint, product, rows = Scores.of(scores)
    others = product + math.log((rows - 2) / (rows - 1))
    with_joint = torch.logaddexp(joint - math.log(rows - 1), others)
    joint_terms = joint - _mixed(with_joint, log_baseline, alpha)
    product_terms = product - _mixed(product, log_baseline, alpha)
    return 1 + joint_terms.mean() - product_terms.exp().mean()


def infonce(scores: Tensor | Scores) -> Tensor:
    r"""Returns the InfoNCE bound (van den Oord et al., 2018), which never exceeds log M.

    .. math:: I_\mathrm{NCE} = \log M + \frac{1}{B} \sum_{j=1}^B
        \log \frac{e^{s_{jj}}}{\sum_{i=1}^M e^{s_{ij}}}

    A lower bound of low variance. A value near its ceiling log M only shows that there is much
    information.
    """
    joint, product, rows = Scores.of(scores)
    mean = torch.logaddexp(joint, product + math.log(rows - 1)) - math.log(rows)
    return (joint - mean).mean()


def smile(scores: Tensor, clip: float) -> Tensor:
    r"""Returns the clipped estimate of Song & Ermon (2020).

    .. math:: I_\tau = \mathbb{E}_{q(x, z)}[f]
        - \log \mathbb{E}_{q(x) q(z)}[\mathrm{clip}(e^f, e^{-\tau}, e^\tau)]

    Lower variance than `donsker_varadhan`, but not a bound: clipping from above raises it, clipping
    from below lowers it, and above about :math:`\tau` nats it can be far too high. The authors train
    with `jensen_shannon` and report this estimate.

    Arguments:
        scores: The score matrix, with shape (M, B).
        clip: :math:`\tau`.
    """
    matrix_shape(scores, "scores")
    return scores.diagonal().mean() - log_mean_exp_product(scores.clamp(-clip, clip))


def jensen_shannon(scores: Tensor) -> Tensor:
    r"""Returns the Jensen-Shannon objective (Nowozin et al., 2016; Hjelm et al., 2019).

    .. math:: J = -\mathbb{E}_{q(x, z)}[\log(1 + e^{-f})] - \mathbb{E}_{q(x) q(z)}[\log(1 + e^f)]

    At most 0, with stable gradients. A critic trained on it approaches the pointwise mutual
    information, for which `dual` with :math:`\log \xi = 0` is tight. The value itself is *not* mutual
    information.
    """
    rows, columns = matrix_shape(scores, "scores")
    joint = scores.diagonal()
    product = softplus(scores).sum() - softplus(joint).sum()
    return -softplus(-joint).mean() - product / (rows * columns - columns)


def log_mean_exp_product(scores: Tensor) -> Tensor:
    r"""Returns :math:`\log Z`, the log-mean-exp of the scores off the diagonal, shape ()."""
    return Scores.of(scores).log_partition


def matrix_shape(matrix: Tensor, name: str) -> tuple[int, int]:
    """Returns the shape (M, B) of the scores of pairs.

    Raises:
        DataError: This is not a tensor of real numbers with M >= 2 and M >= B >= 1.
    """
    if isinstance(matrix, Tensor) and matrix.is_floating_point() and matrix.ndim == 2:
        rows, columns = matrix.shape
        if rows > 1 and 1 <= columns <= rows:
            return rows, columns
    raise DataError(
        f"{name} must be a tensor of floats with at least two rows and no more columns than rows"
    )


def _mixed(log_mean: Tensor, log_baseline: Tensor, alpha: float) -> Tensor:
    """Returns log(alpha m + (1 - alpha) a)."""
    if alpha in (0.0, 1.0):
        return log_mean if alpha else log_baseline
    return torch.logaddexp(log_mean + math.log(alpha), log_baseline + math.log1p(-alpha))
