"""What a pass over the validation split tells, before training draws its conclusions from it."""

__all__ = ["HeldOut", "held_out_figures"]

import math
from dataclasses import dataclass

import torch

from ..estimators.known_posterior import aggregated_posterior
from ..mi_terms.mmd import maximum_mean_discrepancy
from ..models.vae import VAE
from ..objectives.objective import Objective, Terms
from .encode import Encoded
from .metrics import active_units, effective_units, units_above

SENTENCES = 4096  # for what is quadratic in them


@dataclass(frozen=True)
class HeldOut:
    """Held-out figures with beta = 1, in nats a sentence."""

    loss: float  # the objective's, at its final weights: what is best has the lowest
    elbo: float
    distortion: float
    rate: float
    mi: float  # known posterior, empirical
    mi_ceiling: float
    active_units: int
    units_above: int  # whose mean rate is above 0.1 nats
    effective_units: float  # the exponential of the entropy of the units' shares of the rate


def held_out_figures(model: VAE, reading: Encoded, objective: Objective) -> HeldOut:
    """Returns the figures of a model's reading; the loss takes the objective as it is at the end.

    Its mutual information is the known posterior's, whatever bound the objective has, and it and
    the discrepancy are those of the first 4,096 sentences.
    """
    distortion, rate = float(reading.distortion.mean()), float(reading.rate.mean())
    mi, ceiling, discrepancy = 0.0, 0.0, 0.0
    unit_rates = reading.posterior.unit_rates().tolist()
    if model.latent_size:
        chosen = slice(SENTENCES)
        densities = aggregated_posterior(reading.posterior[chosen], reading.z[chosen])
        mi = float(densities.empirical_terms.mean())
        ceiling = math.log(len(densities))
        if objective.mmd_weight:
            z = reading.z[chosen]
            prior = reading.posterior.prior.sample(len(z), torch.Generator())
            discrepancy = float(maximum_mean_discrepancy(z, prior))
    terms = Terms(reading.distortion, reading.posterior.rates(), mi, discrepancy)
    return HeldOut(
        loss=float(objective(terms, math.inf)),
        elbo=-distortion - rate,
        distortion=distortion,
        rate=rate,
        mi=mi,
        mi_ceiling=ceiling,
        active_units=active_units(reading.posterior.scaled_means()),
        units_above=units_above(unit_rates),
        effective_units=effective_units(unit_rates),
    )
