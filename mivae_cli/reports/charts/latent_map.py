"""The map of posterior means, with the sentence of each point."""

__all__ = ["MapColour", "colour_encoding", "map_chart", "map_colours"]

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..records import LatentMap

if TYPE_CHECKING:  # optional dependency
    import altair as alt

HEIGHT = 420  # pixels
CATEGORIES = 7  # labels with a colour of their own
OTHER = "other labels"


@dataclass(frozen=True)
class MapColour:
    """What the colour of a point can show."""

    field: str
    name: str
    unit: str
    numeric: bool
    values: tuple[str, ...] = ()  # of a category, the most frequent first


def map_colours(found: LatentMap) -> list[MapColour]:
    """Returns what the points can be coloured by."""
    colours = [
        MapColour("words", "length", "words", True),
        MapColour("rate", "rate", "nats", True),
    ]
    labels = [point.label for point in found.points if point.label is not None]
    name = found.label or "label"
    if any(colour.name == name for colour in colours):
        name = f"label {name}"
    if _are_numbers(labels):
        colours.append(MapColour("label", name, "", True))
    elif labels:
        counts: dict[str, int] = {}
        for label in labels:
            counts[_text(label)] = counts.get(_text(label), 0) + 1
        names = sorted(counts, key=lambda name: -counts[name])
        if len(names) > CATEGORIES:
            names = [*names[: CATEGORIES - 1], OTHER]
        colours.append(MapColour("group", name, "", False, tuple(names)))
    return colours


def map_chart(found: LatentMap, colours: Sequence[MapColour]) -> "alt.Chart":
    """Returns the map of a run, coloured by the first of some properties."""
    import altair as alt

    groups = {name for colour in colours for name in colour.values}
    numeric = any(colour.field == "label" for colour in colours)
    labelled = any(point.label is not None for point in found.points)
    rows: list[dict[str, Any]] = []
    for point in found.points:
        row = {
            "x": point.x,
            "y": point.y,
            "text": point.text,
            "words": point.words,
            "rate": point.rate,
        }
        if labelled:
            row["label"] = point.label if numeric or point.label is None else _text(point.label)
            if groups and point.label is not None:
                name = _text(point.label)
                row["group"] = name if name in groups else OTHER
        rows.append(row)
    tooltip = [
        alt.Tooltip("text:N", title="sentence"),
        alt.Tooltip("words:Q", title="words"),
        alt.Tooltip("rate:Q", title="rate, nats", format=".2f"),
    ]
    if labelled:
        kind = "Q" if numeric else "N"
        tooltip.append(alt.Tooltip(f"label:{kind}", title=found.label or "label"))
    axis = alt.Axis(tickCount=6)
    base = alt.Chart(alt.InlineData(values=rows))
    chart: alt.Chart = (
        base.mark_circle(size=28, opacity=0.75)
        .encode(
            x=alt.X("x:Q", title=_unit(found, 0), axis=axis, scale=alt.Scale(zero=False)),
            y=alt.Y("y:Q", title=_unit(found, 1), axis=axis, scale=alt.Scale(zero=False)),
            color=_colour(colours[0]),
            tooltip=tooltip,
        )
        .properties(height=HEIGHT)
    )
    return chart


def colour_encoding(colour: MapColour) -> dict[str, Any]:
    """Returns what replaces the encoding of the colour in a map."""
    encoding = _colour(colour).to_dict()
    assert isinstance(encoding, dict)
    return encoding


def _colour(colour: MapColour) -> "alt.Color":
    import altair as alt

    title = f"{colour.name}, {colour.unit}" if colour.unit else colour.name
    if colour.numeric:
        return alt.Color(
            field=colour.field,
            type="quantitative",
            title=title,
            legend=alt.Legend(orient="top", gradientLength=160, gradientThickness=10),
        )
    return alt.Color(
        field=colour.field,
        type="nominal",
        title=title,
        scale=alt.Scale(domain=list(colour.values)),
        legend=alt.Legend(columns=4),
    )


def _unit(found: LatentMap, axis: int) -> str:
    """Returns the title of an axis of the map."""
    name = found.axes[axis]
    return (
        f"{name}, no unit"
        if found.method != "pca"
        else f"{name[:1].lower()}{name[1:]}, units of z"
    )


def _are_numbers(labels: Sequence[str | float]) -> bool:
    """Returns whether labels are numbers that mean more than the names of a few classes."""
    numbers = {label for label in labels if isinstance(label, int | float)}
    classes = len(numbers) <= CATEGORIES and all(float(each).is_integer() for each in numbers)
    return bool(labels) and not classes and all(isinstance(each, int | float) for each in labels)


def _text(label: str | float) -> str:
    return label if isinstance(label, str) else f"{label:g}"
