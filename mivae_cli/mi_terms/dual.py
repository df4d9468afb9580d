r"""The mutual-information term of the training objective: critic, dual variable and queue.

One step of the algorithm, with the features h and the latents z of a batch:

| psi-step     maximise :math:`I_\xi` in the critic, with h and z detached
| xi-step      :math:`\log \xi \leftarrow -\log \mathrm{EMA}(Z)`
| phi-step     maximise :math:`I_\xi` in the encoder through z only; critic, xi and h are frozen

For fixed :math:`\xi = 1 / \mathrm{EMA}(Z)`, the gradient of the psi-step is the bias-corrected
gradient of MINE. The phi-step may ignore how the critic and h depend on the encoder if the critic is
optimal (Q 5-10).

Batches contain sentences of similar length, so pairs within a batch are drawn from
:math:`q(x \mid \mathrm{length}) \, q(z \mid \mathrm{length})` and would estimate
:math:`I(x; z \mid \mathrm{length})`. A queue of features from earlier batches provides the product
of the marginals across lengths.

Checks protect the weights. Over N sentences, :math:`I(x; z) \le \log N`, and a constant critic
attains 0. A bound far outside this range comes from a critic or a :math:`\xi` that diverged:

| psi-step     the critic changes only if its loss and its gradient are finite
| xi-step      :math:`\log \xi` changes only if the resulting bound is possible
| phi-step     an impossible bound raises an error

Shapes: B sentences, F features, Z latent units, Q entries of the queue.
"""

__all__ = ["MutualInformationTerm"]

import math

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from ..config.training import CriticConfig
from ..estimators.bounds import dual, log_mean_exp_product
from ..estimators.score_matrix import score_summary
from ..finite_checks import Checker, FiniteCheck, Quantity, verify_all
from .critics import ConcatenatedCritic, build_critic
from .queue import FeatureQueue

# Nats outside the possible range at which the bound of a batch is an error. A bound on B pairs is
# noisy, and xi lags behind the critic, so a healthy batch may be a few nats outside. Diverging values
# exceed any margin within a few steps; 20 nats are a factor of 5e8 in Z.
MARGIN = 20.0
MAX_CONCATENATED = 256  # sentences whose pairs a concatenated critic scores at a validation


class MutualInformationTerm(FeatureQueue):
    """A critic trained along with the encoder, and its dual bound.

    Arguments:
        config: Settings of the critic.
        features: The number F of features.
        latent_size: The number Z of latent units.
        sentences: The number N of sentences, which limits the possible bounds; default: unlimited.
    """

    log_partition: Tensor

    def __init__(
        self, config: CriticConfig, features: int, latent_size: int, sentences: float = math.inf
    ) -> None:
        super().__init__(config.queue_size, features)
        self.config = config
        self.ceiling = math.log(sentences) + MARGIN
        # xi Z, which the bound subtracts, is at most 1 / (1 - decay): see `_moving_average`
        self.floor = -self.ceiling - 1 / (1 - config.xi_decay)
        self.critic = build_critic(config.network, features, latent_size)
        self.register_buffer("log_partition", torch.tensor(math.nan))  # log EMA(Z)

    @property
    def log_xi(self) -> Tensor:
        """The logarithm of the dual variable, with shape ()."""
        return -self.log_partition

    def update_critic(
        self,
        features: Tensor,
        z: Tensor,
        optimizer: torch.optim.Optimizer,
        max_norm: float,
        check: Checker = verify_all,
    ) -> None:
        """Makes K psi- and xi-steps on detached features (B, F) and latents (B, Z).

        Raises:
            NonFiniteBatch: The critic's loss or its gradient is not finite. This step and the
                following ones are skipped.
        """
        rows = self.with_queued(features)
        for _ in range(self.config.steps):
            scores = self.critic(rows, z)
            log_partition = self._moving_average(log_mean_exp_product(scores.detach()))
            loss = -dual(scores, -log_partition)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            norm = clip_grad_norm_(self.critic.parameters(), max_norm)
            gradient = FiniteCheck(Quantity.CRITIC_GRADIENT, norm)
            check([FiniteCheck(Quantity.CRITIC_LOSS, loss), gradient])
            # an impossible bound still trains the critic, but would distort xi: a single huge Z
            # dominates the moving average for many batches
            possible = (-loss >= self.floor) & (-loss <= self.ceiling)
            self.log_partition.copy_(torch.where(possible, log_partition, self.log_partition))
            optimizer.step()

    def lower_bound(self, features: Tensor, z: Tensor, check: Checker = verify_all) -> Tensor:
        """Returns the bound for features (B, F) and latents (B, Z), differentiable in z alone.

        Raises:
            NonFiniteBatch: The bound or log xi is not finite, or the bound is impossible. The
                moving average does not change.
        """
        self.critic.requires_grad_(False)
        try:
            scores = self.critic(self.with_queued(features.detach()), z)
        finally:
            self.critic.requires_grad_(True)
        # the critic has changed since the xi-step
        log_partition = self._moving_average(log_mean_exp_product(scores.detach()))
        bound = dual(scores, -log_partition, clip=self.config.clip)
        bounded = FiniteCheck(Quantity.BOUND, bound, self.floor, self.ceiling)
        check([FiniteCheck(Quantity.LOG_XI, -log_partition), bounded])
        self.log_partition.copy_(log_partition)
        return bound

    @torch.no_grad()
    def held_out_bound(self, features: Tensor, z: Tensor) -> float | None:
        r"""Returns the dual bound on other sentences in nats, or None if its value is impossible.

        .. math:: \frac{1}{N} \sum_j f(x_j, z_j)
            - \frac{\xi}{N (N - 1)} \sum_{i \ne j} e^{f(x_i, z_j)} + \log \xi + 1

        The critic and :math:`\xi` do not depend on these sentences, so its expectation is a lower
        bound on I(x; z). A value outside the possible range shows that one of them has diverged.

        Arguments:
            features: Features of N sentences, with shape (N, F). A concatenated critic, whose cost
                is a pass of its network per pair, scores only the first 256.
            z: A sample of each posterior, with shape (N, Z).
        """
        if isinstance(self.critic, ConcatenatedCritic):
            features, z = features[:MAX_CONCATENATED], z[:MAX_CONCATENATED]
        if len(z) < 2:
            return None
        scores = score_summary(lambda x, z: self.critic(x, z).cpu(), features, z).scores
        bound = float(dual(scores, self.log_xi.cpu()))
        return bound if self.floor <= bound <= self.ceiling else None

    def _moving_average(self, log_mean: Tensor) -> Tensor:
        """Returns the updated log EMA(Z), including this batch, so xi Z <= 1 / (1 - decay)."""
        kept = self.log_partition + math.log(max(self.config.xi_decay, 1e-30))
        added = log_mean + math.log1p(-self.config.xi_decay)
        first = self.log_partition.isnan()
        return torch.where(first, log_mean, torch.logaddexp(kept, added))
