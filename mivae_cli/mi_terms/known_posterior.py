r"""The mutual-information term without a critic: the known posterior's bound as an objective.

.. math:: I = \frac{1}{B} \sum_i \Big[ \log q(z_i \mid x_i)
    - \log \frac{1}{B + Q} \sum_j q(z_i \mid x_j) \Big] \le \log (B + Q)

where j runs over the batch and a queue of earlier posteriors, which stand for the encoder as it
is. The gradient flows through the draws z and the posteriors of the batch. It is what a critic
would learn, known in closed form: the rival that a critic has to justify itself against.

Shapes: B sentences, Q places in the queue, P parameters of a posterior, Z latent units.
"""

__all__ = ["KnownPosteriorTerm"]

import math

import torch
from torch import Tensor

from ..estimators.known_posterior import pairwise_log_prob
from ..finite_checks import Checker, FiniteCheck, Quantity, verify_all
from ..models.latent import Posterior
from .queue import Queued


class KnownPosteriorTerm(Queued):
    """A queue of posteriors, each by its P parameters, and the bound that they give."""

    def lower_bound(self, posterior: Posterior, z: Tensor, check: Checker = verify_all) -> Tensor:
        """Returns the bound on a batch in nats, with shape ().

        Arguments:
            posterior: The batch's posteriors, of B sentences.
            z: One draw of each, with shape (B, Z).
            check: What is done with the number that this is.

        Raises:
            NonFiniteBatch: The bound is not finite.
        """
        everyone = torch.cat([posterior.parameters(), self.earlier()])
        scores = pairwise_log_prob(posterior.with_parameters(everyone), z)  # (B + Q, B)
        mixture = scores.logsumexp(dim=0) - math.log(len(scores))
        bound = (scores.diagonal() - mixture).mean()
        check([FiniteCheck(Quantity.BOUND, bound)])
        return bound.to(z.dtype)
