r"""The closed-form estimators `gaussian` and `gaussian_copula`, which need no training.

Shapes: N pairs, X and Z coordinates.
"""

__all__ = ["closed_form", "gaussian", "gaussian_copula", "is_function"]

from collections.abc import Sequence
from typing import Literal

from numpy.typing import ArrayLike
from torch import Tensor

from .gaussian_ratio import GaussianRatio, NormalScores, gaussian_interval
from .io.checks import checked_tensors
from .report import Estimate, stopwatch
from .rows import Rows

DETERMINISTIC = 1 - 1e-9  # squared correlation above which z is treated as a function of x


def gaussian(x: ArrayLike, z: ArrayLike) -> Estimate:
    r"""Returns the mutual information of the Gaussian fitted to the pairs, in nats.

    .. math:: \hat I = -\frac{1}{2} \sum_k \ln(1 - \hat\rho_k^2) - \text{bias}(N, X, Z)

    with the sample canonical correlations and `small_sample_bias`. Exact for Gaussian pairs; it
    misses all dependence without linear correlation. Neither an upper nor a lower bound. The 95 %
    interval covers the sampling error only.

    Arguments:
        x: Samples (array, tensor, data frame or nested lists), with shape (N,) or (N, X), N >= 50.
        z: The samples drawn with them, with shape (N,) or (N, Z).

    Raises:
        DataError: The samples are not pairs of finite numbers, nothing varies, or N <= X + Z + 1.

    References:
        | Relations between two sets of variates (Hotelling, 1936)

    >>> from mivae_cli.estimators import gaussian, samplers
    >>> x, z = samplers.CorrelatedGaussian(dim=3, rho=0.8).draw(5_000, seed=0)  # 1.53 nats
    >>> round(gaussian(x, z).value, 1)
    1.5
    """
    tensors, warnings = checked_tensors(x, z)
    return closed_form("gaussian", *tensors, warnings)


def gaussian_copula(x: ArrayLike, z: ArrayLike) -> Estimate:
    r"""Returns the mutual information of the Gaussian copula fitted to the pairs, in nats.

    Equals `gaussian`, interval and errors included, of the normal scores of each coordinate,

    .. math:: t \mapsto \Phi^{-1}\Big(\frac{\mathrm{rank}(t) - 1/2}{N}\Big).

    Exact for every distribution that strictly monotone maps of single coordinates turn into a
    Gaussian. Neither an upper nor a lower bound.

    Arguments:
        x: Samples as in `gaussian`, with shape (N,) or (N, X), N >= 50.
        z: The samples drawn with them, with shape (N,) or (N, Z).

    Raises:
        DataError: As in `gaussian`.

    References:
        | The nonparanormal (Liu, Lafferty & Wasserman, 2009)

    >>> from mivae_cli.estimators import gaussian_copula, samplers
    >>> x, z = samplers.CorrelatedGaussian(dim=3, rho=0.8).draw(5_000, seed=0)  # 1.53 nats
    >>> round(gaussian_copula(x, z**3).value, 1)
    1.5
    """
    tensors, warnings = checked_tensors(x, z)
    return closed_form("copula", *tensors, warnings)


def closed_form(
    name: Literal["gaussian", "copula"],
    x: Tensor,
    z: Tensor,
    warnings: Sequence[str] = (),
    rows: Rows | None = None,
) -> Estimate:
    """Returns the estimate of `gaussian` or `gaussian_copula`, with the warnings of the samples.

    If `rows` are dependent, the bias and the interval come from the jackknife over units.

    Raises:
        DataError: There are not more pairs than coordinates.
    """
    with stopwatch() as seconds:
        if name == "copula":
            x, z = NormalScores.of(x)(x), NormalScores.of(z)(z)
        ratio = GaussianRatio.fit(x, z)
        interval = gaussian_interval(x, z, rows, ratio)
    warnings = list(warnings)
    if _is_deterministic(ratio):
        warnings.append(
            "part of z is a function of x in these pairs: for continuous values, the mutual "
            "information is infinite"
        )
    return Estimate(name, *interval, "neither", None, False, seconds(), warnings)


def is_function(x: Tensor, z: Tensor) -> bool:
    """Returns whether a linear combination of z is one of x, but for rounding.

    Raises:
        DataError: There are not more pairs than coordinates.
    """
    return _is_deterministic(GaussianRatio.fit(x, z))


def _is_deterministic(ratio: GaussianRatio) -> bool:
    return float(ratio.correlations.max()) ** 2 > DETERMINISTIC
