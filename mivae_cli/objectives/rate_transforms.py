r"""Rate transforms: what a batch's rates cost, before beta weighs it.

With :math:`R_{bg}` the rate of sentence b in group g, in nats, a transform is a frozen value that
is also a function of the rates. To add one, write a class below and add it to `RateTransform`.

Shapes: B sentences, G groups of latent units (each unit for a Gaussian, all of them for a
posterior whose rate does not divide).
"""

from __future__ import annotations

__all__ = ["FreeBits", "MinimumRate", "PlainRate", "RateTransform"]

from typing import TYPE_CHECKING, Annotated, Literal, assert_never

from pydantic import Field

from ..choices import FreeBitsScope
from ..schema import Frozen

if TYPE_CHECKING:  # arithmetic on tensors needs no torch, so --help stays instant
    from torch import Tensor

Target = Annotated[float, Field(ge=0, le=1e4)]


class PlainRate(Frozen):
    r"""The rate as it is: :math:`\frac{1}{B} \sum_b \sum_g R_{bg}`."""

    kind: Literal["plain"] = "plain"

    def __call__(self, rates: Tensor, multiplier: float | Tensor) -> Tensor:
        """Returns what rates of shape (B, G) cost, in nats a sentence, with shape ()."""
        return rates.sum(dim=-1).mean()


class FreeBits(Frozen):
    r"""A rate below a target costs as much as the target: nothing is gained by less.

    With :math:`\lambda` the target and :math:`\bar R` a mean over the batch,

    | unit            :math:`\sum_g \max(\lambda / G, \bar R_g)`   (Kingma et al., 2016)
    | sentence-unit   the mean of :math:`\sum_g \max(\lambda / G, R_{bg})`   (Li et al., 2019)
    | sentence        the mean of :math:`\max(\lambda, \sum_g R_{bg})`
    | batch           :math:`\max(\lambda, \sum_g \bar R_g)`

    References:
        | Improved Variational Inference with Inverse Autoregressive Flow (Kingma et al., 2016)
        | A Surprisingly Effective Fix for Deep Latent Variable Modeling of Text (Li et al., 2019)
    """

    kind: Literal["free-bits"] = "free-bits"
    target: Target = 8.0
    """Nats a sentence that cost nothing, shared equally by the latent units."""
    over: FreeBitsScope = "unit"
    """Whose rate is held against the target: that of a unit or of all, in a batch or a sentence."""

    def __call__(self, rates: Tensor, multiplier: float | Tensor) -> Tensor:
        """Returns what rates of shape (B, G) cost, in nats a sentence, with shape ()."""
        share = self.target / max(1, rates.shape[-1])
        match self.over:
            case "unit":
                return rates.mean(dim=0).clamp(min=share).sum()
            case "sentence-unit":
                return rates.clamp(min=share).sum(dim=-1).mean()
            case "sentence":
                return rates.sum(dim=-1).clamp(min=self.target).mean()
            case "batch":
                return rates.sum(dim=-1).mean().clamp(min=self.target)
            case _:
                assert_never(self.over)


class MinimumRate(Frozen):
    r"""The rate under the constraint :math:`R \ge r`, by a Lagrange multiplier u.

    .. math:: \min_{\theta, \phi} \max_{u \ge 0} \; D + R + u \, g, \quad g = r - R_\mathrm{batch},
        \qquad u \leftarrow \max(0, u + \eta \, g)

    Below the target u grows, until a nat of rate costs less than the distortion it saves. Alone, u
    and R chase each other in waves that do not die, so the Lagrangian is the augmented one,

    .. math:: R + \frac{\max(0, u + c \, g)^2 - u^2}{2 c}

    whose weight on the constraint answers at once: :math:`u + c \, g`, and u itself where g is 0.

    References:
        | Effective Estimation of Deep Generative Language Models (Pelsmaeker & Aziz, 2020), MDR
        | Constrained Optimization and Lagrange Multiplier Methods (Bertsekas, 1982), augmented
    """

    kind: Literal["minimum-rate"] = "minimum-rate"
    target: Target = 5.0
    """The least rate r, in nats a sentence."""
    step_size: Annotated[float, Field(gt=0, le=10)] = 1e-3
    """How far u moves (eta) for every nat that a batch's rate is away from the target."""
    damping: Annotated[float, Field(gt=0, le=100)] = 0.1
    """How much the constraint's weight (c) answers at once to such a nat."""

    def __call__(self, rates: Tensor, multiplier: float | Tensor) -> Tensor:
        """Returns what rates of shape (B, G) cost, in nats a sentence, with shape ()."""
        rate = rates.sum(dim=-1).mean()
        weight = (multiplier + self.damping * (self.target - rate)).clamp(min=0.0)
        return rate + (weight.square() - multiplier**2) / (2 * self.damping)

    def moved(self, multiplier: float, rate: float) -> float:
        """Returns u after a batch of such a rate, in nats a sentence."""
        return max(0.0, multiplier + self.step_size * (self.target - rate))


RateTransform = Annotated[PlainRate | FreeBits | MinimumRate, Field(discriminator="kind")]
