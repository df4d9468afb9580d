"""The rate-distortion plane: where runs stand in it, their names, and the files."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mivae_cli.errors import ConfigError
from mivae_cli.experiments.comparison import compare
from mivae_cli.experiments.summary import Outcome
from mivae_cli.reports.charts.plane import (
    HEIGHT,
    LEVELS,
    WIDTH,
    Point,
    Window,
    _levels,
    draw_plane,
    labels,
    plane,
    plane_chart,
)
from support.charts import axis_titles, rows_of
from support.pictures import shape_of


def outcome(path: str, **figures: float) -> Outcome:
    return Outcome(Path(path).name, path, "evaluated", evaluation=figures)


def test_a_run_stands_at_its_rate_and_distortion_and_a_language_model_at_none() -> None:
    vae = outcome("runs/a/vae", rate=2.5, distortion=30.0, nll=32.5, latent_units=4)
    lm = outcome("runs/b/lm", rate=0.0, distortion=33.0, nll=33.0, latent_units=0)
    untold = Outcome("new", "runs/a/new", "trained")
    assert plane(compare([vae, lm, untold])) == [
        Point("vae", "a", 2.5, 30.0),
        Point("lm", "b", 0.0, 33.0),
    ]


def test_a_name_does_not_repeat_its_series() -> None:
    figures = {"rate": 1.0, "distortion": 9.0, "latent_units": 4}
    told = [
        Outcome(f"rd/{name}", f"runs/rd/{name}", "evaluated", evaluation=figures) for name in "ab"
    ]
    assert [(point.series, point.name) for point in plane(compare(told))] == [
        ("rd", "a"),
        ("rd", "b"),
    ]


@given(st.floats(-1e6, 1e6), st.floats(1e-2, 1e6))
def test_levels_are_round_few_and_inside(least: float, width: float) -> None:
    found = _levels(least, least + width)
    assert len(found) <= LEVELS + 1
    assert all(least - 1e-6 * width < level <= least + width * (1 + 1e-6) for level in found)


@pytest.mark.parametrize(
    "points",
    [
        [Point("alone", "", 0.0, 40.0)],
        [Point("\u65e5\u672c", "\u8a9e", 1.0, 30.0), Point("b", "", 2.0, 31.0)],
        [Point("[a]", "$x$", 1.0, 30.0), Point("b", "$x$", 2.0, 29.0), Point("c", "d", 3, 31)],
    ],
)
def test_it_is_drawn_whatever_the_runs(points: list[Point], tmp_path: Path) -> None:
    pytest.importorskip("vl_convert")
    draw_plane(points, tmp_path / "plane.png")
    width, height = shape_of(tmp_path / "plane.png")
    assert width > 2 * WIDTH
    assert height > 2 * HEIGHT


def test_points_have_their_rate_distortion_and_axes_have_units() -> None:
    pytest.importorskip("altair")
    chart = plane_chart([Point("a", "s", 1.0, 40.0), Point("b", "t", 5.0, 30.0)]).to_dict()
    assert axis_titles(chart) == {"rate R, nats per sentence", "distortion D, nats per sentence"}
    runs = [row for row in rows_of(chart, "series")]
    assert [(row["name"], row["rate"], row["distortion"]) for row in runs] == [
        ("a", 1.0, 40.0),
        ("b", 5.0, 30.0),
    ]
    for line in rows_of(chart, "rate_end"):  # of slope -1
        level = line["rate"] + line["distortion"]
        assert level == pytest.approx(line["rate_end"] + line["distortion_end"])


def test_names_cover_neither_each_other_nor_another_point() -> None:
    spots = [(5, 5), (5, 5), (5.1, 5), (5, 5.1), (9.9, 1), (0.1, 9), *[(2, 2)] * 30]
    points = [Point(f"a name {n}", "", x, y) for n, (x, y) in enumerate(spots)]
    window = Window(0, 10, 0, 10)
    found = labels(points, window)
    for number, label in enumerate(found):
        left, top, right, bottom = label.box
        assert 0 <= left < right <= WIDTH
        for other in found[:number]:
            apart = right < other.box[0] or other.box[2] < left
            assert apart or bottom < other.box[1] or other.box[3] < top
        for point in points:
            x, y = window.pixels(point)
            assert not (left < x < right and top < y < bottom) or point == label.point
    told = {label.point.name for label in found}
    assert {point.name for point in points[:6]} <= told
    assert 3 < len(told - {point.name for point in points[:6]}) < 30


def test_nothing_to_draw_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no run has been evaluated"):
        draw_plane([], tmp_path / "plane.png")
    with pytest.raises(ConfigError, match=r"\.png, \.svg or \.pdf"):
        draw_plane([Point("a", "", 0, 1)], tmp_path / "plane.jpg")
