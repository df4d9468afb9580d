r"""The mutual-information term without a critic: the bound of the known posterior.

.. math:: I = \frac{1}{B} \sum_i \Big[ \log q(z_i \mid x_i)
    - \log \frac{1}{B + Q} \sum_j q(z_i \mid x_j) \Big] \le \log (B + Q)

where j runs over the batch and a queue of earlier posteriors, which approximate those of the current
encoder. The gradient flows through the draws z and the posteriors of the batch. This is the
closed-form baseline for a critic, which has to learn the same bound.

Shapes: B sentences, Q entries of the queue, P parameters of a posterior, Z latent units.
"""

__all__ = ["KnownPosteriorTerm"]

import math

from torch import Tensor

from ..estimators.known_posterior import pairwise_log_prob
from ..finite_checks import Checker, FiniteCheck, Quantity, verify_all
from ..models.latent import Posterior
from .queue import FeatureQueue


class KnownPosteriorTerm(FeatureQueue):
    """A queue of the P parameters of earlier posteriors, and the bound of the known posterior."""

    def lower_bound(self, posterior: Posterior, z: Tensor, check: Checker = verify_all) -> Tensor:
        """Returns the bound for B posteriors and one draw of each, with shape ().

        Raises:
            NonFiniteBatch: The bound is not finite.
        """
        parameters = self.with_queued(posterior.parameters())
        scores = pairwise_log_prob(posterior.with_parameters(parameters), z)  # (B + Q, B)
        mixture = scores.logsumexp(dim=0) - math.log(len(scores))
        bound = (scores.diagonal() - mixture).mean()
        check([FiniteCheck(Quantity.BOUND, bound)])
        return bound.to(z.dtype)
