"""Pictures of estimates; the axis is in nats, with bits on top."""

__all__ = ["Row", "draw_estimates"]

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeGuard

import numpy as np

from ..choices import Direction
from ..errors import ConfigError
from .canvas import canvas, check_picture

if TYPE_CHECKING:  # an extra: absent where no picture is drawn
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

# of each direction: the marker, which points to the truth, its colour and its name
STYLES: dict[Direction, tuple[str, str, str]] = {
    "lower": (">", "#0072b2", "lower bound"),
    "upper": ("<", "#d55e00", "upper bound"),
    "neither": ("o", "#555555", "no bound"),
}
BAND = "#faf5bb"  # behind the recommended row
WIDTH, ROW_HEIGHT, TITLE_HEIGHT, FRAME_HEIGHT = 6.5, 0.36, 0.2, 1.3  # inches
NAME, TITLE = 26, 70  # characters a line
AIR = 0.06  # of what is drawn, left free on either side


class Row(Protocol):
    """What a picture needs of an estimate, in nats; what does not apply is None."""

    @property
    def estimator(self) -> str: ...  # noqa: D102  # as in `estimators.records.Estimate`
    @property
    def value(self) -> float: ...  # noqa: D102
    @property
    def ci_low(self) -> float | None: ...  # noqa: D102
    @property
    def ci_high(self) -> float | None: ...  # noqa: D102
    @property
    def direction(self) -> Direction: ...  # noqa: D102
    @property
    def ceiling(self) -> float | None: ...  # noqa: D102


def draw_estimates(
    rows: Sequence[Row],
    path: Path,
    truth: float | None = None,
    title: str = "",
    recommended: str | None = None,
) -> None:
    """Draws estimates of mutual information with their 95 % intervals, one a line.

    A marker points to where the truth lies, as far as the estimate tells: right of a lower
    bound, left of an upper one. A dashed tick is the most that an estimator can read. What is
    infinite, or no number, is an arrow at the edge, or a word.

    Arguments:
        rows: The estimates, from the top down.
        path: Where the picture goes; its suffix, `.png`, `.svg` or `.pdf`, is its format.
        truth: The mutual information where it is known, in nats: a vertical line.
        title: Stands above the picture.
        recommended: The estimator to emphasise.

    Raises:
        ConfigError: There is nothing to draw, matplotlib is missing, the suffix is another one
            or the file cannot be written.
    """
    check_picture(path)
    if not rows:
        raise ConfigError(f"cannot draw '{path}': there are no estimates")
    heading = textwrap.wrap(title, TITLE)
    height = FRAME_HEIGHT + ROW_HEIGHT * len(rows) + TITLE_HEIGHT * len(heading)
    with canvas(path, WIDTH, height) as figure:
        axes = figure.add_subplot()
        axes.set_xlim(_limits(rows, truth))
        axes.set_ylim(len(rows) - 0.5, -0.5)
        for place, row in enumerate(rows):
            _draw_row(axes, place, row, len(rows) > 1 and row.estimator == recommended)
        if _finite(truth):
            axes.axvline(truth, color="black", linewidth=1, zorder=1)
        _label(axes, [row.estimator for row in rows], recommended)
        figure.legend(
            handles=_legend(axes, rows, truth, recommended),
            loc="outside lower center",
            ncols=6,
            handlelength=1.5,
            columnspacing=1.2,
            frameon=False,
            fontsize=8,
        )
        if heading:
            figure.suptitle("\n".join(heading), fontsize=11)


def _limits(rows: Sequence[Row], truth: float | None) -> tuple[float, float]:
    """Returns the ends of the axis: 0 and all that is finite, with some air.

    A ceiling further than twice all else is left out, so that it does not crowd the estimates.
    """
    known = [truth, *(end for row in rows for end in (row.value, row.ci_low, row.ci_high))]
    finite = [0.0, *filter(_finite, known)]
    low, high = min(finite), max(finite)
    ceilings = [row.ceiling for row in rows if _finite(row.ceiling)]
    if not any(finite):  # nothing to compare them with
        high = max([*ceilings, 1.0])
    high = max([high, *(ceiling for ceiling in ceilings if ceiling <= 2 * high)])
    air = AIR * (high - low)
    return low - air, high + air


def _draw_row(axes: "Axes", place: int, row: Row, emphasised: bool) -> None:
    """Draws the marker, the interval and the ceiling of one estimate."""
    marker, colour, _ = STYLES[row.direction]
    left, right = axes.get_xlim()
    if emphasised:
        axes.axhspan(place - 0.5, place + 0.5, color=BAND, linewidth=0, zorder=0)
    if _finite(row.ceiling) and row.ceiling <= right:
        tick = [place - 0.42, place + 0.42]
        axes.plot([row.ceiling] * 2, tick, "--", color=colour, linewidth=1)
    if math.isnan(row.value):
        middle = (left + right) / 2
        axes.text(
            middle, place, "not a number", ha="center", va="center", fontsize=8, color=colour
        )
        return
    start = min(max(row.value, left), right)
    width = 2.5 if emphasised else 1.2
    for end, edge, arrow in ((row.ci_low, left, "<"), (row.ci_high, right, ">")):
        if end is None or math.isnan(end) or end == row.value:
            continue
        stop, cap = (end, "|") if math.isfinite(end) else (edge, arrow)
        axes.plot([start, stop], [place, place], color=colour, linewidth=width)
        axes.plot(
            stop, place, cap, color=colour, markersize=11 if cap == "|" else 6, clip_on=False
        )
    if math.isfinite(row.value):
        size = 8 if emphasised else 6
        axes.plot(row.value, place, marker, color=colour, markersize=size, zorder=3, clip_on=False)
        return
    sign = 1 if row.value > 0 else -1
    axes.plot(start, place, ">" if sign > 0 else "<", color=colour, markersize=6, clip_on=False)
    axes.annotate(
        "∞" if sign > 0 else "-∞",
        (start, place),
        xytext=(-16 * sign, 0),
        textcoords="offset points",
        ha="center",
        va="center",
        color=colour,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
    )


def _label(axes: "Axes", names: Sequence[str], recommended: str | None) -> None:
    """Names the rows and the two axes."""
    lines = [textwrap.fill(name, NAME, max_lines=2, placeholder="…") for name in names]
    axes.set_yticks(range(len(names)), lines, fontsize=8)
    for name, tick in zip(names, axes.get_yticklabels(), strict=True):
        tick.set_fontweight("bold" if name == recommended else "normal")
    axes.tick_params(axis="y", length=0, pad=8)  # room for an arrow at the edge
    axes.tick_params(axis="x", labelsize=8)
    axes.spines[["left", "right"]].set_visible(False)
    axes.axvline(0, color="#bbbbbb", linewidth=0.8, zorder=0)
    axes.set_xlabel("I(x; z), nats")
    nat = 1 / math.log(2)  # in bits
    bits = axes.secondary_xaxis(
        "top", functions=(lambda x: np.multiply(x, nat), lambda x: np.divide(x, nat))
    )
    bits.set_xlabel("bits")
    bits.tick_params(labelsize=8)


def _legend(
    axes: "Axes", rows: Sequence[Row], truth: float | None, recommended: str | None
) -> list["Line2D"]:
    """Returns a key for each kind of mark that there is."""
    from matplotlib.lines import Line2D

    seen = {row.direction for row in rows}
    keys = [
        Line2D([], [], color=colour, marker=marker, markersize=6, linestyle="", label=label)
        for direction, (marker, colour, label) in STYLES.items()
        if direction in seen
    ]
    right = axes.get_xlim()[1]
    if any(_finite(row.ceiling) and row.ceiling <= right for row in rows):
        keys.append(Line2D([], [], color="#555555", linestyle="--", linewidth=1, label="ceiling"))
    if _finite(truth):
        keys.append(Line2D([], [], color="black", linewidth=1, label=f"truth, {truth:#.3g}"))
    if len(rows) > 1 and any(row.estimator == recommended for row in rows):
        keys.append(Line2D([], [], color=BAND, linewidth=8, label="recommended"))
    return keys


def _finite(number: float | None) -> TypeGuard[float]:
    return number is not None and math.isfinite(number)
