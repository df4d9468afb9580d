"""Small curves of the validations below the progress bar, if the terminal has room."""

__all__ = ["LiveCurves", "braille"]

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from ...training.events import Validation

ROOM = 100, 30  # columns and rows
ROWS = 5  # of a curve
WIDEST = 40  # columns of a curve and its labels
LABEL = 8  # columns
DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # of a braille cell, by column and row


@dataclass(frozen=True)
class Curve:
    """A quantity at each validation."""

    title: str
    values: Sequence[float]
    digits: int = 2  # of the ends of the range


@dataclass
class LiveCurves:
    """The curves of a training; draws nothing before the second validation."""

    latent_units: int = 0
    seen: list[Validation] = field(default_factory=list)
    _segments: list[Segment] = field(default_factory=list)
    _drawn_state: tuple[Validation, int] | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yields the curves if the console has room and can show braille."""
        width, height = console.size
        utf8 = options.encoding.startswith("utf")
        if len(self.seen) < 2 or width < ROOM[0] or height < ROOM[1] or not utf8:
            return
        state = self.seen[-1], width
        if self._drawn_state != state:  # the bar is drawn ten times a second
            curves = self._curves()
            grid = Table.grid(padding=(0, 2, 0, 0))
            space = min(WIDEST, width // len(curves) - 2)
            grid.add_row(*(self._drawn(curve, space) for curve in curves))
            self._segments, self._drawn_state = list(console.render(grid, options)), state
        yield from self._segments

    def _curves(self) -> list[Curve]:
        seen, last = self.seen, self.seen[-1]
        if not self.latent_units:
            return [Curve(f"NLL {-last.elbo:z.2f} nats", [-record.elbo for record in seen])]
        active = f"active units {last.active_units} of {self.latent_units}"
        return [
            Curve(f"ELBO {last.elbo:z.2f} nats", [record.elbo for record in seen]),
            Curve(f"KL {last.rate:z.2f} nats", [record.rate for record in seen]),
            Curve(f"MI {last.mi:z.2f} nats", [record.mi for record in seen]),
            Curve(active, [float(record.active_units) for record in seen], digits=0),
        ]

    def _drawn(self, curve: Curve, width: int) -> Text:
        """Returns a curve with its title, the ends of its range, and the epochs."""
        values, digits = curve.values, curve.digits
        finite = [value for value in values if math.isfinite(value)] or [0.0]
        labels = [""] * ROWS
        labels[0], labels[-1] = (f"{end(finite):z.{digits}f}" for end in (max, min))
        text = Text(f"  {curve.title}\n", no_wrap=True)
        for label, line in zip(labels, braille(values, width - LABEL - 1, ROWS), strict=True):
            text.append(f"{label:>{LABEL}} ", "dim").append(f"{line}\n", "cyan")
        first, last = f"epoch {self.seen[0].epoch}", str(self.seen[-1].epoch)
        return text.append(f"{'':>{LABEL}} {first}{last:>{width - LABEL - 1 - len(first)}}", "dim")


def braille(values: Sequence[float], width: int, height: int) -> list[str]:
    """Returns a curve as lines of braille characters, which have 2 by 4 dots each.

    The smallest value is at the bottom, the largest at the top; a constant is in the middle.

    Arguments:
        values: Values at equal distances; the curve has gaps where they are not finite.
        width: Columns.
        height: Lines.
    """
    cells = [[0x2800] * width for _ in range(height)]
    finite = [value for value in values if math.isfinite(value)]
    low, span = min(finite, default=0.0), max(finite, default=0.0) - min(finite, default=0.0)
    top = 4 * height - 1

    def dot(value: float) -> int:
        """Returns the row of a value, from the top."""
        return top - round(top * ((value - low) / span if span else 0.5))

    previous: int | None = None
    for column in range(2 * width):
        place = column * (len(values) - 1) / (2 * width - 1)
        left, share = int(place), place % 1
        right = min(left + 1, len(values) - 1)
        value = values[left] + (share * (values[right] - values[left]) if share else 0.0)
        if not math.isfinite(value):
            previous = None
            continue
        row = dot(value)
        start = row if previous is None else previous + (row > previous) - (row < previous)
        for each in range(min(start, row), max(start, row) + 1):
            cells[each // 4][column // 2] |= DOTS[column % 2][each % 4]
        previous = row
    return ["".join(map(chr, line)) for line in cells]
