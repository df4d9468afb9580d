"""Latent units: their rates as sorted bars, and their aggregated posteriors beside the prior."""

__all__ = ["FACET_WIDTH", "densities_chart", "rate_curves_chart", "rates_chart"]

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...evaluation.metrics import RATE_THRESHOLD
from ..records import UnitDensity

if TYPE_CHECKING:  # optional dependency
    import altair as alt

BARS = 128  # units that are drawn; the others have the lowest rates
LABELS = 40  # bars up to which each one has a number
HEIGHT, FACET_HEIGHT, FACET_WIDTH = 210, 110, 190  # pixels


def rates_chart(rates: Sequence[float]) -> "alt.LayerChart":
    """Returns the mean rate of each unit as bars, largest first; faint bars are below 0.1 nats."""
    import altair as alt

    order = sorted(range(len(rates)), key=lambda unit: -rates[unit])[:BARS]
    rows: list[dict[str, Any]] = [
        {"place": place + 1, "unit": unit + 1, "rate": float(f"{rates[unit]:.5g}")}
        for place, unit in enumerate(order)
    ]
    few = len(rows) <= LABELS
    names = [row["unit"] for row in rows]
    x = alt.X(
        "place:O",
        sort=None,
        scale=alt.Scale(domain=[row["place"] for row in rows]),
        title="latent unit, sorted by rate" if few else "rank of the latent unit",
        axis=alt.Axis(
            labelAngle=0,
            labelOverlap="greedy",
            ticks=False,
            labelExpr=f"{names}[datum.value - 1]" if few else "datum.label",
        ),
    )
    y = alt.Y("rate:Q", title="rate, nats", axis=alt.Axis(tickCount=5))
    tooltip = [
        alt.Tooltip("unit:Q", title="unit"),
        alt.Tooltip("rate:Q", title="rate, nats", format=".4f"),
    ]
    bars = [
        alt.Chart(alt.InlineData(values=shown))
        .mark_bar(style=style)
        .encode(x=x, y=y, tooltip=tooltip)
        for style, shown in (
            ("bar", [row for row in rows if row["rate"] > RATE_THRESHOLD]),
            ("quiet", [row for row in rows if row["rate"] <= RATE_THRESHOLD]),
        )
        if shown
    ]
    threshold = alt.Chart(alt.InlineData(values=[{"rate": RATE_THRESHOLD, "text": "0.1 nats"}]))
    layers = [*bars]
    if min(row["rate"] for row in rows) <= RATE_THRESHOLD:
        layers += [
            threshold.mark_rule(style="reference").encode(y="rate:Q"),
            threshold.mark_text(style="note", align="right", baseline="bottom", dy=-3).encode(
                x=alt.value("width"), y="rate:Q", text="text:N"
            ),
        ]
    chart: alt.LayerChart = alt.LayerChart(layer=layers).properties(height=HEIGHT)
    return chart


def rate_curves_chart(
    names: Sequence[str], rates: Sequence[Sequence[float]], domain: Sequence[str]
) -> "alt.Chart":
    """Returns the sorted rates of the units of several runs as lines.

    Arguments:
        names: The names of the runs.
        rates: The rates of each run, by unit.
        domain: All names that have colours.
    """
    import altair as alt

    rows: list[dict[str, Any]] = [
        {"run": name, "rank": place + 1, "rate": float(f"{rate:.5g}")}
        for name, values in zip(names, rates, strict=True)
        for place, rate in enumerate(sorted(values, reverse=True)[:BARS])
    ]
    axis = alt.Axis(grid=False, tickMinStep=1, format="d")
    last = max((row["rank"] for row in rows), default=1)
    chart: alt.Chart = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_line(point=alt.OverlayMarkDef(size=18, filled=True))
        .encode(
            x=alt.X(
                "rank:Q",
                title="rank of the latent unit",
                axis=axis,
                scale=alt.Scale(domain=[1, max(last, 2)], nice=False),
            ),
            y=alt.Y("rate:Q", title="rate, nats", axis=alt.Axis(tickCount=5)),
            color=alt.Color(
                "run:N",
                title=None,
                scale=alt.Scale(domain=list(domain)),
                legend=alt.Legend(columns=3, symbolType="stroke", values=list(names)),
            ),
            tooltip=[
                alt.Tooltip("run:N", title="run"),
                alt.Tooltip("rank:Q", title="rank"),
                alt.Tooltip("rate:Q", title="rate, nats", format=".4f"),
            ],
        )
        .properties(height=HEIGHT)
    )
    return chart


def densities_chart(units: Sequence[UnitDensity]) -> "alt.FacetChart":
    """Returns one small chart for each unit: q(z) as an area, the prior as a dashed line."""
    import altair as alt

    heads = [f"unit {unit.unit}:  KL = {unit.divergence:.3f} nats" for unit in units]
    rows: list[dict[str, Any]] = [
        {"head": head, "z": z, "aggregated": q, "prior": p}
        for head, unit in zip(heads, units, strict=True)
        for z, q, p in zip(unit.z, unit.aggregated, unit.prior, strict=True)
    ]
    x = alt.X("z:Q", title="z, prior standard deviations", axis=alt.Axis(grid=False, tickCount=5))
    y = alt.Y("aggregated:Q", title="density", axis=alt.Axis(grid=False, tickCount=3))
    base = alt.Chart()
    layers = [
        base.mark_area(opacity=0.35, line={"strokeWidth": 1.5}).encode(x=x, y=y),
        base.mark_line(style="reference", strokeWidth=1.5).encode(x=x, y=alt.Y("prior:Q")),
    ]
    size = {"width": FACET_WIDTH, "height": FACET_HEIGHT}
    chart: alt.FacetChart = (
        alt.LayerChart(layer=layers, data=alt.InlineData(values=rows))
        .properties(**size)
        .facet(facet=alt.Facet("head:N", title=None, sort=heads), columns=3)
    )
    return chart
