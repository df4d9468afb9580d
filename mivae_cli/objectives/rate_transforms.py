r"""Rate transforms: functions T of the rates of a batch, which beta multiplies.

:math:`R_{bg}` is the rate of sentence b in group g, in nats. A transform is a frozen settings
object and a function of the rates. To add one, write a class below and add it to `RateTransform`.

Shapes: B sentences, G groups of latent units (for a Gaussian every unit is a group; on the sphere
all units are one).
"""

from __future__ import annotations

__all__ = ["FreeBits", "MinimumRate", "PlainRate", "RateTransform"]

from typing import TYPE_CHECKING, Annotated, Literal, assert_never

from pydantic import Field

from ..choices import FreeBitsScope
from ..schema import Frozen

if TYPE_CHECKING:  # keeps torch out of --help
    from torch import Tensor

Target = Annotated[float, Field(ge=0, le=1e4)]


class PlainRate(Frozen):
    r"""The rate itself: :math:`\frac{1}{B} \sum_b \sum_g R_{bg}`."""

    kind: Literal["plain"] = "plain"

    def __call__(self, rates: Tensor, multiplier: float | Tensor) -> Tensor:
        """Returns T(R) for rates of shape (B, G), in nats per sentence, with shape ()."""
        return rates.sum(dim=-1).mean()


class FreeBits(Frozen):
    r"""A rate below a target costs as much as the target, so reducing it further gains nothing.

    With the target :math:`\lambda` and the mean over the batch :math:`\bar R`,

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
    """Target rate in nats per sentence, divided equally among the latent units."""
    over: FreeBitsScope = "unit"
    """Scope of the target: each unit or all together, per batch or per sentence."""

    def __call__(self, rates: Tensor, multiplier: float | Tensor) -> Tensor:
        """Returns T(R) for rates of shape (B, G), in nats per sentence, with shape ()."""
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
    r"""The rate with the constraint :math:`R \ge r`, by a Lagrange multiplier u.

    .. math:: \min_{\theta, \phi} \max_{u \ge 0} \; D + R + u \, g, \quad g = r - R_\mathrm{batch},
        \qquad u \leftarrow \max(0, u + \eta \, g)

    Below the target, u grows until a nat of rate costs less than the distortion it saves. The plain
    Lagrangian oscillates without damping, so this is the augmented one,

    .. math:: R + \frac{\max(0, u + c \, g)^2 - u^2}{2 c}

    whose weight on the constraint is :math:`u + c \, g`, which reacts to g immediately.

    References:
        | Effective Estimation of Deep Generative Language Models (Pelsmaeker & Aziz, 2020), MDR
        | Constrained Optimization and Lagrange Multiplier Methods (Bertsekas, 1982), augmented
    """

    kind: Literal["minimum-rate"] = "minimum-rate"
    target: Target = 5.0
    """Minimum rate r, in nats per sentence."""
    step_size: Annotated[float, Field(gt=0, le=10)] = 1e-3
    """Change of u (eta) per nat between the rate of a batch and the target."""
    damping: Annotated[float, Field(gt=0, le=100)] = 0.1
    """Immediate change of the constraint's weight (c) per such nat."""

    def __call__(self, rates: Tensor, multiplier: float | Tensor) -> Tensor:
        """Returns T(R) for rates of shape (B, G), in nats per sentence, with shape ()."""
        rate = rates.sum(dim=-1).mean()
        weight = (multiplier + self.damping * (self.target - rate)).clamp(min=0.0)
        return rate + (weight.square() - multiplier**2) / (2 * self.damping)

    def moved(self, multiplier: float, rate: float) -> float:
        """Returns u after a batch with a given rate, in nats per sentence."""
        return max(0.0, multiplier + self.step_size * (self.target - rate))


RateTransform = Annotated[PlainRate | FreeBits | MinimumRate, Field(discriminator="kind")]
