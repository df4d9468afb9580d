"""Warnings about figures of an evaluation that contradict each other.

In theory, lower bound ≤ I(x; z) ≤ upper bound, and I(x; z) ≤ rate. Estimates from few sentences may
violate this. All in nats per sentence.
"""

__all__ = ["contradictions"]

import math

from .mutual_information import MutualInformation
from .rounding import two_decimals

INFORMATIVE = 0.1  # nats: smaller differences may be noise


def contradictions(
    mi: MutualInformation,
    rate: float,
    active_units: int,
    perplexities: tuple[float, float],
    iw_samples: int,
) -> list[str]:
    """Returns one warning per contradiction.

    The perplexities are from the ELBO and from the bound with `iw_samples` importance samples.
    """
    dual, upper, known = mi.dual, mi.leave_one_out, mi.known_posterior
    found = []
    estimates = [each.value for each in (known, upper, dual) if each is not None]
    if not all(map(math.isfinite, [rate, *perplexities, *estimates])):
        found.append(
            "Some figures are not finite: training has probably diverged. Train again with a lower "
            "training.optimizer.learning_rate."
        )
    if dual is not None and upper is not None and dual.ci_low > upper.ci_high:
        found.append(
            f"The MI lower bound ({dual.value:.2f}) is above the MI upper bound ({upper.value:.2f}): "
            "the critic had too few training pairs. Report the MI of the known posterior."
        )
    for name, estimate in (("MI (known posterior)", known), ("MI lower bound", dual)):
        if estimate is not None and estimate.ci_low > rate + 1e-6 * (1 + abs(rate)):  # rounding
            found.append(
                f"{name} ({estimate.value:.2f}) is above the KL (rate) ({rate:.2f}), an upper bound "
                "of the MI. Evaluate on more sentences."
            )
    if upper is not None and (upper.ci_low > rate or upper.value > rate + INFORMATIVE):
        found.append(
            f"The MI upper bound ({two_decimals(upper.value)}) is above the KL (rate) ({rate:.2f}) and is "
            "not informative. The rate is the tighter upper bound."
        )
    informative = max(known.ci_low, -math.inf if dual is None else dual.ci_low)
    if active_units == 0 and informative > INFORMATIVE:
        found.append(
            f"No unit is active, but the MI is at least {informative:.2f}: the variance of the means "
            "is below the threshold of active units."
        )
    elbo, weighted = perplexities
    if weighted > elbo * (1 + 1e-6):
        found.append(
            f"The perplexity (IW) is above the perplexity (ELBO). With {iw_samples} importance samples "
            "this can happen by chance: increase --iw-samples (in Python, iw_samples=)."
        )
    return found
