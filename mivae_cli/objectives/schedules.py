r"""Schedules: from the epoch, counted in fractions, to a factor.

A schedule is a frozen value that is also a function, :math:`s(t)` with :math:`t \ge 0` the
epochs done so far (2.5 is half-way through the third). It multiplies a weight of the objective.
To add one, write a class below and add it to `Schedule`.
"""

__all__ = ["Constant", "Cyclical", "Linear", "Schedule"]

from typing import Annotated, Literal

from pydantic import Field

from ..schema import Duration, Epochs, Factor, Frozen


class Constant(Frozen):
    r"""The same at all times: :math:`s(t) = c`."""

    kind: Literal["constant"] = "constant"
    value: Factor = 1.0
    """The factor."""

    @property
    def settled(self) -> float:
        """The epoch from which the factor no longer moves."""
        return 0.0

    @property
    def last_rise(self) -> float:
        """The epoch from which the factor no longer rises."""
        return 0.0

    @property
    def last_fall(self) -> float:
        """The epoch from which the factor no longer falls."""
        return 0.0

    def __call__(self, epoch: float) -> float:
        """Returns the factor after so many epochs."""
        return self.value


class Linear(Frozen):
    r"""A ramp: :math:`s(t) = a + (b - a) \min(1, \max(0, (t - t_0) / T))`.

    References:
        | Generating Sentences from a Continuous Space (Bowman et al., 2016)
    """

    kind: Literal["linear"] = "linear"
    start: Factor = 0.0
    """The factor before the ramp."""
    end: Factor = 1.0
    """The factor after the ramp."""
    delay: Epochs = 0.0
    """Epochs before the ramp begins."""
    over: Duration = 10.0
    """Epochs that the ramp takes."""

    @property
    def settled(self) -> float:
        """The epoch from which the factor no longer moves."""
        return 0.0 if self.start == self.end else self.delay + self.over

    @property
    def last_rise(self) -> float:
        """The epoch from which the factor no longer rises."""
        return self.settled if self.end > self.start else 0.0

    @property
    def last_fall(self) -> float:
        """The epoch from which the factor no longer falls."""
        return self.settled if self.end < self.start else 0.0

    def __call__(self, epoch: float) -> float:
        """Returns the factor after so many epochs."""
        share = min(1.0, max(0.0, (epoch - self.delay) / self.over))
        return self.start + (self.end - self.start) * share


class Cyclical(Frozen):
    r"""Ramps from 0 to 1, each followed by a plateau at 1; stays at 1 after the last.

    References:
        | Cyclical Annealing Schedule (Fu et al., 2019)
    """

    kind: Literal["cyclical"] = "cyclical"
    cycles: Annotated[int, Field(ge=1, le=1_000_000)] = 4
    """How many ramps."""
    period: Duration = 5.0
    """Epochs from one ramp's beginning to the next one's."""
    rise: Annotated[float, Field(gt=0, le=1)] = 0.5
    """The share of a period that the ramp takes."""

    @property
    def settled(self) -> float:
        """The epoch from which the factor no longer moves."""
        return (self.cycles - 1 + self.rise) * self.period

    @property
    def last_rise(self) -> float:
        """The epoch from which the factor no longer rises."""
        return self.settled

    @property
    def last_fall(self) -> float:
        """The epoch from which the factor no longer falls."""
        return (self.cycles - 1) * self.period

    def __call__(self, epoch: float) -> float:
        """Returns the factor after so many epochs."""
        if epoch >= self.settled:
            return 1.0
        return min(1.0, epoch % self.period / (self.rise * self.period))


Schedule = Annotated[Constant | Linear | Cyclical, Field(discriminator="kind")]
