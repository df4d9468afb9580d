"""Build the mutual-information term of an objective."""

__all__ = ["Term", "build_term"]

import math
from typing import assert_never

from ..config.run import RunConfig
from .dual import MutualInformationTerm
from .known_posterior import KnownPosteriorTerm

Term = MutualInformationTerm | KnownPosteriorTerm


def build_term(config: RunConfig, features: int, sentences: float = math.inf) -> Term | None:
    """Builds the mutual-information term of a run; None if its weight or the latent size is 0.

    `features` and `sentences` are the numbers of encoder features and of training sentences.
    """
    latent_size, bound = config.model.latent_size, config.objective.mi_bound
    if not (config.objective.mi_weight and latent_size):
        return None
    match bound:
        case "dual":
            return MutualInformationTerm(config.critic, features, latent_size, sentences)
        case "known-posterior":
            return KnownPosteriorTerm(config.critic.queue_size, config.model.posterior_size)
        case _:
            assert_never(bound)
