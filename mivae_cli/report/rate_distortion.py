r"""The rate-distortion plane: the rate of runs and the distortion that they achieve with it.

A run is the point (R, D), in nats per sentence (Alemi et al., 2018). Lines of slope -1 connect
points with the same negative ELBO, :math:`D + R`. A language model has no latent: R = 0.
"""

__all__ = ["Point", "draw_plane", "plane"]

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError
from ..experiments.comparison import Comparison
from .canvas import canvas

if TYPE_CHECKING:  # optional dependency
    from matplotlib.axes import Axes
    from matplotlib.transforms import Bbox

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555")
MARKERS = "osD^vP*"
WIDTH, HEIGHT = 7.0, 5.0  # inches
LEVELS = 7  # maximum number of lines of constant ELBO
# of a name from its point, in typographic points; the first one without overlap is used
OFFSETS = [(x, y) for y in (4, -9, 13, -18, 22, -27) for x in (5, -5)]
MARGIN = 0.08  # share of the range added on each side


@dataclass(frozen=True)
class Point:
    """A run in the plane; a line connects the runs of a series."""

    name: str
    series: str
    rate: float
    distortion: float


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
        ConfigError: There are no points, or `canvas` raises it.
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
            # label the line where it leaves the figure, at the right or bottom edge
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
            series = [(p.rate, p.distortion) for p in points if p.series == name]
            axes.plot(
                *zip(*sorted(series, key=lambda place: place[0]), strict=True),
                color=COLOURS[number % len(COLOURS)],
                marker=MARKERS[number % len(MARKERS)],
                markersize=5,
                linewidth=1.2 if len(series) > 1 else 0,
                label=name or ".",
            )
        axes.set_xlabel("rate R, nats per sentence")
        axes.set_ylabel("distortion D, nats per sentence")
        if len(names) > 1:
            axes.legend(frameon=False, fontsize=8, loc="upper right")
        _name(points, axes)


def _name(points: Sequence[Point], axes: "Axes") -> None:
    """Labels points with their names, without overlap of names or points."""
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
            covered = box.count_overlaps(taken) or any(box.contains(*place) for place in others)
            if inside and not covered:
                taken.append(box)
                break
            label.remove()


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
