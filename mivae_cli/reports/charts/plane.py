r"""The rate-distortion plane: the rate of runs and the distortion that they achieve with it.

A run is the point (R, D), in nats per sentence (Alemi et al., 2018). Lines of slope -1 connect
points with the same negative ELBO, :math:`D + R`. A language model has no latent: R = 0.
"""

__all__ = ["Point", "draw_plane", "plane", "plane_chart"]

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ConfigError
from ...experiments.comparison import Comparison
from ..export import check_figure_path, write_chart
from .style import distinct

if TYPE_CHECKING:  # optional dependency
    import altair as alt

SHAPES = ("circle", "square", "diamond", "triangle-down", "triangle-up", "cross", "stroke")
WIDTH, HEIGHT = 560, 360  # pixels of the plot
LEVELS = 7  # maximum number of lines of constant ELBO
LETTER, LINE = 6.0, 12.0  # width and height of a letter, in pixels
# of a name from its point, in pixels; the first one without overlap is used
OFFSETS = [(x, y) for y in (-6, 8, -18, 20, -30, 32) for x in (7, -7)]
MARGIN = 0.08  # share of the range added on each side


@dataclass(frozen=True)
class Point:
    """A run in the plane; a line connects the runs of a series."""

    name: str
    series: str
    rate: float
    distortion: float


@dataclass(frozen=True)
class Window:
    """The part of the plane that is drawn."""

    left: float
    right: float
    low: float
    high: float

    def pixels(self, point: Point) -> tuple[float, float]:
        """Returns the place of a point in the plot, from its upper left corner."""
        x = (point.rate - self.left) / (self.right - self.left) * WIDTH
        return x, (self.high - point.distortion) / (self.high - self.low) * HEIGHT


@dataclass(frozen=True)
class Label:
    """The name of a point, its distance from the point, and its box, in pixels."""

    point: Point
    dx: float
    dy: float
    box: tuple[float, float, float, float]  # left, top, right, bottom


def plane(comparison: Comparison) -> list[Point]:
    """Returns the points of a comparison; runs in the same directory are a series."""
    points = []
    for row in comparison.rows:
        figures = row.figures
        distortion, rate, nll = (figures.get(key) for key in ("distortion", "rate", "nll"))
        folder = Path(row.paths[0]).parent.name
        name = row.name.removeprefix(f"{folder}/")  # the series has the name of the directory
        if distortion is not None and rate is not None:
            points.append(Point(name, folder, rate.value, distortion.value))
        elif nll is not None:  # a language model
            points.append(Point(name, folder, 0.0, nll.value))
    return points


def draw_plane(points: Sequence[Point], path: Path) -> None:
    """Draws runs with their names, a line through each series, and lines of constant ELBO.

    Raises:
        ConfigError: There are no points, the file cannot be written, or a package is missing.
    """
    if not points:
        raise ConfigError(f"cannot draw '{path}': no run has been evaluated")
    check_figure_path(path)
    write_chart(plane_chart(points).properties(width=WIDTH).to_dict(), path)


def plane_chart(points: Sequence[Point], connected: bool = True) -> "alt.LayerChart":
    """Returns the chart of some points, at least one; `connected` draws a line for each series."""
    import altair as alt

    window = Window(*_limits(p.rate for p in points), *_limits(p.distortion for p in points))
    series = distinct(point.series or "." for point in points)
    x = alt.X(
        "rate:Q",
        title="rate R, nats per sentence",
        scale=alt.Scale(domain=[window.left, window.right], nice=False),
        axis=alt.Axis(grid=False),
    )
    y = alt.Y(
        "distortion:Q",
        title="distortion D, nats per sentence",
        scale=alt.Scale(domain=[window.low, window.high], nice=False),
        axis=alt.Axis(grid=False),
    )
    legend = alt.Legend(title=None) if len(series) > 1 and connected else None
    colour = alt.Color("series:N", title=None, legend=legend, scale=alt.Scale(domain=series))
    shapes = [SHAPES[number % len(SHAPES)] for number in range(len(series))]
    shape = alt.Shape(
        "series:N", title=None, legend=legend, scale=alt.Scale(domain=series, range=shapes)
    )
    runs = [
        {
            "name": point.name,
            "series": point.series or ".",
            "rate": point.rate,
            "distortion": point.distortion,
        }
        for point in points
    ]
    names = [
        {
            "name": label.point.name,
            "rate": label.point.rate,
            "distortion": label.point.distortion,
            "dx": label.dx,
            "dy": label.dy,
        }
        for label in labels(points, window)
    ]
    data = alt.Chart(alt.InlineData(values=runs))
    lines = alt.Chart(alt.InlineData(values=_level_lines(window)))
    layers = [
        lines.mark_rule(style="frame").encode(x=x, y=y, x2="rate_end:Q", y2="distortion_end:Q"),
        lines.transform_filter("isValid(datum.text)")
        .mark_text(style="note", align="left", baseline="middle", dx=6, dy=-8)
        .encode(x=alt.X("text_rate:Q"), y=alt.Y("text_distortion:Q"), text="text:N"),
        *(
            [data.mark_line().encode(x=x, y=y, color=colour, order="rate:Q", detail="series:N")]
            if connected
            else []
        ),
        data.mark_point(filled=True, size=60, opacity=1).encode(
            x=x,
            y=y,
            color=colour,
            shape=shape,
            tooltip=[
                alt.Tooltip("name:N", title="run"),
                alt.Tooltip("rate:Q", title="rate R, nats", format=".3f"),
                alt.Tooltip("distortion:Q", title="distortion D, nats", format=".3f"),
            ],
        ),
        alt.Chart(alt.InlineData(values=names))
        .mark_text(
            style="word",
            fontSize=11,
            baseline="middle",
            align={"expr": "datum.dx > 0 ? 'left' : 'right'"},
            dx={"expr": "datum.dx"},
            dy={"expr": "datum.dy"},
        )
        .encode(x=x, y=y, text="name:N"),
    ]
    chart: alt.LayerChart = alt.LayerChart(layer=layers).properties(height=HEIGHT)
    return chart


def labels(points: Sequence[Point], window: Window) -> list[Label]:
    """Returns the names of points for which there is room, without overlap of names or points.

    The width of a name is estimated from its number of letters.
    """
    places = [window.pixels(point) for point in points]
    found: list[Label] = []
    for number, (point, (x, y)) in enumerate(zip(points, places, strict=True)):
        others = [place for at, place in enumerate(places) if at != number]
        width = LETTER * sum(1 if char.isascii() else 2 for char in point.name)
        for dx, dy in OFFSETS:
            left = x + dx if dx > 0 else x + dx - width
            box = left, y + dy - LINE / 2, left + width, y + dy + LINE / 2
            inside = left >= 0 and box[2] <= WIDTH
            covered = any(_overlap(box, label.box) for label in found) or any(
                _overlap(box, (*place, *place)) for place in others
            )
            if inside and not covered:
                found.append(Label(point, dx, dy, box))
                break
    return found


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]


def _level_lines(window: Window) -> list[dict[str, Any]]:
    """Returns lines of constant ELBO, named where they leave the plot at the right or bottom."""
    left, right, low, high = window.left, window.right, window.low, window.high
    lines = []
    for level in _levels(left + low, right + high):
        start, end = max(left, level - high), min(right, level - low)
        line: dict[str, Any] = {
            "rate": start,
            "distortion": level - start,
            "rate_end": end,
            "distortion_end": level - end,
        }
        if start < end:
            line |= {"text": f"-ELBO {level:g}", "text_rate": end, "text_distortion": level - end}
        lines.append(line)
    return lines


def _limits(values: Iterable[float]) -> tuple[float, float]:
    found = list(values)
    margin = MARGIN * (max(found) - min(found)) or 1.0
    return min(found) - margin, max(found) + margin


def _levels(least: float, most: float) -> list[float]:
    """Returns at most about `LEVELS` round numbers between two numbers."""
    round_steps = (size * 10.0**power for power in range(-3, 9) for size in (1, 2, 5))
    fitting = (step for step in round_steps if (most - least) / step <= LEVELS)
    step = next(fitting, most - least)
    first = int(least // step) + 1
    return [step * number for number in range(first, int(most // step) + 1)]
