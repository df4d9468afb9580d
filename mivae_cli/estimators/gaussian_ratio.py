r"""Mutual information of Gaussians and of Gaussian copulas, in closed form.

For jointly Gaussian x and z with canonical correlations :math:`\rho_k`, in nats,

.. math:: I(x; z) = -\frac{1}{2} \sum_k \ln(1 - \rho_k^2), \qquad
    \log \frac{q(x, z)}{q(x) q(z)} = \sum_k \Big[ -\frac{1}{2} \ln(1 - \rho_k^2)
    + \frac{\rho_k a_k b_k - \frac{1}{2} \rho_k^2 (a_k^2 + b_k^2)}{1 - \rho_k^2} \Big],

where a and b are the canonical variates of x and z. A strictly monotone map of each coordinate
does not change I(x; z). With normal scores (the Gaussian quantile of each rank) in place of the
coordinates, the formula is therefore exact for every distribution with a Gaussian copula.

Shapes: N pairs, M rows, B columns, X and Z coordinates, R canonical pairs.

References:
    | Relations between two sets of variates (Hotelling, 1936)
    | The nonparanormal (Liu, Lafferty & Wasserman, 2009), for normal scores
"""

__all__ = [
    "GaussianRatio",
    "NormalScores",
    "gaussian_interval",
    "small_sample_bias",
    "unbiased_gaussian_information",
]

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import DataError
from .intervals import Interval, mean_interval, unbiased_jackknife
from .rows import Rows

UNIT_GROUPS = 20  # of the jackknife over units; each fits all correlations again
MAX_SQUARE = 1 - 1e-12  # of a correlation; keeps the information of x = z finite
MAX_SQUARE_HELD_OUT = 1 - 1e-6  # the same if other pairs are scored: 6.9 nats, no overflow
NEGLIGIBLE = 1e-10  # relative variance below which a direction is dropped


@dataclass(frozen=True)
class NormalScores:
    r"""Map of each coordinate to the standard normal, by its rank among reference samples.

    .. math:: t \mapsto \Phi^{-1}\Big(\frac{\#\{t_i < t\} + \#\{t_i \le t\}}{2 N}\Big)

    Equal values get equal scores; values outside the range of the samples get the score of the
    nearest sample.
    """

    ordered: Tensor  # reference samples, (X, N)
    distinct: bool  # whether no coordinate has equal values
    samples: Tensor  # as they were given, (N, X): their own scores need no search
    order: Tensor  # (X, N)

    @classmethod
    def of(cls, samples: Tensor) -> "NormalScores":
        """Returns the map of reference samples of shape (N, X)."""
        values = samples.T.contiguous()
        order = torch.from_numpy(values.detach().numpy().argsort(axis=1))  # faster than torch
        ordered = values.gather(1, order)
        distinct = bool((ordered[:, 1:] > ordered[:, :-1]).all())
        return cls(ordered, distinct, samples, order)

    def __call__(self, samples: Tensor) -> Tensor:
        """Returns the normal scores of samples (B, X), with the same shape."""
        count = self.ordered.shape[1]
        shares = torch.arange(2 * count + 1, dtype=samples.dtype) / (2 * count)
        of_share = torch.special.ndtri(shares.clamp(0.5 / count, 1 - 0.5 / count))
        if self.distinct and samples is self.samples:
            scores = torch.empty_like(self.ordered)
            scores.scatter_(1, self.order, of_share[1::2].expand_as(scores))
            return scores.T.contiguous()
        values = samples.T.contiguous()
        below = torch.searchsorted(self.ordered, values)
        if self.distinct:
            up_to = below + (self.ordered.gather(1, below.clamp(max=count - 1)) == values)
        else:
            up_to = torch.searchsorted(self.ordered, values, right=True)
        found: Tensor = of_share[below + up_to]
        return found.T.contiguous()


@dataclass(frozen=True)
class GaussianRatio:
    """Log-ratio of a joint Gaussian to its marginals: the optimal critic for Gaussian pairs."""

    correlations: Tensor  # (R,)
    x_mean: Tensor  # (X,)
    z_mean: Tensor  # (Z,)
    of_x: Tensor  # centred x to canonical variates, (X, R)
    of_z: Tensor  # (Z, R)
    ranks: tuple[int, int]  # of the covariances of x and z

    @classmethod
    def fit(cls, x: Tensor, z: Tensor, held_out: bool = False) -> "GaussianRatio":
        """Fits the Gaussian to x (N, X) and z (N, Z).

        Directions without variance are dropped, so columns may be linearly dependent. To score
        `held_out` pairs, other than these, the correlations are corrected for sampling noise
        (`_without_noise`), and pure noise scores 0.

        Raises:
            DataError: There are not more pairs than coordinates.
        """
        count, x_mean, z_mean = len(x), x.mean(dim=0), z.mean(dim=0)
        if count <= x.shape[1] + z.shape[1] + 1:
            raise DataError(
                f"{count:,} pairs are too few for the covariance of {x.shape[1]:,} + "
                f"{z.shape[1]:,} coordinates; provide more pairs than coordinates"
            )
        of_x, of_z = _whitening(x - x_mean), _whitening(z - z_mean)
        cross = of_x.T @ ((x - x_mean).T @ (z - z_mean) / (count - 1)) @ of_z
        left, correlations, right = torch.linalg.svd(cross, full_matrices=False)
        ranks = of_x.shape[1], of_z.shape[1]
        squares, largest = correlations.square(), MAX_SQUARE
        if held_out:
            squares = _without_noise(squares, ranks[0] / count, ranks[1] / count)
            largest = MAX_SQUARE_HELD_OUT
        maps = of_x @ left, of_z @ right.T
        return cls(squares.clamp(max=largest).sqrt(), x_mean, z_mean, *maps, ranks)

    @property
    def information(self) -> float:
        """Mutual information of the fitted Gaussian, in nats; biased upwards."""
        return -0.5 * float(torch.log1p(-self.correlations.square()).sum())

    def scores(self, x: Tensor, z: Tensor) -> Tensor:
        """Returns the log-ratios of x (M, X) against z (B, Z) in nats, with shape (M, B)."""
        a, b, weights, pull = self._parts(x, z)
        own = self.information - (pull * a.square()).sum(dim=1)
        return (a * weights) @ b.T + own[:, None] - (pull * b.square()).sum(dim=1)

    def terms(self, x: Tensor, z: Tensor) -> Tensor:
        """Returns the log-ratios of N pairs in nats, with shape (N,)."""
        a, b, weights, pull = self._parts(x, z)
        spread = pull * (a.square() + b.square())
        return self.information + (weights * a * b - spread).sum(dim=1)

    def _parts(self, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        squares = self.correlations.square()
        weights = self.correlations / (1 - squares)
        pull = 0.5 * squares / (1 - squares)
        return (x - self.x_mean) @ self.of_x, (z - self.z_mean) @ self.of_z, weights, pull


def gaussian_interval(
    x: Tensor, z: Tensor, rows: Rows | None = None, ratio: GaussianRatio | None = None
) -> Interval:
    r"""Returns :math:`-\frac{1}{2} \sum_k \ln(1 - \hat\rho_k^2)` minus its small-sample bias.

    The bias is `small_sample_bias`, and the 95 % interval is that of the mean of the fitted
    log-ratios, the influence function of the estimate. If `rows` are dependent, both come from the
    jackknife over units. The interval ignores the error due to pairs that are not Gaussian. In
    nats, from x (N, X) and z (N, Z); `ratio` is the fit to them, if it is known.

    Raises:
        DataError: There are not more pairs than coordinates.
    """
    ratio = GaussianRatio.fit(x, z) if ratio is None else ratio
    if rows is not None and rows.dependent:
        groups = rows.jackknife_groups(UNIT_GROUPS)
        kept = [groups != group for group in range(int(groups.max()) + 1)]
        without = [GaussianRatio.fit(x[others], z[others]).information for others in kept]
        return unbiased_jackknife(ratio.information, without, groups.bincount().tolist())
    value = ratio.information - small_sample_bias(len(x), *ratio.ranks)
    around = mean_interval(ratio.terms(x, z))
    margin = (around.high - around.low) / 2
    return Interval(value, value - margin, value + margin)


def unbiased_gaussian_information(x: Tensor, z: Tensor) -> float:
    r"""Returns :math:`-\frac{1}{2} \sum_k \ln(1 - \hat\rho_k^2)` minus `small_sample_bias`.

    In nats, from x (N, X) and z (N, Z).

    Raises:
        DataError: There are not more pairs than coordinates.
    """
    ratio = GaussianRatio.fit(x, z)
    return ratio.information - small_sample_bias(len(x), *ratio.ranks)


def small_sample_bias(count: int, x_rank: int, z_rank: int) -> float:
    r"""Returns the expected excess of the plug-in value of Gaussian pairs, in nats.

    The log-determinant of a sample covariance of d coordinates has expectation
    :math:`\ln \det \Sigma + \sum_{i=1}^d \psi(\frac{N - i}{2}) + d \ln \frac{2}{N - 1}`
    (Wishart). For all correlations, the bias for covariances of ranks X and Z is therefore exactly

    .. math:: \frac{1}{2} \Big[ \sum_{i=1}^X + \sum_{i=1}^Z - \sum_{i=1}^{X + Z} \Big]
        \psi\Big(\frac{N - i}{2}\Big) \approx \frac{X Z}{2 N}.
    """
    orders = torch.arange(1, x_rank + z_rank + 1, dtype=torch.float64)
    digammas = torch.special.digamma((count - orders) / 2)
    return 0.5 * float(digammas[:x_rank].sum() + digammas[:z_rank].sum() - digammas.sum())


def _without_noise(squares: Tensor, x_share: float, z_share: float) -> Tensor:
    r"""Returns squared canonical correlations (R,) without the excess that sampling adds.

    For shares :math:`y_1 = X / N, y_2 = Z / N` fixed as N grows, sample values of uncorrelated x and
    z lie below :math:`y_1 + y_2 - 2 y_1 y_2 + 2 \sqrt{y_1 y_2 (1 - y_1)(1 - y_2)}`
    (Wachter, 1980). A true :math:`r = \rho^2` above this noise level has the sample value

    .. math:: \hat\rho^2 = (r (1 - y_1) + y_1) (r (1 - y_2) + y_2) / r,

    which is solved for r. Values within the noise become 0. See Canonical correlation coefficients
    of high-dimensional Gaussian vectors (Bao, Hu, Pan & Zhou, 2019).
    """
    free = (1 - x_share) * (1 - z_share)
    both = x_share * z_share
    edge = x_share + z_share - 2 * both + 2 * math.sqrt(both * free)
    middle = squares - x_share * (1 - z_share) - z_share * (1 - x_share)
    root = (middle.square() - 4 * free * both).clamp_min(0).sqrt()
    return torch.where(squares > edge, (middle + root) / (2 * free), torch.zeros_like(squares))


def _whitening(centred: Tensor) -> Tensor:
    """Returns the linear map to uncorrelated coordinates of variance 1, with shape (X, rank)."""
    covariance = centred.T @ centred / (len(centred) - 1)
    scales = covariance.diagonal().sqrt()  # so that units do not affect the rank
    varies = centred.amax(dim=0) > centred.amin(dim=0)  # rounding gives constants a variance
    weights = torch.where(varies, 1 / scales, torch.zeros_like(scales))
    variances, vectors = torch.linalg.eigh(covariance * weights * weights[:, None])
    kept = variances > NEGLIGIBLE * variances[-1]
    whitening: Tensor = vectors[:, kept] * variances[kept].rsqrt() * weights[:, None]
    return whitening
