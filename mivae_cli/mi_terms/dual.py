r"""The mutual-information term of the training objective: critic, dual variable and queue.

One step of the algorithm, with the features h and the latents z of a batch:

| psi-step     ascend :math:`I_\xi` in the critic, h and z detached
| xi-step      :math:`\log \xi \leftarrow -\log \mathrm{EMA}(Z)`
| phi-step     ascend :math:`I_\xi` in the encoder through z alone; critic, xi and h frozen

With :math:`\xi = 1 / \mathrm{EMA}(Z)` held, the psi-step's gradient is MINE's bias-corrected
one. That the phi-step may ignore how the critic itself depends on the encoder, and how h
does, holds when the critic is optimal (Q 5-10).

Batches hold sentences of like length, so pairs within a batch stand for
:math:`q(x \mid \mathrm{length}) \, q(z \mid \mathrm{length})` and would measure
:math:`I(x; z \mid \mathrm{length})`. A queue of features from earlier batches gives the product
of the marginals across lengths.

What is not finite moves nothing, and what is impossible does not reach the encoder. Over N
sentences :math:`I(x; z) \le \log N`, so a bound far above that comes of a critic or a
:math:`\xi` that has run away, and so does one as far below 0, which a constant critic attains:

| psi-step     critic and its moments move where its loss and its gradient are finite
| xi-step      :math:`\log \xi` moves where the bound that it would give is possible
| phi-step     refused where the bound is not possible

Shapes: B sentences, F features, Z latent units, Q places in the queue.
"""

__all__ = ["MutualInformationTerm"]

import math

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from ..config.training import CriticConfig
from ..estimators.bounds import dual, log_mean_exp_product
from ..finite_checks import Checker, FiniteCheck, Quantity, verify_all
from .critics import build_critic
from .queue import Queued

# Nats beyond the possible at which a batch's bound is refused. A bound on B pairs is noisy, and
# xi lags behind the critic by some batches, so in health a batch may leave the possible by a
# few nats. What has run away passes any margin within a few steps; 20 nats are a factor of
# 5e8 in Z.
MARGIN = 20.0


class MutualInformationTerm(Queued):
    """A critic that follows the encoder, and the bound that it gives.

    Arguments:
        config: The critic and how it learns.
        features: The number F of features.
        latent_size: The number Z of latent units.
        sentences: The number N of sentences, whose logarithm no information exceeds; by default
            every finite bound counts as possible.
    """

    log_partition: Tensor

    def __init__(
        self,
        config: CriticConfig,
        features: int,
        latent_size: int,
        sentences: float = math.inf,
    ) -> None:
        super().__init__(config.queue_size, features)
        self.config = config
        self.ceiling = math.log(sentences) + MARGIN
        # xi Z, which the bound subtracts, is at most 1 / (1 - decay): see `_followed`
        self.floor = -self.ceiling - 1 / (1 - config.xi_decay)
        self.critic = build_critic(config.network, features, latent_size)
        self.register_buffer("log_partition", torch.tensor(math.nan))  # log EMA(Z)

    @property
    def log_xi(self) -> Tensor:
        """The logarithm of the dual variable, with shape ()."""
        return -self.log_partition

    def ascend(
        self,
        features: Tensor,
        z: Tensor,
        optimizer: torch.optim.Optimizer,
        max_norm: float,
        check: Checker = verify_all,
    ) -> None:
        """Makes K psi- and xi-steps on a batch.

        Arguments:
            features: What the critic reads of x, detached, with shape (B, F).
            z: The latents drawn with them, detached, with shape (B, Z).
            optimizer: Moves the critic's weights.
            max_norm: Clips the critic's gradient.
            check: What is done with the numbers that this rests on.

        Raises:
            NonFiniteBatch: The critic's loss or its gradient is not finite. That step and those that
                were to follow moved nothing.
        """
        rows = self._rows(features)
        for _ in range(self.config.steps):
            scores = self.critic(rows, z)
            log_partition = self._followed(log_mean_exp_product(scores.detach()))
            loss = -dual(scores, -log_partition)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            norm = clip_grad_norm_(self.critic.parameters(), max_norm)
            check(
                [
                    FiniteCheck(Quantity.CRITIC_LOSS, loss),
                    FiniteCheck(Quantity.CRITIC_GRADIENT, norm),
                ]
            )
            # an impossible bound, too, teaches the critic, but would spoil xi for long: its
            # average is over Z, so one huge Z outweighs all others for many batches
            possible = (-loss >= self.floor) & (-loss <= self.ceiling)
            self.log_partition.copy_(torch.where(possible, log_partition, self.log_partition))
            optimizer.step()

    def lower_bound(self, features: Tensor, z: Tensor, check: Checker = verify_all) -> Tensor:
        """Returns the bound on a batch in nats, differentiable in z alone, with shape ().

        Arguments:
            features: What the critic reads of x, with shape (B, F).
            z: The latents drawn with them, with shape (B, Z).
            check: What is done with the numbers that this rests on.

        Raises:
            NonFiniteBatch: The bound or xi is not finite, or the bound is not possible. Nothing moved.
        """
        self.critic.requires_grad_(False)
        try:
            scores = self.critic(self._rows(features.detach()), z)
        finally:
            self.critic.requires_grad_(True)
        # the critic has moved since
        log_partition = self._followed(log_mean_exp_product(scores.detach()))
        bound = dual(scores, -log_partition, clip=self.config.clip)
        bounded = FiniteCheck(Quantity.BOUND, bound, self.floor, self.ceiling)
        check([FiniteCheck(Quantity.LOG_XI, -log_partition), bounded])
        self.log_partition.copy_(log_partition)
        return bound

    def _rows(self, features: Tensor) -> Tensor:
        """Returns the batch's features and the queue's, with shape (B + Q, F)."""
        return torch.cat([features, self.earlier()])

    def _followed(self, log_mean: Tensor) -> Tensor:
        r"""Returns where log EMA(Z) moves, in log space; the present batch is always part of it.

        So :math:`\xi Z \le 1 / (1 - \mathrm{decay})` on every batch, and no batch's product
        term can outweigh the joint one without limit.
        """
        kept = self.log_partition + math.log(max(self.config.xi_decay, 1e-30))
        added = log_mean + math.log1p(-self.config.xi_decay)
        first = self.log_partition.isnan()
        return torch.where(first, log_mean, torch.logaddexp(kept, added))
