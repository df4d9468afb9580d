r"""Schedules: factors of the objective's weights as functions of the epoch.

A schedule is a frozen settings object and a function :math:`s(t)`, where :math:`t \ge 0` is the
number of finished epochs, including fractions (2.5: half of the third epoch is done).
To add one, write a class below and add it to `Schedule`.
"""

__all__ = ["Constant", "Cyclical", "Linear", "Schedule"]

from typing import Annotated, Literal

from pydantic import Field

from ..schema import Duration, Epochs, Factor, Frozen


class _Schedule(Frozen):
    @property
    def last_rise(self) -> float:
        """The epoch from which the factor no longer increases."""
        return 0.0

    @property
    def last_fall(self) -> float:
        """The epoch from which the factor no longer decreases."""
        return 0.0

    @property
    def settled(self) -> float:
        """The epoch from which the factor no longer changes."""
        return max(self.last_rise, self.last_fall)


class Constant(_Schedule):
    r"""Constant: :math:`s(t) = c`."""

    kind: Literal["constant"] = "constant"
    value: Factor = 1.0
    """The factor."""

    def __call__(self, epoch: float) -> float:
        """Returns the factor after a number of epochs."""
        return self.value


class Linear(_Schedule):
    r"""Linear ramp: :math:`s(t) = a + (b - a) \min(1, \max(0, (t - t_0) / T))`.

    References:
        | Generating Sentences from a Continuous Space (Bowman et al., 2016)
    """

    kind: Literal["linear"] = "linear"
    start: Factor = 0.0
    """The factor before the ramp."""
    end: Factor = 1.0
    """The factor after the ramp."""
    delay: Epochs = 0.0
    """Epochs before the start of the ramp."""
    over: Duration = 10.0
    """Duration of the ramp in epochs."""

    @property
    def last_rise(self) -> float:
        """The end of an increasing ramp."""
        return self.delay + self.over if self.end > self.start else 0.0

    @property
    def last_fall(self) -> float:
        """The end of a decreasing ramp."""
        return self.delay + self.over if self.end < self.start else 0.0

    def __call__(self, epoch: float) -> float:
        """Returns the factor after a number of epochs."""
        fraction = min(1.0, max(0.0, (epoch - self.delay) / self.over))
        return self.start + (self.end - self.start) * fraction


class Cyclical(_Schedule):
    r"""Repeated ramps from 0 to 1, each followed by a plateau at 1; constant at 1 after the last.

    References:
        | Cyclical Annealing Schedule (Fu et al., 2019)
    """

    kind: Literal["cyclical"] = "cyclical"
    cycles: Annotated[int, Field(ge=1, le=1_000_000)] = 4
    """Number of ramps."""
    period: Duration = 5.0
    """Epochs between the starts of two ramps."""
    rise: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Fraction of a period taken by the ramp."""

    @property
    def last_rise(self) -> float:
        """The end of the last ramp."""
        return (self.cycles - 1 + self.rise) * self.period

    @property
    def last_fall(self) -> float:
        """The start of the last ramp."""
        return (self.cycles - 1) * self.period

    def __call__(self, epoch: float) -> float:
        """Returns the factor after a number of epochs."""
        if epoch >= self.settled:
            return 1.0
        return min(1.0, epoch % self.period / (self.rise * self.period))


Schedule = Annotated[Constant | Linear | Cyclical, Field(discriminator="kind")]
