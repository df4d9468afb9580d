r"""Choose the estimate to recommend, with the reason.

Without named estimators, the candidates are a density model corrected by neighbours
(`corrected_neighbours`), of all columns or of a reduction, and the `dual` bound on held-out pairs.

1. If rows depend on one another, density models do not apply. Nearest neighbours across units are
   recommended in up to ten dimensions, otherwise the bound.
2. If neighbours see ever more as pairs are added, far beyond what the model explains, z is probably
   a function of x. The mutual information is then infinite, and only a lower limit is given.
3. If many columns share more than the test pairs can show, only a lower limit is given.
4. If the held-out bound lies above the interval of the corrected model, the model has missed
   dependence, and the bound is recommended.
5. Otherwise, the corrected model is recommended, with only its lower end if neighbours see so much
   more than the model that they may not see everything.

Of named estimators, the first in a fixed order is recommended, unless their intervals contradict
each other.
"""

__all__ = ["default_estimates", "recommend_named", "with_contradictions"]

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from ..choices import EstimatorName
from ..errors import DataError
from .estimator_suite import EstimatorSuite
from .nearest_neighbours import KSG_DIMENSIONS
from .report import Estimate, Recommendation

# Matching score by which a critic beats a model that misses much: nats, and share of its information
MISSED, MISSED_SHARE = 0.05, 0.05
PAIRS_PER_COORDINATE = 10  # below which a density model is not trusted at high information
# Among requested estimators that agree, the first is recommended: bounds on held-out pairs before
# others, and low variance before high variance
PRECEDENCE: tuple[EstimatorName, ...] = (
    "model-ksg",
    "dual",
    "tuba",
    "js",
    "nwj",
    "interpolated",
    "infonce",
    "copula",
    "model",
    "doe",
    "ksg",
    "gaussian",
    "mine",
    "dv",
    "smile",
    "leave-one-out",
    "club",
)


def default_estimates(suite: EstimatorSuite) -> tuple[list[Estimate], Recommendation | None]:
    """Returns the default estimates and the recommendation by the rule of the module."""
    bound = suite.estimate("dual")
    contrastive = suite.critic_estimate("infonce", "dual")  # of the same scores
    rows = [bound, contrastive]
    for name in _closed_forms(suite):
        with suppress(DataError):  # more coordinates than pairs: no covariance
            rows.append(suite.estimate(name))
    if suite.rows.dependent:
        return rows, _of_dependent_rows(rows)
    if suite.models.is_function:
        reason = "z contains a function of x, so only a lower limit can be given"
        return rows, _of_bounds(bound, contrastive, reason)
    if suite.models.corrected is None:
        reason = "too few pairs for a density model"
        return rows, _of_bounds(bound, contrastive, reason)
    corrected = suite.estimate("model-ksg")
    rows = [corrected, suite.estimate("model"), *rows]
    if suite.models.corrected.unbounded:
        reason = (
            "neighbours see ever more as pairs are added: z is probably a function of x, and the "
            "mutual information infinite"
        )
        return rows, _of_bounds(bound, contrastive, reason)
    few = len(suite.x) < PAIRS_PER_COORDINATE * (suite.x.shape[1] + suite.z.shape[1])
    if bound.warnings and (few or suite.models.reduction is not None):
        reason = "x and z share more than so few pairs can show"
        return rows, _of_bounds(bound, contrastive, reason)
    missed = suite.critic_gain > max(MISSED, MISSED_SHARE * suite.models.corrected.information)
    higher = bound.value > corrected.value and not bound.warnings
    if higher and (missed or _low(bound) > _high(corrected)):
        reason = "a critic finds dependence on held-out pairs that the density model misses"
        return rows, Recommendation.of(bound, reason, at_least=True)
    incomplete = missed or suite.models.corrected.incomplete
    return rows, Recommendation.of(
        corrected.at_least_zero(), _reason(suite, missed), at_least=incomplete
    )


def recommend_named(rows: Sequence[Estimate]) -> Recommendation | None:
    """Returns the recommended one of named estimators; None if they contradict each other.

    Two estimates contradict each other if their intervals are disjoint, except that a lower bound
    may be below any estimate, and an upper bound above.
    """
    by_name = {row.estimator: row for row in rows}
    ordered = [by_name[name] for name in PRECEDENCE if name in by_name]
    if len(ordered) == 1:
        return Recommendation.of(ordered[0], "the only estimator requested")
    floor = max((_low(row) for row in ordered if row.direction == "lower"), default=-math.inf)
    sound = [row for row in ordered if _high(row) >= floor]
    figures = [row for row in sound if row.direction == "neither"]
    bounds = [row for row in sound if row.direction == "lower"]
    agree = all(_low(one) <= _high(two) for one in figures for two in figures)
    if agree and sound:
        reason = "first of the requested estimators in a fixed order, with held-out bounds first"
        return Recommendation.of(sound[0].at_least_zero(), reason)
    if bounds:
        best = max(bounds, key=lambda row: row.value)
        reason = "the other requested estimators contradict each other; this is a lower bound"
        return Recommendation.of(best.at_least_zero(), reason, at_least=True)
    return None


def with_contradictions(rows: Sequence[Estimate]) -> list[Estimate]:
    """Adds a warning to every upper bound below the interval of a lower bound."""
    floor = max((_low(row) for row in rows if row.direction == "lower"), default=-math.inf)
    warning = f"below the interval of a lower bound ({floor:.3f}): the fitted q(z|x) is inaccurate"
    return [
        replace(row, warnings=[*row.warnings, warning])
        if row.direction == "upper" and row.value < floor
        else row
        for row in rows
    ]


def _of_dependent_rows(rows: Sequence[Estimate]) -> Recommendation:
    """Returns nearest neighbours across units in few dimensions, otherwise the held-out bound."""
    by_name = {row.estimator: row for row in rows}
    if (nearest := by_name.get("ksg")) is not None:
        reason = "nearest neighbours across units; a density model needs independent rows"
        return Recommendation.of(nearest.at_least_zero(), reason)
    reason = "rows depend on one another, so only the bound on held-out units is used"
    return _of_bounds(by_name["dual"], by_name["infonce"], reason)


def _closed_forms(suite: EstimatorSuite) -> tuple[EstimatorName, ...]:
    if suite.x.shape[1] + suite.z.shape[1] <= KSG_DIMENSIONS:
        return "copula", "gaussian", "ksg"
    return "copula", "gaussian"


def _of_bounds(bound: Estimate, contrastive: Estimate, reason: str) -> Recommendation:
    """Returns the dual bound, or InfoNCE if product pairs are too few for the dual."""
    if bound.warnings:
        reason += "; InfoNCE is used, because there are too few product pairs for the dual"
    chosen = contrastive if bound.warnings else bound
    return Recommendation.of(chosen.at_least_zero(), reason, at_least=True)


def _reason(suite: EstimatorSuite, missed: bool) -> str:
    found, reduction = suite.models.corrected, suite.models.reduction
    assert found is not None
    reason = f"density model chosen on held-out pairs: {found.model_name}"
    if reduction is not None:
        plural = "" if reduction.rank == 1 else "s"
        reason += (
            f", of {reduction.rank} canonical variate{plural} each of x and z. What variates share "
            "is a lower bound on what x and z share"
        )
    if missed:
        return (
            f"{reason}; a critic matches held-out pairs better by {suite.critic_gain:.3f} nats, so "
            "only the lower end can be defended"
        )
    if found.incomplete:
        return (
            f"{reason}; neighbours see {found.kept_residual:+.3f} nats beyond it and may not see "
            "all that it misses, so only the lower end can be defended"
        )
    if found.kept_residual:
        return f"{reason}; neighbours see {found.kept_residual:+.3f} nats beyond it"
    return f"{reason}; neighbours see nothing beyond it"


def _low(row: Estimate) -> float:
    return row.value if row.ci_low is None else row.ci_low


def _high(row: Estimate) -> float:
    return row.value if row.ci_high is None else row.ci_high
