r"""Mutual information of paired samples: every estimator, one protocol.

Pairs are dealt by a seed to training, validation and test. Whatever has weights is fitted on
training pairs and stopped by validation pairs; the dual variable is chosen on validation pairs;
then all is frozen, and the figure is taken from every pair of the test split, joint and product,
with an interval by the delete-a-group jackknife. What has no weights (`gaussian`, `copula`, `ksg`)
uses all pairs.

**The recommended figure** (without named estimators) is chosen by the validation pairs alone.
A critic starts as the log-ratio of the Gaussian copula and learns what that misses. If learning
improves, by more than three standard errors, the symmetric InfoNCE of the validation pairs (how
well the critic tells which z belongs to which x), the pairs are more than their copula and the
recommended figure is the `dual` bound of that critic; else it is the closed form of the copula,
which then is exact as far as the pairs can tell. Where the product pairs of the test split are
too few to hold the dual, or z holds a function of x, `infonce` of the same critic takes its place.

Shapes: N pairs, X and Z coordinates.
"""

__all__ = ["estimate_mutual_information"]

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import torch

from ..choices import EstimatorName, PairNetwork, Profile, Transform
from ..errors import ConfigError, DataError
from ..limits import MAX_KSG_NEIGHBOURS, MAX_PERMUTATIONS, MAX_SEED, check_range
from .estimator_suite import KSG_DIMENSIONS, Bench
from .io.pairs import check_pairs
from .report import Estimate, Recommendation, Report

STANDARD_ERRORS = 3.0  # by which learning must improve on the copula
# Where several are asked for: bounds on held-out pairs first, those of low variance before others
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
    x: object,
    z: object,
    estimators: Sequence[EstimatorName] = (),
    *,
    profile: Profile = "default",
    transform: Transform = "rank",
    network: PairNetwork = "separable",
    neighbours: int = 3,
    permutations: int = 0,
    seed: int = 0,
    names: tuple[str, str] = ("x", "z"),
) -> Report:
    r"""Estimates I(x; z) from samples drawn jointly.

    Arguments:
        x: An array, a tensor or nested lists of numbers, with shape (N,) or (N, X), N >= 50.
        z: The same, with shape (N,) or (N, Z).
        estimators: What to report; without any: `copula`, `dual`, `infonce`, `gaussian` and, in up
            to ten dimensions, `ksg`, with a recommended figure.
        profile: How long and how wide critics and densities are fitted.
        transform: How critics see each coordinate; a strictly monotone map, which changes no
            mutual information. `rank` also makes `copula` the critics' start, else they start
            from `gaussian`.
        network: The learned part of critics.
        neighbours: k of `ksg`.
        permutations: Of the test pairs, for the p-value of independence: a frozen critic's mean
            score of joint pairs is ranked among those of re-paired ones, which is exact for any
            critic fitted on other pairs. 0 for none.
        seed: Of the split, the weights and all draws; other random states stay as they are.
        names: What messages call x and z.

    Returns:
        The estimates in nats.

    Raises:
        DataError: These are not samples that can be measured.
        ConfigError: A name is unknown or said twice, or a number is out of range.
    """
    _check_names(estimators, profile, transform, network)
    check_range("the number of permutations", permutations, 0, MAX_PERMUTATIONS)
    check_range("the number of neighbours (k of ksg)", neighbours, 1, MAX_KSG_NEIGHBOURS)
    check_range("the seed", seed, 0, MAX_SEED)
    pairs, warnings = check_pairs(x, z, names)
    if neighbours >= len(pairs):
        raise ConfigError(
            f"{neighbours} neighbours (k of ksg) among {len(pairs)} pairs: take fewer"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        samples = torch.from_numpy(pairs.x), torch.from_numpy(pairs.z)
        bench = Bench(*samples, profile, transform, network, neighbours, seed)
        if estimators:
            rows = _contradicted([bench.row(name) for name in estimators])
            recommended = _first(rows)
        else:
            rows, recommended = _automatic(bench)
        p_value = bench.p_value(permutations) if permutations else None
    return Report(
        recommended, rows, len(pairs), pairs.x.shape[1], pairs.z.shape[1], p_value, warnings
    )


def _automatic(bench: Bench) -> tuple[list[Estimate], Recommendation]:
    """Returns the rows of the default, and the recommended one by the rule above."""
    lower, contrastive = bench.from_critic("dual", "dual"), bench.from_critic("infonce", "dual")
    rows = [lower, contrastive]
    closed: Estimate | None = None
    try:
        closed = bench.row("copula")
        rows += [closed, bench.row("gaussian")]
    except DataError:  # more coordinates than pairs: no covariance
        pass
    if bench.x.shape[1] + bench.z.shape[1] <= KSG_DIMENSIONS:
        rows.append(bench.row("ksg"))
    if closed is not None and closed.warnings:
        reason = "z holds a function of x, so this is but the most that so few pairs can show"
        return rows, Recommendation.of(contrastive, reason)
    start = "Gaussian copula" if bench.transform == "rank" else "Gaussian that it starts from"
    gain = bench.gain()
    error = (gain.high - gain.value) / 2
    if closed is not None and gain.value <= STANDARD_ERRORS * error:
        reason = (
            f"a critic learns nothing beyond the {start} that held-out pairs confirm "
            f"({gain.value:+.3f} ± {2 * error:.3f} nats): the copula's closed form"
        )
        return rows, Recommendation.of(closed, reason)
    beyond = (
        f"a critic learns {gain.value:.2f} ± {2 * error:.2f} nats that the {start} misses"
        if bench.start is not None
        else "there are too few pairs for the covariance of a Gaussian copula"
    )
    if lower.warnings:
        reason = f"{beyond}; too few product pairs for the dual, so InfoNCE, up to its ceiling"
        return rows, Recommendation.of(contrastive, reason)
    return rows, Recommendation.of(lower, f"{beyond}: its bound on held-out pairs")


def _first(rows: Sequence[Estimate]) -> Recommendation:
    by_name = {row.estimator: row for row in rows}
    name = next(name for name in PRECEDENCE if name in by_name)
    reason = "the only one asked for"
    if len(rows) > 1:
        reason = "first of those asked for in a fixed order: bounds on held-out pairs lead"
    return Recommendation.of(by_name[name], reason)


def _contradicted(rows: list[Estimate]) -> list[Estimate]:
    """Adds to every upper bound that a held-out lower bound exceeds what that means."""
    floor = max(
        (row.ci_low for row in rows if row.direction == "lower" and row.ci_low is not None),
        default=-math.inf,
    )
    doubt = f"below a lower bound's interval ({floor:.3f}): the fitted q(z|x) is not the true one"
    return [
        replace(row, warnings=[*row.warnings, doubt])
        if row.direction == "upper" and row.value < floor
        else row
        for row in rows
    ]


def _check_names(estimators: Sequence[str], profile: str, transform: str, network: str) -> None:
    """Refuses what is not among the choices, and what is said twice."""
    chosen = [("estimator", name, EstimatorName) for name in estimators]
    chosen += [
        ("profile", profile, Profile),
        ("transform", transform, Transform),
        ("network", network, PairNetwork),
    ]
    for kind, name, choices in chosen:
        if name not in get_args(choices):
            raise ConfigError(f"there is no {kind} '{name}': take {', '.join(get_args(choices))}")
    if len(set(estimators)) < len(estimators):
        raise ConfigError(f"an estimator is named twice: {', '.join(estimators)}")
