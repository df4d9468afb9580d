"""Curves over epochs, with a rule that shows all values at the epoch under the pointer."""

__all__ = ["Curve", "Mark", "curves_chart", "thinned"]

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...limits import MAX_COUNT

if TYPE_CHECKING:  # optional dependency
    import altair as alt

HEIGHT = 210  # pixels
POINTS = 300  # of a curve; longer ones are thinned
TICKS = 8
FEW = 40  # points up to which each one is marked


@dataclass(frozen=True)
class Curve:
    """A named curve; points without a value are left out."""

    name: str
    points: tuple[tuple[float, float], ...]  # epoch, value


@dataclass(frozen=True)
class Mark:
    """An epoch that is marked, such as that of a collapse."""

    epoch: float
    text: str
    alarm: bool = False


def thinned(points: Iterable[tuple[float, float | None]]) -> tuple[tuple[float, float], ...]:
    """Returns the finite points of a curve, at most 300, with the first and the last.

    Points after the largest number of epochs that a run can have come from an untrusted log.
    """
    finite = [
        (x, y) for x, y in points if y is not None and math.isfinite(y) and 0 <= x <= MAX_COUNT
    ]
    if len(finite) <= POINTS:
        return tuple(finite)
    step = (len(finite) - 1) / (POINTS - 1)
    return tuple(finite[round(place * step)] for place in range(POINTS))


def curves_chart(
    curves: Sequence[Curve],
    title: str,
    marks: Sequence[Mark] = (),
    zero: bool = False,
    domain: Sequence[str] = (),
) -> "alt.LayerChart":
    """Returns a chart of curves with one axis of values.

    Arguments:
        curves: The curves, in the order of the legend; curves without points are left out.
        title: The title of the axis of values, with its unit.
        marks: Epochs to mark.
        zero: Whether the axis of values starts at 0.
        domain: The names that have colours, if others than those of the curves.
    """
    import altair as alt

    curves = [curve for curve in curves if curve.points]
    names = [curve.name for curve in curves]
    rows: list[dict[str, Any]] = [
        {"epoch": _short(epoch), "value": _short(value), "curve": curve.name, "key": f"c{place}"}
        for place, curve in enumerate(curves)
        for epoch, value in curve.points
    ]
    epochs = [epoch for curve in curves for epoch, _ in curve.points] or [0.0]
    last = max(epochs) or 1.0
    start = 0.0 if min(epochs) < 1 or last <= 1 else 1.0  # the first epoch ends at 1
    x = alt.X(
        "epoch:Q",
        title="epoch",
        scale=alt.Scale(domain=[start, last], nice=False),
        axis=alt.Axis(grid=False, values=_ticks(start, last), format="d")
        if last >= 1
        else alt.Axis(grid=False, tickCount=5),
    )
    y = alt.Y("value:Q", title=title, scale=alt.Scale(zero=zero), axis=alt.Axis(tickCount=5))
    several = len(curves) > 1
    legend = alt.Legend(columns=3, symbolType="stroke", values=names) if several else None
    scale = alt.Scale(domain=list(domain) or names)
    colour = alt.Color("curve:N", title=None, scale=scale, legend=legend)
    base = alt.Chart(alt.InlineData(values=rows))
    few = max((len(curve.points) for curve in curves), default=0) <= FEW
    near = alt.selection_point(
        name="near",
        fields=["epoch"],
        nearest=True,
        on="pointerover",
        clear="pointerout",
        empty=False,
    )
    layers: list[alt.Chart] = [
        *_marks(marks, x, (start + last) / 2),
        base.mark_line(
            point=alt.OverlayMarkDef(size=18, filled=True) if few else False,
        ).encode(x=x, y=y, color=colour),
        base.transform_pivot("key", value="value", groupby=["epoch"])
        .mark_rule(style="faint")
        .encode(
            x=x,
            opacity=alt.condition(near, alt.value(1), alt.value(0)),
            tooltip=[
                alt.Tooltip("epoch:Q", title="epoch", format=".4~g"),
                *(
                    alt.Tooltip(f"c{place}:Q", title=name, format=".4~g")
                    for place, name in enumerate(names)
                ),
            ],
        )
        .add_params(near),
    ]
    chart: alt.LayerChart = alt.LayerChart(layer=layers).properties(height=HEIGHT)
    return chart


def _marks(marks: Sequence[Mark], x: "alt.X", middle: float) -> "list[alt.Chart]":
    """Returns vertical rules with their words, on the side with more room."""
    import altair as alt

    layers = []
    for place, mark in enumerate(marks):
        data = alt.Chart(alt.InlineData(values=[{"epoch": mark.epoch, "note": mark.text}]))
        style = "alarm" if mark.alarm else "reference"
        words = "alarm-note" if mark.alarm else "note"
        layers += [
            data.mark_rule(style=style).encode(x=x),
            data.mark_text(
                style=words,
                align="right" if mark.epoch > middle else "left",
                dx=-4 if mark.epoch > middle else 4,
                baseline="top",
            ).encode(x=x, y=alt.value(2 + 14 * place), text="note:N"),
        ]
    return layers


def _ticks(start: float, last: float) -> list[int]:
    """Returns whole epochs, at most about eight, at round distances."""
    steps = (size * 10**power for power in range(9) for size in (1, 2, 5))
    step = next(step for step in steps if (last - start) / step <= TICKS)
    first = math.ceil(start)
    rest = range(first - first % step + (step if first % step else 0), math.floor(last) + 1, step)
    return [first, *(tick for tick in rest if tick > first)]


def _short(value: float) -> float:
    """Returns a number with six significant digits, which halves the size of a page."""
    return float(f"{value:.6g}")
