r"""The training objective: how distortion, rate and mutual information become one loss.

.. math:: \mathrm{loss}(t) = D + \beta(t) \, R - \lambda(t) \, I_\xi

with, in nats and averaged over a batch of B sentences,

| D, distortion           :math:`-\mathbb{E}_q \log p(x \mid z)`
| R, rate                 :math:`\mathrm{KL}(q(z \mid x) \,\|\, p(z))`, summed over Z latent units
| :math:`I_\xi`           the convex-dual lower bound on :math:`I_q(x; z)` (Q 2)
| :math:`\beta, \lambda`  weights, each a constant times a schedule of the epoch t

At :math:`\lambda = 0, \beta = 1` it is the negative ELBO; at :math:`\lambda = \beta = 1` the
mutual information inside the rate cancels and :math:`\mathrm{KL}(q(z) \,\|\, p(z))` remains.

An objective is a frozen pydantic model that is also a function of a batch's terms, so what
stands in `config.json` and what is computed are the same object.

References:
    | (Q n) is equation n of the appendix of Enhancing Variational Autoencoders with Mutual
      Information Neural Estimation for Text Generation (Qian & Cheung, 2019)
    | Fixing a Broken ELBO (Alemi et al., 2018), for D and R
"""

from __future__ import annotations

__all__ = ["Objective", "Terms"]

from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict

from .schedules import Constant, Factor, Linear, Schedule

if TYPE_CHECKING:  # arithmetic on tensors needs no torch, so --help stays instant
    from torch import Tensor


class Terms(NamedTuple):
    """What one batch contributes to an objective, in nats."""

    distortion: Tensor  # -log p(x | z), summed over tokens, with shape (B,)
    rates: Tensor  # KL(q(z | x) || p(z)) per latent unit, with shape (B, Z)
    mutual_information: Tensor | float  # a lower bound on I(x; z), with shape ()


class Objective(BaseModel):
    r"""Minimises :math:`D + \beta R - \lambda I_\xi`."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    beta: Factor = 1.0
    """Weight of the rate."""
    beta_schedule: Schedule = Linear(start=0.1, over=5.0)
    """Factor on beta by epoch; near zero at first is an autoencoder warm-up."""
    mi_weight: Factor = 1.0
    """Weight (lambda) of the mutual-information bound; zero trains no critic."""
    mi_schedule: Schedule = Constant()
    """Factor on mi_weight by epoch."""

    @property
    def settled(self) -> float:
        """The epoch from which the objective no longer changes."""
        return max(self.beta_schedule.settled, self.mi_schedule.settled)

    def __call__(self, terms: Terms, epoch: float) -> Tensor:
        """Returns the loss of a batch, in nats a sentence, with shape ()."""
        loss = terms.distortion.mean()
        beta = self.beta * self.beta_schedule(epoch)
        if beta > 0:
            loss = loss + beta * terms.rates.sum(dim=-1).mean()
        mi_weight = self.mi_weight * self.mi_schedule(epoch)
        if mi_weight > 0:
            loss = loss - mi_weight * terms.mutual_information
        return loss
