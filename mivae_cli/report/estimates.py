"""Figures of estimates of mutual information, in nats, with a second axis in bits."""

__all__ = ["draw_estimates"]

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

import numpy as np

from ..choices import Direction
from ..errors import ConfigError
from ..estimators.report import Estimate
from .canvas import canvas

if TYPE_CHECKING:  # optional dependency
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

# for each direction: the marker, which points towards the true value, its colour and its name
STYLES: dict[Direction, tuple[str, str, str]] = {
    "lower": (">", "#0072b2", "lower bound"),
    "upper": ("<", "#d55e00", "upper bound"),
    "neither": ("o", "#555555", "no bound"),
}
BAND = "#faf5bb"  # background of the recommended estimate
WIDTH, ROW_HEIGHT, TITLE_HEIGHT, FRAME_HEIGHT = 6.5, 0.36, 0.2, 1.3  # inches
NAME, TITLE = 26, 70  # characters per line
MARGIN = 0.06  # share of the range added on each side


def draw_estimates(
    rows: Sequence[Estimate],
    path: Path,
    truth: float | None = None,
    title: str = "",
    recommended: str | None = None,
) -> None:
    """Draws estimates of mutual information with their 95 % intervals, one per line.

    The marker of a lower bound points right, that of an upper bound left, towards the true value. A
    dashed tick marks a ceiling. Infinite values are arrows at the edge; NaN is text.

    Arguments:
        rows: The estimates, from top to bottom.
        path: A .png, .svg or .pdf file.
        truth: The true mutual information in nats, drawn as a vertical line.
        title: The title of the figure.
        recommended: The estimator to highlight.

    Raises:
        ConfigError: There are no estimates, or `canvas` raises it.
    """
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


def _limits(rows: Sequence[Estimate], truth: float | None) -> tuple[float, float]:
    """Returns the limits of the axis: 0 and all values, except infinities and high ceilings."""
    known = [truth, *(end for row in rows for end in (row.value, row.ci_low, row.ci_high))]
    finite = [0.0, *filter(_finite, known)]
    low, high = min(finite), max(finite)
    ceilings = [row.ceiling for row in rows if _finite(row.ceiling)]
    if not any(finite):  # nothing else to show
        high = max([*ceilings, 1.0])
    high = max([high, *(ceiling for ceiling in ceilings if ceiling <= 2 * high)])
    margin = MARGIN * (high - low)
    return low - margin, high + margin


def _draw_row(axes: "Axes", place: int, row: Estimate, emphasised: bool) -> None:
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
    """Labels the estimates and both axes."""
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
    axes: "Axes", rows: Sequence[Estimate], truth: float | None, recommended: str | None
) -> list["Line2D"]:
    """Returns a legend entry for each kind of mark in the figure."""
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
        keys.append(Line2D([], [], color="black", linewidth=1, label=f"true value, {truth:#.3g}"))
    if len(rows) > 1 and any(row.estimator == recommended for row in rows):
        keys.append(Line2D([], [], color=BAND, linewidth=8, label="recommended"))
    return keys


def _finite(number: float | None) -> TypeGuard[float]:
    return number is not None and math.isfinite(number)
