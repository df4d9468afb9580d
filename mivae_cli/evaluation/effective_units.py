r"""The number of latent units that carry information, from their rates. Does not import torch.

Shapes: Z latent units, with mean rates :math:`R_1, \dots, R_Z` in nats.

Papers usually report active units (`metrics.active_units`), but their threshold is low: a Gaussian
unit whose mean has a variance of 0.01 has a rate of about 0.005 nats. The two numbers here show
over how many units the rate is distributed.
"""

__all__ = ["RATE_THRESHOLD", "effective_units", "units_above"]

import math
from collections.abc import Sequence

RATE_THRESHOLD = 0.1  # nats


def units_above(rates: Sequence[float], threshold: float = RATE_THRESHOLD) -> int:
    """Returns the number of units whose mean rate is above a threshold, in nats."""
    return sum(rate > threshold for rate in rates)


def effective_units(rates: Sequence[float], threshold: float = RATE_THRESHOLD) -> float:
    r"""Returns the effective number of units: the exponential of the entropy of the rate shares.

    .. math:: \exp \Big( -\sum_k s_k \log s_k \Big), \qquad s_k = R_k / \sum_j R_j

    It is 1 if one unit has the whole rate, and Z if all units have the same rate. It is 0 if the
    total rate does not exceed the threshold: the shares of a tiny rate are meaningless.
    """
    positive = [rate for rate in rates if rate > 0]  # rounding may make rates slightly negative
    total = sum(positive)
    if not total > threshold or math.isinf(total):
        return 0.0
    shares = [rate / total for rate in positive]
    return math.exp(-sum(share * math.log(share) for share in shares if share > 0))
