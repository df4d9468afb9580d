"""Detection of posterior collapse (the latent code carries almost no information), and remedies.

Early in training, little information is not yet a collapse: a decoder first learns word
frequencies, and uses z after some hundred steps. Information lost while beta rises is gone.
"""

__all__ = ["COLLAPSED", "collapse_warning", "has_collapsed", "remedies"]

import math

from ..config.model import BatchNormPosteriorConfig
from ..config.run import RunConfig
from ..objectives.objective import Objective
from ..objectives.rate_transforms import FreeBits

COLLAPSED = 0.5  # nats of mutual information; below, a posterior may have collapsed
GROWTH = 0.02  # nats; a smaller increase over all earlier validations may be noise
MIN_STEPS = 1000  # steps after which a decoder should use z


def has_collapsed(
    mi: float, peak: float, objective: Objective, epoch: float, step: int, last: bool
) -> bool:
    """Returns whether a validation shows that the posterior has collapsed.

    It has if the mutual information is below half a nat, the schedules cannot restore it (beta no
    longer falls and lambda no longer rises), and one of these conditions holds:

    | lost          an earlier validation had at least one nat
    | never gained  beta is at least half its final value, at least a thousand steps are done, and
                    the information does not grow
    | last          training has ended; this needs no condition on the schedules

    Arguments:
        mi: The mutual information of the validation, in nats.
        peak: The largest value of all earlier validations, in nats.
        objective: The training objective.
        epoch: Finished epochs with the objective; negative during the autoencoder epochs.
        step: The number of finished steps.
        last: Whether training has ended.
    """
    if mi >= COLLAPSED:
        return False
    if last:
        return True
    if epoch < 0 or not objective.only_tightens(epoch):
        return False
    ramp = objective.beta_schedule
    stuck = step >= MIN_STEPS and 2 * ramp(epoch) >= ramp(math.inf) and mi < peak + GROWTH
    return peak >= 2 * COLLAPSED or stuck


def collapse_warning(mi: float, config: RunConfig) -> str:
    """Returns a warning about a collapsed posterior, with remedies."""
    return (
        f"the posterior has collapsed: I(x; z) is {mi:z.2f} nats. The latent code carries almost no "
        "information about the sentence. Train another run with "
        + ", or ".join(remedies(config))
        + ". The figures are those of image captions. To list all remedies: mivae presets"
    )


def remedies(config: RunConfig) -> list[str]:
    """Returns remedies against collapse that the run does not use yet, with their cost.

    The costs were measured on image captions; see the table in "Methods" of the documentation.
    """
    objective, found = config.objective, []
    if objective.mi_weight:
        found.append(f"a larger --mi-weight than {objective.mi_weight:g}")
    else:
        found.append("--preset mine (5.0 nats; its critic takes a fifth more time)")
    if not (objective.mi_weight and isinstance(objective.rate, FreeBits)):
        found.append("--preset mine-free-bits (the same, and all units count as active)")
    if isinstance(objective.rate, FreeBits):
        found.append(f"a larger --set objective.rate.target= than {objective.rate.target:g}")
    else:
        found.append("--preset free-bits (5.0 nats for a rate of 7.7, at 2 % more perplexity)")
    if not isinstance(config.model.posterior, BatchNormPosteriorConfig):
        found.append("--preset bn (4.0 nats for a fixed rate of 5.8)")
    return found
