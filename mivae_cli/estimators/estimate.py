r"""Estimate the mutual information of paired samples with several estimators.

The seed determines a random split into training, validation and test pairs. Critics and densities
are trained on training pairs, with early stopping on validation pairs. The dual variable is chosen
on validation pairs. Everything is then frozen and evaluated on all joint and product pairs of the
test split, with an interval from the delete-a-group jackknife. `gaussian`, `copula`, `ksg` and, once
chosen, the density model use all pairs.

By default, a density model chosen on held-out pairs, corrected by neighbours
(`corrected_neighbours`), is compared with the `dual` bound of a trained critic, and one of them is
recommended (`recommendation`).

Shapes: N pairs, X and Z coordinates.
"""

__all__ = ["estimate_mutual_information"]

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

import torch
from numpy.typing import ArrayLike

from ..choices import Discrete, EstimatorName, PairNetwork, Profile, Transform, check_choice
from ..errors import ConfigError
from ..limits import MAX_PERMUTATIONS, check_count, check_seed
from .conditional.estimate import conditional_report
from .discrete.chain import is_inflated
from .discrete.estimates import discrete_estimates
from .discrete.labels import DiscreteEstimates
from .estimator_suite import EstimatorSuite
from .interpretation import interpreted
from .io.checks import check_variables
from .io.frames import Frame
from .nearest_neighbours import KSG_DIMENSIONS, check_neighbours
from .permutation_tests import independence_p_value
from .recommendation import default_estimates, recommend_named, with_contradictions
from .report import Recommendation, Report
from .row_checks import check_rows
from .rows import Rows

REPEATED_AS_NUMBERS = "repeated values count as numbers, not as levels, because rows are in {}"
LEVELS_AS_NUMBERS = (
    "the levels of a variable that also has numbers count as the numbers 0, 1, ..., because rows "
    "are in {}. To keep them, add two estimates: I(levels; z), and I(numbers; z | levels) with "
    "--given (in Python, given=)"
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
    given: ArrayLike | Frame | None = None,
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
        estimators: A name of an estimator, or several. Default: "model-ksg", "model",
            "dual", "infonce", "copula", "gaussian" and, in up to ten dimensions, "ksg", with a
            recommendation that depends on the pairs.
        profile: Size of critics and densities, and length of their training.
        transform: Strictly monotone map of each coordinate of the critics' inputs, which does not
            change the mutual information. With "rank", critics start from a Gaussian or
            Student-t copula, otherwise from a Gaussian.
        network: The learned part of critics.
        neighbours: The number k of neighbours of "ksg".
        permutations: Number of shuffles of the pairs for a p-value of independence, exact for
            any distribution; 0 for none. The statistic sums squared correlations of functions of
            x with functions of z; above ten columns, it is the mean score of a frozen critic on
            the test pairs.
        given: The samples of a variable w drawn with them, for the conditional mutual information
            I(x; z | w). No estimators can be named then.
        discrete: The samples whose columns are all labels. "none": all columns are numbers.
            "auto": strings, categories and booleans are labels, and so are integers with few
            levels, and single numbers that many rows repeat.
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
        x,
        z,
        given=given,
        groups=groups,
        discrete=discrete,
        drop_missing=drop_missing,
        names=names,
    )
    check_neighbours(neighbours, len(sample))
    rows = Rows.of_sample(sample.rows, sample.groups, blocks)
    x, z = sample.tensors()
    findings = check_rows(sample.x, sample.z, rows)
    warnings, notes = sample.warnings + findings.warnings, sample.notes
    if sample.given is not None:
        if chosen:
            raise ConfigError("'given' cannot be combined with named estimators")
        report = conditional_report(
            sample.x,
            sample.z,
            replace(sample.given, name="w"),
            neighbours=neighbours,
            permutations=permutations,
            rows=rows,
            seed=seed,
        )
        warnings, notes = [*warnings, *report.warnings], [*notes, *report.notes]
        report = replace(report, warnings=warnings, notes=notes)
        return interpreted(report, findings.objection)
    sides = sample.x, sample.z
    inflated = discrete == "auto" and any(map(is_inflated, sides))
    of_levels = not chosen and (inflated or any(side.kind != "continuous" for side in sides))
    mixed = any(side.kind == "mixed" for side in sides)
    if of_levels and rows.dependent and (inflated or mixed):
        of_levels = False
        notes.append((LEVELS_AS_NUMBERS if mixed else REPEATED_AS_NUMBERS).format(rows.kind))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        test: Callable[[int], float] = partial(
            independence_p_value, sample.x, sample.z, rows, seed=seed
        )
        recommended: Recommendation | None
        if of_levels:
            found = discrete_estimates(sample.x, sample.z, neighbours, rows=rows, seed=seed)
            estimates, recommended = found.estimates, found.recommended
            warnings, notes = warnings + found.warnings, [*notes, *found.notes, *_limits(found)]
        else:
            spare = not chosen and profile != "thorough"
            sizes = profile, transform, network, neighbours, seed
            suite = EstimatorSuite(x, z, *sizes, rows, spare)
            if chosen:
                estimates = with_contradictions([suite.estimate(name) for name in chosen])
                recommended = recommend_named(estimates)
            else:
                estimates, recommended = default_estimates(suite)
            if x.shape[1] + z.shape[1] > KSG_DIMENSIONS:
                test = suite.p_value
        p_value = test(permutations) if permutations else None
    dimensions = x.shape[1], z.shape[1]
    report = Report(recommended, estimates, len(x), *dimensions, p_value, warnings, notes)
    return interpreted(report, findings.objection)


def _limits(found: DiscreteEstimates) -> list[str]:
    """Returns the note on the entropy that limits the mutual information of levels."""
    if found.entropy is None or found.share is None:
        return []
    note = (
        f"the entropy of the levels is {found.entropy:.3f} nats, which the mutual information "
        f"cannot exceed; the recommended estimate is {found.share:.0%} of it"
    )
    return [note]


def _check_names(estimators: Sequence[str], profile: str, transform: str, network: str) -> None:
    """Raises ConfigError for unknown names and repeated estimators."""
    for name in estimators:
        check_choice("estimator", name, EstimatorName)
    check_choice("profile", profile, Profile)
    check_choice("transform", transform, Transform)
    check_choice("network", network, PairNetwork)
    if len(set(estimators)) < len(estimators):
        raise ConfigError(f"an estimator is repeated: {', '.join(estimators)}")
