r"""Estimate the mutual information of paired samples with several estimators.

The seed determines a random split into training, validation and test pairs. Critics and densities
are trained on training pairs, with early stopping on validation pairs. The dual variable is chosen
on validation pairs. Everything is then frozen and evaluated on all joint and product pairs of the
test split, with an interval from the delete-a-group jackknife. Estimators without weights
(`gaussian`, `copula`, `ksg`) use all pairs.

**The recommended estimate**, if no estimators are named, depends on the validation pairs only. A
critic starts as the log-ratio of the Gaussian copula and learns the difference. If training
improves the symmetric InfoNCE of the validation pairs (how well the critic matches x and z) by more
than three standard errors, the dependence is more than a Gaussian copula, and the recommendation is
the `dual` bound of that critic. Otherwise it is the closed form of the copula. If the test split
has too few product pairs for the dual, or z contains a function of x, the recommendation is
`infonce` of the same critic.

Shapes: N pairs, X and Z coordinates.
"""

__all__ = ["estimate_mutual_information"]

import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

import torch
from numpy.typing import ArrayLike

from ..choices import Discrete, EstimatorName, PairNetwork, Profile, Transform, check_choice
from ..errors import ConfigError, DataError
from ..limits import MAX_PERMUTATIONS, check_count, check_seed
from .estimator_suite import EstimatorSuite
from .io.checks import check_variables
from .io.frames import Frame
from .nearest_neighbours import KSG_DIMENSIONS, check_neighbours
from .report import Estimate, Recommendation, Report
from .row_checks import row_warnings
from .rows import Rows

STANDARD_ERRORS = 3.0  # by which training must improve on the copula
# The first requested one is recommended: bounds on held-out pairs, then the others; low variance
# comes first
PRECEDENCE: tuple[EstimatorName, ...] = (
    "dual",
    "tuba",
    "js",
    "nwj",
    "interpolated",
    "infonce",
    "copula",
    "doe",
    "ksg",
    "gaussian",
    "mine",
    "dv",
    "smile",
    "leave-one-out",
    "club",
)


def estimate_mutual_information(
    x: ArrayLike | Frame,
    z: ArrayLike | Frame,
    estimators: EstimatorName | Iterable[EstimatorName] = (),
    *,
    profile: Profile = "default",
    transform: Transform = "rank",
    network: PairNetwork = "separable",
    neighbours: int = 3,
    permutations: int = 0,
    groups: ArrayLike | Frame | None = None,
    blocks: int | None = None,
    discrete: Discrete = "auto",
    drop_missing: bool = False,
    seed: int = 0,
    names: tuple[str, str] = ("x", "z"),
) -> Report:
    r"""Estimates the mutual information of paired samples in nats, and recommends an estimate.

    .. math:: I(x; z) = \mathbb{E}_{q(x, z)}\Big[\log \frac{q(x, z)}{q(x) \, q(z)}\Big]

    Arguments:
        x: Samples (array, tensor, data frame or nested lists), with shape (N,) or (N, X), N >= 50.
        z: The samples drawn with them, with shape (N,) or (N, Z).
        estimators: A name of an estimator, or several. Default: "dual", "infonce", "copula",
            "gaussian" and, in up to ten dimensions, "ksg", with a recommendation that depends on
            the pairs.
        profile: Size of critics and densities, and length of their training.
        transform: Strictly monotone map of each coordinate of the critics' inputs, which does not
            change the mutual information. With "rank", critics start from the Gaussian copula,
            otherwise from a Gaussian.
        network: The learned part of critics.
        neighbours: The number k of neighbours of "ksg".
        permutations: Number of shuffles of the test pairs for a p-value of independence, exact for
            any distribution; 0 for none. The statistic is the mean score of a frozen critic.
        discrete: The samples whose columns are all labels. "none": all columns are numbers.
            "auto": strings, categories and booleans are labels, and so are integers with few
            levels.
        drop_missing: Whether to drop pairs with missing values; otherwise they are errors.
        groups: Labels of N rows; rows with the same label may depend on each other. Splits,
            intervals and permutations keep them together.
        blocks: The number of successive rows after which rows of a time series are nearly
            independent. Splits and intervals use blocks of this length, and permutations become
            circular shifts.
        seed: Seed of the split, the weights and all draws; the global random state does not change.
        names: Names of x and z in messages.

    Raises:
        DataError: The samples are not at least 50 pairs of finite numbers, or nothing varies.
        ConfigError: A name is unknown or repeated, or a number is out of range.

    References:
        | On Variational Bounds of Mutual Information (Poole et al., 2019)

    >>> from mivae_cli.estimators import estimate_mutual_information, samplers
    >>> x, z = samplers.CorrelatedGaussian(dim=2, rho=0.8).draw(1_000, seed=0)  # 1.02 nats
    >>> report = estimate_mutual_information(x, z, ["infonce", "gaussian"], profile="quick")
    >>> {estimate.estimator: round(estimate.value) for estimate in report.estimates}
    {'infonce': 1, 'gaussian': 1}
    """
    chosen = [estimators] if isinstance(estimators, str) else list(estimators)
    _check_names(chosen, profile, transform, network)
    permutations = check_count("the number of permutations", permutations, 0, MAX_PERMUTATIONS)
    neighbours = check_neighbours(neighbours)
    seed = check_seed(seed)
    sample = check_variables(
        x, z, groups=groups, discrete=discrete, drop_missing=drop_missing, names=names
    )
    check_neighbours(neighbours, len(sample))
    rows = Rows.of_sample(sample.rows, sample.groups, blocks)
    x, z = sample.tensors()
    warnings = sample.warnings + row_warnings(x, z, rows)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        suite = EstimatorSuite(x, z, profile, transform, network, neighbours, seed, rows)
        if chosen:
            estimates = _with_contradictions([suite.estimate(name) for name in chosen])
            recommended = _first(estimates)
        else:
            estimates, recommended = _default_estimates(suite)
        p_value = suite.p_value(permutations) if permutations else None
    dimensions = x.shape[1], z.shape[1]
    return Report(recommended, estimates, len(x), *dimensions, p_value, warnings, sample.notes)


def _default_estimates(suite: EstimatorSuite) -> tuple[list[Estimate], Recommendation]:
    """Returns the default estimates and the recommendation by the rule of the module."""
    lower = suite.critic_estimate("dual", "dual")
    contrastive = suite.critic_estimate("infonce", "dual")
    estimates = [lower, contrastive]
    closed: Estimate | None = None
    with suppress(DataError):  # more coordinates than pairs: no covariance
        closed = suite.estimate("copula")
        estimates += [closed, suite.estimate("gaussian")]
    if suite.x.shape[1] + suite.z.shape[1] <= KSG_DIMENSIONS:
        estimates.append(suite.estimate("ksg"))
    if closed is not None and closed.warnings:
        reason = (
            "z contains a function of x, so this is only the largest value that InfoNCE can show"
        )
        return estimates, Recommendation.of(contrastive, reason)
    start = "Gaussian copula" if suite.transform == "rank" else "Gaussian start"
    gain = suite.gain()
    error = (gain.high - gain.value) / 2
    if closed is not None and gain.value <= STANDARD_ERRORS * error:
        reason = (
            f"a critic does not improve significantly on the {start} "
            f"({gain.value:+.3f} ± {2 * error:.3f} nats), so the closed form of the copula is used"
        )
        return estimates, Recommendation.of(closed, reason)
    beyond = (
        f"a critic improves on the {start} by {gain.value:.2f} ± {2 * error:.2f} nats"
        if suite.start is not None
        else "too few pairs for the covariance of a Gaussian copula"
    )
    if lower.warnings:
        reason = f"{beyond}; InfoNCE is used, because there are too few product pairs for the dual"
        return estimates, Recommendation.of(contrastive, reason)
    return estimates, Recommendation.of(lower, f"{beyond}, so its held-out bound is used")


def _first(estimates: Sequence[Estimate]) -> Recommendation:
    by_name = {estimate.estimator: estimate for estimate in estimates}
    name = next(name for name in PRECEDENCE if name in by_name)
    reason = "the only estimator requested"
    if len(estimates) > 1:
        reason = "first of the requested estimators in a fixed order, with held-out bounds first"
    return Recommendation.of(by_name[name], reason)


def _with_contradictions(estimates: list[Estimate]) -> list[Estimate]:
    """Adds a warning to every upper bound below the interval of a lower bound."""
    lows = [each.ci_low for each in estimates if each.direction == "lower"]
    floor = max((low for low in lows if low is not None), default=-math.inf)
    warning = f"below the interval of a lower bound ({floor:.3f}): the fitted q(z|x) is inaccurate"
    return [
        replace(each, warnings=[*each.warnings, warning])
        if each.direction == "upper" and each.value < floor
        else each
        for each in estimates
    ]


def _check_names(estimators: Sequence[str], profile: str, transform: str, network: str) -> None:
    """Raises ConfigError for unknown names and repeated estimators."""
    for name in estimators:
        check_choice("estimator", name, EstimatorName)
    check_choice("profile", profile, Profile)
    check_choice("transform", transform, Transform)
    check_choice("network", network, PairNetwork)
    if len(set(estimators)) < len(estimators):
        raise ConfigError(f"an estimator is repeated: {', '.join(estimators)}")
