"""Progress of long computations, for notebooks and scripts."""

__all__ = ["Progress", "callback"]

import sys
from collections.abc import Callable

from ..errors import ConfigError, cut
from ..stages import Stage
from ..tracking.follow import TrackerFailed, TrackerStarted
from ..training.events import SaveFailed, Skipped, Validation

Progress = bool | Callable[[object], object] | None
"""True prints a line per epoch and stage to stderr; a callback receives every record."""


def callback(progress: Progress) -> Callable[[object], object] | None:
    """Returns the function to call with each record of progress, if there is one.

    Raises:
        ConfigError: The value is not a function.
    """
    if progress is None or progress is False:
        return None
    if progress is True:
        return _Printer()
    if not callable(progress):
        raise ConfigError(f"progress is {cut(repr(progress))}, but must be True or a function")
    return progress


class _Printer:
    """Prints validations, problems and new stages to stderr."""

    def __init__(self) -> None:
        self.stage = ""

    def __call__(self, record: object) -> None:
        match record:
            case Validation():
                self._print(
                    f"epoch {record.epoch}: distortion {record.distortion:.2f}, rate "
                    f"{record.rate:.2f}, MI {record.mi:.2f} nats"
                )
            case Skipped() | SaveFailed():
                self._print(f"warning: step {record.step}: {record.reason}")
            case TrackerStarted(name, view):
                self._print(f"tracking with {name}: {view}")
            case TrackerFailed(name, why):
                self._print(f"warning: tracking with {name} has failed and ends here: {why}")
            case Stage() if record.name != self.stage:
                self.stage = record.name
                self._print(record.name)

    def _print(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)
