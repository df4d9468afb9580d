r"""How many latent units carry information, told by their rates. Without torch.

Shapes: Z latent units, with mean rates :math:`R_1, \dots, R_Z` in nats.

Active units (`metrics.active_units`) are the count that the field reports, but its threshold is
low: a Gaussian unit whose mean has a variance of 0.01 has a rate of about 0.005 nats. The two
counts here say how many units the rate is really spread over.
"""

__all__ = ["RATE_THRESHOLD", "effective_units", "units_above"]

import math
from collections.abc import Sequence

RATE_THRESHOLD = 0.1  # nats


def units_above(rates: Sequence[float], threshold: float = RATE_THRESHOLD) -> int:
    r"""Returns the number of units with a mean rate :math:`R_k` above a threshold.

    Arguments:
        rates: The mean rate of each unit, in nats.
        threshold: The rate that a unit must exceed, in nats.
    """
    return sum(rate > threshold for rate in rates)


def effective_units(rates: Sequence[float], threshold: float = RATE_THRESHOLD) -> float:
    r"""Returns the number of equal units that would share the rate as evenly.

    .. math:: \exp \Big( -\sum_k s_k \log s_k \Big), \qquad s_k = R_k / \sum_j R_j

    This is the exponential of the entropy of the rate shares: 1 if one unit has the whole rate,
    Z if all have the same. Shares of a rate of nearly nothing mean nothing, so the value is 0 if
    the total rate is not above the threshold, which is that of a single unit.

    Arguments:
        rates: The mean rate of each unit, in nats; rounding may leave them slightly negative.
        threshold: The total rate, in nats, up to which no unit counts.
    """
    positive = [rate for rate in rates if rate > 0]
    total = sum(positive)
    if not total > threshold or math.isinf(total):
        return 0.0
    shares = [rate / total for rate in positive]
    return math.exp(-sum(share * math.log(share) for share in shares if share > 0))
