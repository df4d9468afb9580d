"""Detect estimates of mutual information that are less reliable than they look."""

__all__ = ["at_ceiling", "missing_pairs"]

import math

CEILING_MARGIN = 0.1  # nats
MIN_EXCESS = 0.1  # nats; smaller errors due to missing product pairs cause no warning


def at_ceiling(value: float, ceiling: float | None) -> bool:
    """Returns whether an estimate is so close to its ceiling that the true value may be higher."""
    return ceiling is not None and ceiling - value < CEILING_MARGIN


def missing_pairs(unseen: float, count: int) -> list[str]:
    """Returns a warning if an estimate from N pairs is too high for lack of product pairs.

    `unseen` is the share of joint pairs that score above every product pair (`ScoreSummary`).
    """
    excess = -math.log1p(-min(unseen, 1 - 0.5 / count, math.nextafter(1, 0)))
    if excess <= MIN_EXCESS:
        return []
    # if all joint pairs score above all product pairs, the size of the error is unknown
    error = f"about {excess:.1f} nats too high" if unseen < 1 else "only a rough guess"
    warning = (
        f"{unseen:.0%} of joint pairs score above all {count * (count - 1):,} product pairs: these "
        f"are too few, and the estimate is probably {error}"
    )
    return [warning]
