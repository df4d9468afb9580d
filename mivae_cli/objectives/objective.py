r"""The training objective: how distortion, rate and mutual information become one loss.

.. math:: \mathrm{loss}(t) = D + \beta(t) \, T(R) - \lambda(t) \, I + \gamma \, M

with, in nats and averaged over a batch of B sentences,

| D, distortion           :math:`-\mathbb{E}_q \log p(x \mid z)`
| R, rate                 :math:`\mathrm{KL}(q(z \mid x) \,\|\, p(z))`, T a transform (`rates`)
| I                       a lower bound on :math:`I_q(x; z)`: the convex dual (Q 2), or the known
                          posterior's within a batch
| M                       the maximum mean discrepancy of :math:`q(z)` from :math:`p(z)`, which
                          has no unit
| :math:`\beta, \lambda`  weights, each a constant times a schedule of the epoch t

At :math:`\lambda = \gamma = 0, \beta = 1` and T the identity it is the negative ELBO; at
:math:`\lambda = \beta = 1` the mutual information inside the rate cancels and
:math:`\mathrm{KL}(q(z) \,\|\, p(z))` remains.

An objective is a frozen pydantic model that is also a function of a batch's terms, so what
stands in `config.json` and what is computed are the same object.

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

if TYPE_CHECKING:  # arithmetic on tensors needs no torch, so --help stays instant
    from torch import Tensor


class Terms(NamedTuple):
    """What one batch contributes to an objective, in nats but for the discrepancy."""

    distortion: Tensor  # -log p(x | z), summed over tokens, with shape (B,)
    rates: Tensor  # KL(q(z | x) || p(z)) in each of G groups of latent units, with shape (B, G)
    mutual_information: Tensor | float  # a lower bound on I(x; z), with shape ()
    discrepancy: Tensor | float = 0.0  # of q(z) from p(z), with shape ()


class Weights(NamedTuple):
    """What the terms count at some time of training; None: not at all.

    They are numbers, or tensors with shape ().
    """

    rate: float | Tensor | None  # beta
    information: float | Tensor | None  # lambda
    discrepancy: float | Tensor | None  # gamma
    multiplier: float | Tensor = 0.0  # Lagrange's, where the rate is constrained


class Objective(Frozen):
    r"""Minimises :math:`D + \beta T(R) - \lambda I + \gamma M`."""

    beta: Factor = 1.0
    """Weight of the rate."""
    beta_schedule: Schedule = Linear(start=0.1, over=5.0)
    """Factor on beta by epoch; near zero at first is an autoencoder warm-up."""
    rate: RateTransform = PlainRate()
    """What a rate costs: plain, free-bits or minimum-rate."""
    mi_weight: Factor = 1.0
    """Weight (lambda) of the mutual-information bound; zero trains no critic."""
    mi_schedule: Schedule = Constant()
    """Factor on mi_weight by epoch."""
    mi_bound: MIBound = "dual"
    """The bound: of a critic (dual), or without one, among batch and queue (known-posterior)."""
    mmd_weight: Factor = 0.0
    """Weight (gamma) of the maximum mean discrepancy between codes and prior."""

    @property
    def schedules(self) -> dict[str, Schedule]:
        """The schedules of the weights that are not zero, `beta` and `mi`."""
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
        """Returns whether from this epoch on neither beta falls nor lambda rises any more."""
        ends = {"beta": self.beta_schedule.last_fall, "mi": self.mi_schedule.last_rise}
        return all(epoch >= ends[name] for name in self.schedules)

    def __call__(self, terms: Terms, epoch: float, multiplier: float = 0.0) -> Tensor:
        """Returns the loss of a batch, in nats a sentence, with shape ().

        Arguments:
            terms: What the batch contributes.
            epoch: Epochs done, in fractions; below zero, distortion alone counts.
            multiplier: Lagrange's, where the rate is constrained.
        """
        return self.loss(terms, self.weights(epoch, multiplier))

    def weights(self, epoch: float, multiplier: float = 0.0) -> Weights:
        """Returns what the terms count after so many epochs."""
        if epoch < 0:
            return Weights(None, None, None)
        rate = self.beta * self.beta_schedule(epoch)
        information = self.mi_weight * self.mi_schedule(epoch)
        return Weights(rate or None, information or None, self.mmd_weight or None, multiplier)

    def loss(self, terms: Terms, weights: Weights) -> Tensor:
        """Returns the loss of a batch at given weights, in nats a sentence, with shape ()."""
        loss = terms.distortion.mean()
        if weights.rate is not None:
            loss = loss + weights.rate * self.rate(terms.rates, weights.multiplier)
        if weights.information is not None:
            loss = loss - weights.information * terms.mutual_information
        if weights.discrepancy is not None:
            loss = loss + weights.discrepancy * terms.discrepancy
        return loss
