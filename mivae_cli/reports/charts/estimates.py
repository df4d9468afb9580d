"""Estimates of mutual information with their intervals, in nats, with a second axis in bits."""

__all__ = ["draw_estimates", "estimates_chart"]

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from ...choices import Direction
from ...errors import ConfigError
from ...estimators.report import Estimate
from ..export import check_figure_path, write_chart

if TYPE_CHECKING:  # optional dependency
    import altair as alt

# for each direction: its name, and the marker, which points towards the true value
MARKS: dict[Direction, tuple[str, str]] = {
    "lower": ("lower bound", "triangle-right"),
    "upper": ("upper bound", "triangle-left"),
    "neither": ("no bound", "circle"),
}
WIDTH, ROW_HEIGHT = 520, 32  # pixels
NAME, TITLE = 26, 70  # characters per line
MARGIN = 0.06  # share of the range added on each side
NAT = 1 / math.log(2)  # in bits


def draw_estimates(
    rows: Sequence[Estimate],
    path: Path,
    truth: float | None = None,
    title: str = "",
    recommended: str | None = None,
) -> None:
    """Draws estimates of mutual information with their 95 % intervals, one per line.

    Arguments:
        rows: The estimates, from top to bottom.
        path: A .png, .svg or .pdf file.
        truth: The true mutual information in nats, drawn as a vertical line.
        title: The title of the figure.
        recommended: The estimator to highlight.

    Raises:
        ConfigError: There are no estimates, the file cannot be written, or a package is missing.
    """
    if not rows:
        raise ConfigError(f"cannot draw '{path}': there are no estimates")
    check_figure_path(path)
    lines = {"true value": truth} if _finite(truth) else {}
    chart = estimates_chart(rows, lines, recommended).properties(width=WIDTH)
    if heading := textwrap.wrap(title, TITLE):
        chart = chart.properties(title=heading)
    write_chart(chart.to_dict(), path)


def estimates_chart(
    rows: Sequence[Estimate],
    lines: Mapping[str, float] | None = None,
    recommended: str | None = None,
) -> "alt.LayerChart":
    """Returns a chart of estimates with their 95 % intervals, one per line.

    The marker of a lower bound points right, that of an upper bound left, towards the true value. A
    dashed tick marks a ceiling. Infinite values are arrows at the edge; NaN is text.

    Arguments:
        rows: The estimates, from top to bottom.
        lines: Values in nats that are drawn as vertical lines, by name.
        recommended: The estimator to highlight.
    """
    import altair as alt

    lines = {name: value for name, value in (lines or {}).items() if _finite(value)}
    low, high = _limits(rows, lines.values())
    shown = _shown(rows, low, high, recommended if len(rows) > 1 else None)
    seen = [name for name, _ in MARKS.values() if any(row["bound"] == name for row in shown)]
    domain = [name for name, _ in MARKS.values()]
    x = alt.X(
        "value:Q",
        title=_axis_title(shown),
        scale=alt.Scale(domain=[low, high], nice=False),
        axis=alt.Axis(tickCount=8),
    )
    y = alt.Y(
        "row:N",
        sort=None,
        title=None,
        scale=alt.Scale(domain=[row["row"] for row in shown]),
        axis=alt.Axis(
            labelExpr="split(datum.label, '\\n')",
            labelLimit=220,
            ticks=False,
            domain=False,
            labelPadding=10,
            grid=False,
        ),
    )
    colour = alt.Color(
        "bound:N",
        title=None,
        scale=alt.Scale(domain=domain),
        legend=alt.Legend(orient="bottom", values=seen),
    )
    shape = alt.Shape(
        "bound:N",
        title=None,
        scale=alt.Scale(domain=domain, range=[mark for _, mark in MARKS.values()]),
        legend=alt.Legend(orient="bottom", values=seen),
    )
    base = alt.Chart(alt.InlineData(values=shown))
    number = "isValid(datum.value)"
    tooltip = [
        alt.Tooltip("name:N", title="estimator"),
        alt.Tooltip("told:N", title="value, nats"),
        alt.Tooltip("interval:N", title="95 % interval"),
        alt.Tooltip("most:N", title="ceiling, nats"),
    ]
    rules = [
        alt.Chart(alt.InlineData(values=[{"value": value, "name": f"{name}, {value:#.3g}"}]))
        for name, value in lines.items()
    ]
    layers: list[alt.Chart] = [
        base.transform_filter("datum.recommended")
        .mark_bar(style="band", height={"band": 1})
        .encode(y=y, x=alt.value(0), x2=alt.value("width")),
        alt.Chart(alt.InlineData(values=[{"value": 0}])).mark_rule(style="frame").encode(x=x),
        *(rule.mark_rule(style="truth").encode(x=x) for rule in rules),
        *(
            rule.mark_text(style="note", align="left", baseline="bottom", dx=-4, dy=-4).encode(
                x=x, y=alt.value(0), text="name:N"
            )
            for rule in rules
        ),
        base.transform_filter("isValid(datum.ceiling)")
        .mark_rule(strokeDash=[3, 2])
        .encode(
            x=alt.X("ceiling:Q"),
            y=alt.Y("row:N", bandPosition=0.1),
            y2=alt.Y2("row:N", bandPosition=0.9),
            color=colour,
        ),
        base.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=2)
        .encode(x=alt.X("low:Q"), x2="high:Q", y=y, color=colour),
        *(
            base.transform_filter(f"isValid(datum.{end}) && !datum.{end}_open")
            .mark_tick(thickness=2, size=10)
            .encode(x=alt.X(f"{end}:Q"), y=y, color=colour)
            for end in ("low", "high")
        ),
        *(
            base.transform_filter(f"isValid(datum.{end}) && datum.{end}_open")
            .mark_point(shape=mark, filled=True, size=70)
            .encode(x=alt.X(f"{end}:Q"), y=y, color=colour)
            for end, mark in (("low", "triangle-left"), ("high", "triangle-right"))
        ),
        base.transform_filter(f"{number} && !datum.infinite")
        .mark_point(filled=True, size=90, opacity=1)
        .encode(x=x, y=y, color=colour, shape=shape, tooltip=tooltip),
        base.transform_filter("datum.infinite")
        .mark_text(dx={"expr": "datum.value > 0 ? -18 : 18"}, dy=-9, fontSize=15)
        .encode(x=x, y=y, text="told:N", color=colour, tooltip=tooltip),
        base.transform_filter(f"!{number}")
        .mark_text()
        .encode(x=alt.value({"expr": "width / 2"}), y=y, text="told:N", color=colour),
    ]
    bits = (
        alt.Chart(alt.InlineData(values=[{"value": NAT * low}]))
        .mark_point(opacity=0)
        .encode(
            x=alt.X(
                "value:Q",
                title="bits",
                scale=alt.Scale(domain=[NAT * low, NAT * high], nice=False),
                axis=alt.Axis(orient="top", grid=False, tickCount=8, offset=18 if rules else 0),
            )
        )
    )
    both = alt.LayerChart(layer=[alt.LayerChart(layer=layers), bits])
    height = ROW_HEIGHT * len(rows)
    chart: alt.LayerChart = both.resolve_scale(x="independent").properties(height=height)
    return chart


def _limits(rows: Sequence[Estimate], lines: Iterable[float]) -> tuple[float, float]:
    """Returns the limits of the axis: 0 and all values, except infinities and high ceilings."""
    known = [*lines, *(end for row in rows for end in (row.value, row.ci_low, row.ci_high))]
    finite = [0.0, *filter(_finite, known)]
    low, high = min(finite), max(finite)
    ceilings = [row.ceiling for row in rows if _finite(row.ceiling)]
    if not any(finite):  # nothing else to show
        high = max([*ceilings, 1.0])
    high = max([high, *(ceiling for ceiling in ceilings if ceiling <= 2 * high)])
    margin = MARGIN * (high - low)
    return low - margin, high + margin


def _shown(
    rows: Sequence[Estimate], low: float, high: float, recommended: str | None
) -> list[dict[str, Any]]:
    """Returns the data of the chart: ends beyond the axis are open, at its edge."""

    def edge(end: float | None) -> float | None:
        return None if end is None or math.isnan(end) else min(max(end, low), high)

    found: list[dict[str, Any]] = []
    for row in rows:
        ends = edge(row.ci_low), edge(row.ci_high)
        value = None if math.isnan(row.value) else min(max(row.value, low), high)
        if None in ends or (row.ci_low == row.value == row.ci_high and math.isfinite(row.value)):
            ends = None, None
        label = textwrap.fill(row.estimator, NAME, max_lines=2, placeholder="…")
        infinite = math.isinf(row.value)
        found.append(
            {
                "row": label + "\u200b" * sum(other["name"] == row.estimator for other in found),
                "name": row.estimator,
                "bound": MARKS[row.direction][0],
                "value": value,
                "told": _told(row.value),
                "interval": f"{_told(row.ci_low)} to {_told(row.ci_high)}",
                "low": ends[0],
                "high": ends[1],
                "low_open": row.ci_low is not None and math.isinf(row.ci_low),
                "high_open": row.ci_high is not None and math.isinf(row.ci_high),
                "infinite": infinite,
                "ceiling": row.ceiling if _finite(row.ceiling) and row.ceiling <= high else None,
                "most": _told(row.ceiling),
                "recommended": row.estimator == recommended,
            }
        )
    return found


def _axis_title(shown: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the title of the axis, which explains the marks that occur."""
    marks = []
    if any(row["ceiling"] is not None for row in shown):
        marks.append("dashed: ceiling of the estimator")
    if any(row["recommended"] for row in shown):
        marks.append("shaded: recommended")
    return ["I(x; z), nats", "; ".join(marks)] if marks else ["I(x; z), nats"]


def _told(number: float | None) -> str:
    """Returns a number as text for people."""
    if number is None:
        return "none"
    if math.isnan(number):
        return "not a number"
    if math.isinf(number):
        return "∞" if number > 0 else "-∞"
    return f"{number:.3f}" if abs(number) < 1e6 else f"{number:.3g}"


def _finite(number: float | None) -> TypeGuard[float]:
    return number is not None and math.isfinite(number)
