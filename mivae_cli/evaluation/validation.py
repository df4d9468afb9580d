"""Figures of the validation split after an epoch."""

__all__ = ["SENTENCES", "HeldOut", "held_out_figures"]

import math
from dataclasses import dataclass, field

import torch

from ..estimators.known_posterior import aggregated_posterior
from ..limits import MAX_LOGGED_RATES
from ..mi_terms.build import Term
from ..mi_terms.dual import MutualInformationTerm
from ..mi_terms.mmd import maximum_mean_discrepancy
from ..models.vae import VAE
from ..objectives.objective import Objective, Terms
from .encode import Encoded
from .metrics import active_units, effective_units, units_above

SENTENCES = 4096  # maximum for estimates of quadratic cost


@dataclass(frozen=True)
class HeldOut:
    """Held-out figures, in nats per sentence; the ELBO has beta = 1."""

    loss: float  # the objective at its final weights; the best checkpoint has the lowest
    elbo: float
    distortion: float
    rate: float
    mi: float  # from the known posteriors
    mi_ceiling: float
    active_units: int
    units_above: int  # units with a mean rate above 0.1 nats
    effective_units: float  # exponential of the entropy of the units' shares of the rate
    # dual bound of the training critic; None without one, and if its value is impossible
    mi_dual: float | None = field(default=None, kw_only=True)
    # mean rate of each latent unit; None for more than 256 units
    rates: tuple[float, ...] | None = field(default=None, kw_only=True)


def held_out_figures(
    model: VAE, encoded: Encoded, objective: Objective, term: Term | None = None
) -> HeldOut:
    """Returns the figures of encoded sentences, with the objective at its final weights.

    The mutual information of the objective is the known posterior's, whichever bound training uses.
    It, the dual bound and the discrepancy are computed on the first 4,096 sentences.

    Arguments:
        model: The model.
        encoded: The sentences, with the features of the first 4,096 if there is a critic.
        objective: The objective.
        term: The mutual-information term of training; a critic gives the dual bound.
    """
    distortion, rate = float(encoded.distortion.mean()), float(encoded.rate.mean())
    mi, ceiling, discrepancy = 0.0, 0.0, 0.0
    unit_rates = encoded.posterior.unit_rates().tolist()
    if model.latent_size:
        chosen = slice(SENTENCES)
        densities = aggregated_posterior(encoded.posterior[chosen], encoded.z[chosen])
        mi = float(densities.empirical_terms.mean())
        ceiling = math.log(len(densities))
        if objective.mmd_weight:
            z = encoded.z[chosen]
            prior = encoded.posterior.prior.sample(len(z), torch.Generator())
            discrepancy = float(maximum_mean_discrepancy(z, prior))
    terms = Terms(encoded.distortion, encoded.posterior.rates(), mi, discrepancy)
    return HeldOut(
        loss=float(objective(terms, math.inf)),
        elbo=-distortion - rate,
        distortion=distortion,
        rate=rate,
        mi=mi,
        mi_ceiling=ceiling,
        active_units=active_units(encoded.posterior.scaled_means()),
        units_above=units_above(unit_rates),
        effective_units=effective_units(unit_rates),
        mi_dual=_dual(encoded, term) if isinstance(term, MutualInformationTerm) else None,
        rates=tuple(unit_rates) if 0 < len(unit_rates) <= MAX_LOGGED_RATES else None,
    )


def _dual(encoded: Encoded, term: MutualInformationTerm) -> float | None:
    device = term.log_partition.device
    features = encoded.features
    return term.held_out_bound(features.to(device), encoded.z[: len(features)].to(device))
