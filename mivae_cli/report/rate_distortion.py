r"""The rate-distortion plane: what runs pay in rate, and what distortion they get for it.

A run is the point (R, D), in nats a sentence (Alemi et al., 2018). On a line of slope -1 the
negative ELBO, :math:`D + R`, is the same. A language model has no rate: it stands at R = 0.
"""

__all__ = ["Point", "draw_plane", "plane"]

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError
from ..experiments.comparison import Comparison
from .canvas import canvas

if TYPE_CHECKING:  # which is an extra
    from matplotlib.axes import Axes
    from matplotlib.transforms import Bbox

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555")
MARKERS = "osD^vP*"
WIDTH, HEIGHT = 7.0, 5.0  # inches
LEVELS = 7  # lines of one ELBO
# of a name from its point, in printer's points: the first at which it stands free
OFFSETS = [(x, y) for y in (4, -9, 13, -18, 22, -27) for x in (5, -5)]
AIR = 0.08  # of what is drawn, left free on either side


@dataclass(frozen=True)
class Point:
    """A run in the plane; runs of one series are joined by a line."""

    name: str
    series: str
    rate: float
    distortion: float


def plane(comparison: Comparison) -> list[Point]:
    """Returns the points of a comparison's rows; runs in one folder are a series."""
    points = []
    for row in comparison.rows:
        figures = row.figures
        distortion, rate, nll = (figures.get(key) for key in ("distortion", "rate", "nll"))
        folder = Path(row.paths[0]).parent.name
        name = row.name.removeprefix(f"{folder}/")  # which the series is called already
        if distortion is not None and rate is not None:
            points.append(Point(name, folder, rate.value, distortion.value))
        elif nll is not None:  # a language model's
            points.append(Point(name, folder, 0.0, nll.value))
    return points


def draw_plane(points: Sequence[Point], path: Path, title: str = "") -> None:
    """Draws points with their names, a line through each series, and lines of one ELBO.

    Arguments:
        points: The runs.
        path: Where the picture goes; its suffix, `.png`, `.svg` or `.pdf`, is its format.
        title: Stands above the picture.

    Raises:
        ConfigError: There is nothing to draw, matplotlib is missing, the suffix is another one
            or the file cannot be written.
    """
    if not points:
        raise ConfigError(f"cannot draw '{path}': no run has been evaluated")
    with canvas(path, WIDTH, HEIGHT) as figure:
        axes = figure.add_subplot()
        left, right = _limits(point.rate for point in points)
        low, high = _limits(point.distortion for point in points)
        axes.set_xlim(left, right)
        axes.set_ylim(low, high)
        for level in _levels(left + low, right + high):
            axes.plot([left, right], [level - left, level - right], color="#dddddd", lw=0.8)
            # named where the line leaves the picture, at its right edge or below
            place = (right, level - right) if level - right > low else (level - low, low)
            if left < place[0] and place[1] < high:
                axes.annotate(
                    f"-ELBO {level:g}",
                    place,
                    xytext=(2, 2),
                    textcoords="offset points",
                    fontsize=7,
                    color="#999999",
                    annotation_clip=False,
                )
        names = list(dict.fromkeys(point.series for point in points))
        for number, name in enumerate(names):
            series = sorted(
                (point for point in points if point.series == name), key=lambda point: point.rate
            )
            axes.plot(
                [point.rate for point in series],
                [point.distortion for point in series],
                color=COLOURS[number % len(COLOURS)],
                marker=MARKERS[number % len(MARKERS)],
                markersize=5,
                linewidth=1.2 if len(series) > 1 else 0,
                label=name or ".",
            )
        axes.set_xlabel("rate R, nats a sentence")
        axes.set_ylabel("distortion D, nats a sentence")
        if len(names) > 1:
            axes.legend(frameon=False, fontsize=8, loc="upper right")
        if title:
            axes.set_title(title, fontsize=11)
        _name(points, axes)


def _name(points: Sequence[Point], axes: "Axes") -> None:
    """Writes each point's name beside it, where it covers no other name and no point."""
    places = [axes.transData.transform((point.rate, point.distortion)) for point in points]
    taken: list[Bbox] = []
    for number, point in enumerate(points):
        others = [place for at, place in enumerate(places) if at != number]
        for offset in OFFSETS:
            label = axes.annotate(
                point.name,
                (point.rate, point.distortion),
                xytext=offset,
                textcoords="offset points",
                fontsize=7,
                horizontalalignment="left" if offset[0] > 0 else "right",
            )
            box = label.get_window_extent()
            inside = axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1
            if inside and not (
                box.count_overlaps(taken) or any(box.contains(*place) for place in others)
            ):
                break
            label.remove()
        else:  # so many in one place that a name would only blacken others
            continue
        taken.append(box)


def _limits(values: Iterable[float]) -> tuple[float, float]:
    found = list(values)
    air = AIR * (max(found) - min(found)) or 1.0
    return min(found) - air, max(found) + air


def _levels(least: float, most: float) -> list[float]:
    """Returns round numbers between two, about `LEVELS` of them."""
    step = next(
        (
            size * 10.0**power
            for power in range(-3, 9)
            for size in (1, 2, 5)
            if (most - least) / (size * 10.0**power) <= LEVELS
        ),
        most - least,
    )
    first = int(least // step) + 1
    return [step * number for number in range(first, int(most // step) + 1)]
