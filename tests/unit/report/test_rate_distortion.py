"""The rate-distortion plane: where runs stand in it, and the picture."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mivae_cli.errors import ConfigError
from mivae_cli.experiments.comparison import compare
from mivae_cli.experiments.summary import Outcome
from mivae_cli.report.rate_distortion import LEVELS, Point, _levels, _name, draw_plane, plane
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


class TestThePicture:
    @pytest.fixture(autouse=True)
    def _with_matplotlib(self) -> None:
        pytest.importorskip("matplotlib")

    @pytest.mark.parametrize(
        "points",
        [
            [Point("alone", "", 0.0, 40.0)],
            [Point("\u65e5\u672c", "\u8a9e", 1.0, 30.0), Point("b", "", 2.0, 31.0)],
            [Point("[a]", "$x$", 1.0, 30.0), Point("b", "$x$", 2.0, 29.0), Point("c", "d", 3, 31)],
        ],
    )
    def test_it_is_drawn_whatever_the_runs(self, points: list[Point], tmp_path: Path) -> None:
        draw_plane(points, tmp_path / "plane.png")
        assert shape_of(tmp_path / "plane.png") == (1050, 750)

    def test_points_are_where_they_belong(self, tmp_path: Path) -> None:
        """The run of more rate is further right, the one of more distortion further up."""
        matplotlib = pytest.importorskip("matplotlib.image")
        points = [Point("", "a", 1.0, 40.0), Point("", "b", 5.0, 30.0)]
        draw_plane(points, tmp_path / "plane.png")
        image = matplotlib.imread(tmp_path / "plane.png")[..., :3]
        centres = []
        for colour in ((0, 0x72, 0xB2), (0xD5, 0x5E, 0)):
            near = abs(image - [part / 255 for part in colour]).max(axis=-1) < 0.02
            near[:, 700:][:250] = False  # the legend
            rows, columns = near.nonzero()
            centres.append((columns.mean(), rows.mean()))
        (left, above), (right, below) = centres
        assert left < right - 200
        assert above < below - 200

    def test_names_cover_neither_each_other_nor_another_point(self) -> None:
        figures = pytest.importorskip("matplotlib.figure")
        axes = figures.Figure(figsize=(7, 5), dpi=150).add_subplot()
        axes.set_xlim(0, 10)
        axes.set_ylim(0, 10)
        spots = [(5, 5), (5, 5), (5.1, 5), (5, 5.1), (9.9, 1), (0.1, 9), *[(2, 2)] * 30]
        points = [Point(f"a name {n}", "", x, y) for n, (x, y) in enumerate(spots)]
        _name(points, axes)
        boxes = [label.get_window_extent() for label in axes.texts]
        for number, box in enumerate(boxes):
            assert not box.count_overlaps(boxes[:number])
            assert axes.bbox.x0 <= box.x0
            assert box.x1 <= axes.bbox.x1
        told = {label.get_text() for label in axes.texts}
        assert {point.name for point in points[:6]} <= told
        assert 3 < len(told - {point.name for point in points[:6]}) < 30

    def test_nothing_to_draw_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="no run has been evaluated"):
            draw_plane([], tmp_path / "plane.png")
        with pytest.raises(ConfigError, match=r"\.png, \.svg or \.pdf"):
            draw_plane([Point("a", "", 0, 1)], tmp_path / "plane.jpg")
