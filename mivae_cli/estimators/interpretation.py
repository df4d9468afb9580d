"""How to read a report: what its intervals cover, and whether its parts agree.

Does not import torch.
"""

__all__ = ["interpreted"]

from dataclasses import replace

from .calibration import MAX_LOSS
from .report import Estimate, Recommendation, Report

LEVEL = 0.05  # of the test of independence
NEAR_ZERO = 0.01  # nats
ROUNDING = 1e-9  # nats
MIN_WIDENING = 1.1  # of an interval beyond its sampling error, to be mentioned
LOWER_BOUNDS = (
    "the interval of a lower bound covers the sampling error, not the dependence that the bound "
    "misses"
)
NOTHING_FOUND = (
    "{}: the critic found nothing on the validation pairs, so the bound is 0 and its interval has "
    "no width; this is no evidence of independence"
)
BELOW_ZERO = (
    "{}: worse than the trivial bound, 0, because the critic scores some test pairs unlike all "
    'validation pairs; with heavy tails, use --transform rank (in Python, transform="rank")'
)


def interpreted(report: Report, objection: str | None = None) -> Report:
    """Returns a report with notes on how to read it.

    An objection to the samples withdraws the recommendation.
    """
    recommended = None if objection else report.recommended
    if recommended is None and (objection or len(report.estimates) > 1):
        reason = objection or "the requested estimators contradict each other"
        notes = [f"no recommendation: {reason}"]
    else:
        notes = _wider_interval(recommended)
    if recommended is not None and report.p_value is not None:
        notes += _beside_the_test(recommended, report.p_value)
    if any(row.direction == "lower" for row in report.estimates):
        notes.append(LOWER_BOUNDS)
    of_critics = [row for row in report.estimates if row.held_out]
    if nothing := [row.estimator for row in of_critics if _found_nothing(row)]:
        notes.append(NOTHING_FOUND.format(", ".join(nothing)))
    if useless := [row.estimator for row in of_critics if row.value < -MAX_LOSS]:
        notes.append(BELOW_ZERO.format(", ".join(useless)))
    return replace(report, recommended=recommended, notes=[*report.notes, *notes])


def _found_nothing(row: Estimate) -> bool:
    """Returns whether an estimate is 0 with an interval of no width."""
    ends = row.ci_low, row.ci_high
    return all(end is not None and abs(end) < ROUNDING for end in ends)


def _wider_interval(recommended: Recommendation | None) -> list[str]:
    """Returns a note on the sampling error, if the interval covers much more."""
    if recommended is None or recommended.at_least or recommended.sampling_low is None:
        return []
    assert recommended.ci_low is not None
    assert recommended.ci_high is not None
    assert recommended.sampling_high is not None
    width = recommended.sampling_high - recommended.sampling_low
    if recommended.ci_high - recommended.ci_low < MIN_WIDENING * width:
        return []
    sampling = f"[{recommended.sampling_low:.3f}, {recommended.sampling_high:.3f}]"
    note = (
        f"sampling error alone: {sampling}; the recommended interval also covers the error of the "
        "estimator, as measured by simulation"
    )
    return [note]


def _beside_the_test(recommended: Recommendation, p_value: float) -> list[str]:
    """Returns a note if the test of independence and the estimate seem to disagree."""
    low = recommended.value if recommended.ci_low is None else recommended.ci_low
    if p_value <= LEVEL and (recommended.value < NEAR_ZERO or low <= 0):
        note = (
            f"the test finds dependence (p = {p_value:.3g}), although the interval of the "
            "recommended estimate contains 0: the dependence is weak, or of a form that the "
            "estimate misses"
        )
        return [note]
    if p_value > LEVEL and low > 0:
        note = (
            f"the test does not find the dependence (p = {p_value:.3g}) that the recommended "
            "estimate shows: treat the estimate with caution, or use more pairs or permutations"
        )
        return [note]
    return []
