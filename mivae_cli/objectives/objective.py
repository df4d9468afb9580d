r"""The training objective: a loss from distortion, rate and mutual information.

.. math:: \mathrm{loss}(t) = D + \beta(t) \, T(R) - \lambda(t) \, I + \gamma \, M

with, in nats and averaged over a batch of B sentences,

| D, distortion           :math:`-\mathbb{E}_q \log p(x \mid z)`
| R, rate                 :math:`\mathrm{KL}(q(z \mid x) \,\|\, p(z))`, T a transform (`rate_transforms`)
| I                       a lower bound on :math:`I_q(x; z)`: the convex dual (Q 2), or the known
                          posterior's within a batch
| M                       the maximum mean discrepancy between :math:`q(z)` and :math:`p(z)`
                          (no unit)
| :math:`\beta, \lambda`  weights, each a constant times a schedule of the epoch t

At :math:`\lambda = \gamma = 0, \beta = 1` and T the identity it is the negative ELBO; at
:math:`\lambda = \beta = 1` the mutual information inside the rate cancels and
:math:`\mathrm{KL}(q(z) \,\|\, p(z))` remains.

An objective is a frozen pydantic model and also a function of a batch's terms, so `config.json`
stores exactly what is computed.

References:
    | (Q n) is equation n of the appendix of Enhancing Variational Autoencoders with Mutual
      Information Neural Estimation for Text Generation (Qian & Cheung, 2019)
    | Fixing a Broken ELBO (Alemi et al., 2018), for D and R
    | InfoVAE (Zhao et al., 2017) and Wasserstein Auto-Encoders (Tolstikhin et al., 2018), for M
"""

from __future__ import annotations

__all__ = ["Objective", "Terms", "Weights"]

from typing import TYPE_CHECKING, NamedTuple

from ..choices import MIBound
from ..schema import Factor, Frozen
from .rate_transforms import PlainRate, RateTransform
from .schedules import Constant, Linear, Schedule

if TYPE_CHECKING:  # keeps torch out of --help
    from torch import Tensor


class Terms(NamedTuple):
    """The terms of one batch, in nats except for the discrepancy."""

    distortion: Tensor  # -log p(x | z), summed over tokens, with shape (B,)
    rates: Tensor  # KL(q(z | x) || p(z)) of each of G groups of latent units, with shape (B, G)
    mutual_information: Tensor | float  # a lower bound on I(x; z), with shape ()
    discrepancy: Tensor | float = 0.0  # between q(z) and p(z), with shape ()


class Weights(NamedTuple):
    """The weights of the terms at one time of training; None omits a term.

    They are numbers, or tensors with shape ().
    """

    rate: float | Tensor | None  # beta
    information: float | Tensor | None  # lambda
    discrepancy: float | Tensor | None  # gamma
    multiplier: float | Tensor = 0.0  # the Lagrange multiplier of a constrained rate


class Objective(Frozen):
    r"""Minimises :math:`D + \beta T(R) - \lambda I + \gamma M`."""

    beta: Factor = 1.0
    """Weight of the rate."""
    beta_schedule: Schedule = Linear(start=0.1, over=5.0)
    """Factor on beta by epoch; a start near zero warms up as an autoencoder."""
    rate: RateTransform = PlainRate()
    """Transform of the rate: plain, free-bits or minimum-rate."""
    mi_weight: Factor = 1.0
    """Weight (lambda) of the mutual-information bound; with 0, no critic is trained."""
    mi_schedule: Schedule = Constant()
    """Factor on mi_weight by epoch."""
    mi_bound: MIBound = "dual"
    """The bound: from a critic (dual), or from the posteriors of batch and queue (known-posterior)."""
    mmd_weight: Factor = 0.0
    """Weight (gamma) of the maximum mean discrepancy between codes and prior."""

    @property
    def schedules(self) -> dict[str, Schedule]:
        """The schedules of `beta` and `mi`, without those of zero weights."""
        weighted = {
            "beta": (self.beta, self.beta_schedule),
            "mi": (self.mi_weight, self.mi_schedule),
        }
        return {name: schedule for name, (weight, schedule) in weighted.items() if weight}

    @property
    def settled(self) -> float:
        """The epoch from which the objective no longer changes."""
        return max((schedule.settled for schedule in self.schedules.values()), default=0.0)

    def only_tightens(self, epoch: float) -> bool:
        """Returns whether beta no longer decreases and lambda no longer increases from now on."""
        ends = {"beta": self.beta_schedule.last_fall, "mi": self.mi_schedule.last_rise}
        return all(epoch >= ends[name] for name in self.schedules)

    def __call__(self, terms: Terms, epoch: float, multiplier: float = 0.0) -> Tensor:
        """Returns the loss of a batch in nats per sentence, with shape ().

        Arguments:
            terms: The terms of the batch.
            epoch: Finished epochs, including fractions; if negative, only distortion counts.
            multiplier: The Lagrange multiplier of a constrained rate.
        """
        return self.loss(terms, self.weights(epoch, multiplier))

    def weights(self, epoch: float, multiplier: float = 0.0) -> Weights:
        """Returns the weights of the terms after a number of epochs, including fractions."""
        if epoch < 0:
            return Weights(None, None, None)
        rate = self.beta * self.beta_schedule(epoch)
        information = self.mi_weight * self.mi_schedule(epoch)
        return Weights(rate or None, information or None, self.mmd_weight or None, multiplier)

    def loss(self, terms: Terms, weights: Weights) -> Tensor:
        """Returns the loss of a batch for given weights in nats per sentence, with shape ()."""
        loss = terms.distortion.mean()
        if weights.rate is not None:
            loss = loss + weights.rate * self.rate(terms.rates, weights.multiplier)
        if weights.information is not None:
            loss = loss - weights.information * terms.mutual_information
        if weights.discrepancy is not None:
            loss = loss + weights.discrepancy * terms.discrepancy
        return loss
