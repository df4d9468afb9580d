"""Posterior collapse: when a training is known to have collapsed, and what helps.

A posterior has collapsed when the latent code says almost nothing about a sentence. While beta
rises, little information is no collapse yet: a decoder learns the frequencies of words first and
uses z only after some hundred steps. What has been lost while beta only rises, does not return.
"""

__all__ = ["COLLAPSED", "has_collapsed", "remedies"]

import math

from ..config.model import BatchNormPosteriorConfig
from ..config.run import RunConfig
from ..objectives.objective import Objective
from ..objectives.rate_transforms import FreeBits

COLLAPSED = 0.5  # nats of mutual information: below, z says almost nothing about a sentence
GROWTH = 0.02  # nats above all earlier validations that are no accident
LEARNT = 1000  # steps after which a decoder that ignores z has had its time to use it


def has_collapsed(
    mi: float, peak: float, objective: Objective, epoch: float, step: int, last: bool
) -> bool:
    """Returns whether a validation shows that the posterior has collapsed.

    It has where the information is below half a nat, nothing that training still changes would
    bring it back (beta does not fall any more and lambda does not rise), and one of these holds:

    | lost          an earlier validation had a nat or more
    | never gained  beta is at half its final value or more, a thousand steps are done, and the
                    information does not grow
    | last          the training is over

    Arguments:
        mi: The validation's mutual information, in nats.
        peak: The largest of all earlier validations, in nats.
        objective: What is minimised.
        epoch: Epochs of the objective that are done; below zero it is not used yet.
        step: Steps that are done.
        last: Whether no epoch follows.
    """
    if mi >= COLLAPSED:
        return False
    if last:
        return True
    if epoch < 0 or not objective.only_tightens(epoch):
        return False
    ramp = objective.beta_schedule
    stuck = step >= LEARNT and 2 * ramp(epoch) >= ramp(math.inf) and mi < peak + GROWTH
    return peak >= 2 * COLLAPSED or stuck


def remedies(config: RunConfig) -> list[str]:
    """Returns what to try against collapse, each with its cost in a few words.

    What the run does already is not named again. The costs were measured on image captions; they
    stand in the table of `docs/explanations/methods.md`.
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
