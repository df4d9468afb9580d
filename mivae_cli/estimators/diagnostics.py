"""What makes an estimate of mutual information say less than it seems to."""

__all__ = ["at_ceiling", "missing_pairs"]

import math

NEAR = 0.1  # nats: an estimate so near its ceiling says no more than that it is there
UNSEEN = 0.1  # nats of over-reporting, expected of missing product pairs, that are worth a word


def at_ceiling(value: float, ceiling: float | None) -> bool:
    """Returns whether an estimate is so near the most it can show that the truth may be higher."""
    return ceiling is not None and ceiling - value < NEAR


def missing_pairs(unseen: float, count: int) -> list[str]:
    """Returns what to say of a figure that is too high for lack of product pairs, if it is.

    Arguments:
        unseen: The share of joint pairs that score higher than every product pair; why it
            matters, `estimators.tally.ScoreSummary.unseen` tells.
        count: The number N of joint pairs.
    """
    excess = -math.log1p(-min(unseen, 1 - 0.5 / count, math.nextafter(1, 0)))
    if excess <= UNSEEN:
        return []
    # where no product pair comes near any joint pair, nothing tells how much
    what = f"likely too high, by some {excess:.1f} nats" if unseen < 1 else "a rough one"
    doubt = (
        f"{unseen:.0%} of joint pairs score above every one of {count * (count - 1):,} product "
        f"pairs: these are too few, and the figure is {what}"
    )
    return [doubt]
