"""Pictures, by their pixels: what is drawn, where, and in which colour."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mivae_cli.choices import Direction
from mivae_cli.errors import ConfigError
from mivae_cli.estimators.report import Estimate
from mivae_cli.report import estimates as figures
from mivae_cli.report.estimates import draw_estimates
from support.pictures import shape_of

BLUE, ORANGE, YELLOW, BLACK = "0072b2", "d55e00", "faf5bb", "000000"


def estimate(
    name: str,
    value: float,
    interval: tuple[float, float] | None = None,
    direction: Direction = "lower",
    ceiling: float | None = None,
) -> Estimate:
    low, high = interval or (None, None)
    return Estimate(name, value, low, high, direction, ceiling, held_out=True)


LOWER = estimate("dual", 0.5, (0.4, 0.6))
UPPER = estimate("leave-one-out", 1.5, (1.3, 1.7), "upper")
NEITHER = estimate("ksg", 1.0, (0.9, 1.1), "neither")


def places(path: Path, colour: str) -> NDArray[np.float64]:
    """Returns where a colour stands above the legend, as shares of the width: (pixels,)."""
    image = pytest.importorskip("matplotlib.image").imread(path)[..., :3]
    wanted = np.array([int(colour[i : i + 2], 16) for i in (0, 2, 4)]) / 255
    near = np.abs(image - wanted).max(axis=-1) < 0.02
    columns = np.nonzero(near[: int(0.7 * len(near))])[1]
    found: NDArray[np.float64] = columns / image.shape[1]
    return found


class TestThePicture:
    @pytest.fixture(autouse=True)
    def _with_matplotlib(self) -> None:
        pytest.importorskip("matplotlib")

    def test_it_grows_with_its_rows(self, tmp_path: Path) -> None:
        one, many = tmp_path / "one.png", tmp_path / "many.PNG"
        draw_estimates([LOWER], one)
        draw_estimates([LOWER, UPPER, NEITHER] * 4, many)
        (width, height), (same, taller) = shape_of(one), shape_of(many)
        assert width == same > 600
        expected = 11 * figures.ROW_HEIGHT * 150  # pixels an inch
        assert taller - height == pytest.approx(expected, abs=2)
        assert one.stat().st_size > 5_000

    @pytest.mark.parametrize(("suffix", "start"), [(".svg", b"<?xml"), (".pdf", b"%PDF")])
    def test_the_suffix_is_the_format(self, suffix: str, start: bytes, tmp_path: Path) -> None:
        path = tmp_path / f"picture{suffix}"
        draw_estimates([LOWER, UPPER], path)
        assert path.read_bytes().startswith(start)
        assert path.stat().st_size > 2_000

    def test_directions_have_colours_and_values_have_places(self, tmp_path: Path) -> None:
        path = tmp_path / "both.png"
        draw_estimates([LOWER, UPPER], path)
        blue, orange = places(path, BLUE), places(path, ORANGE)
        assert blue.max() < orange.min()
        # the axis is linear: (0.6 - 0.4) nats of blue are half as wide as (1.7 - 1.3) of orange
        assert np.ptp(orange) / np.ptp(blue) == pytest.approx(2.0, rel=0.05)
        draw_estimates([LOWER, NEITHER], path)
        assert not len(places(path, ORANGE))

    def test_the_truth_is_a_line_at_its_place(self, tmp_path: Path) -> None:
        """Half-way between 0.5 and 1.5, and taller than any letter."""
        path, rows, tallest = tmp_path / "picture.png", [LOWER, UPPER] * 3, []
        for truth in (None, 1.0):
            draw_estimates(rows, path, truth=truth)
            columns, counts = np.unique(places(path, BLACK), return_counts=True)
            tallest.append(counts.max())
        assert tallest[1] > 150 > 3 * tallest[0]  # without it, letters above each other
        middle = (places(path, BLUE).mean() + places(path, ORANGE).mean()) / 2
        assert columns[counts.argmax()] == pytest.approx(middle, abs=0.01)

    def test_the_recommended_row_alone_is_emphasised(self, tmp_path: Path) -> None:
        path = tmp_path / "plain.png"
        draw_estimates([LOWER, UPPER], path)
        assert not len(places(path, YELLOW))
        draw_estimates([LOWER, UPPER], path, recommended="dual")
        band = len(places(path, YELLOW))
        width, _ = shape_of(path)
        assert 0.3 < band / (width * figures.ROW_HEIGHT * 150) < 1.2

    def test_a_ceiling_is_drawn_where_it_is_near(self, tmp_path: Path) -> None:
        path = tmp_path / "ceiling.png"
        extent = []
        for ceiling in (None, 0.9, 40.0):
            draw_estimates([estimate("infonce", 0.5, (0.4, 0.6), ceiling=ceiling), UPPER], path)
            extent.append(np.ptp(places(path, BLUE)))
        assert extent[1] == pytest.approx(extent[0] * (0.9 - 0.4) / (0.6 - 0.4), rel=0.05)
        assert extent[2] == pytest.approx(extent[0], rel=0.05)  # nor does it stretch the axis

    def test_what_is_infinite_points_over_the_edge(self, tmp_path: Path) -> None:
        path = tmp_path / "infinite.png"
        draw_estimates([LOWER, estimate("upper", math.inf, (math.inf, math.inf), "upper")], path)
        assert places(path, ORANGE).min() > 0.9
        draw_estimates([LOWER, estimate("upper", math.inf, (0.5, math.inf), "upper")], path)
        assert places(path, ORANGE).min() < 0.9 < places(path, ORANGE).max()
        draw_estimates([LOWER, estimate("lower", -math.inf, None, "upper")], path)
        assert places(path, ORANGE).max() < 0.3

    @pytest.mark.parametrize(
        "rows",
        [
            [estimate("nothing", 0.0, (0.0, 0.0), ceiling=3.4)],
            [estimate("less than nothing", -0.2, (-0.4, 0.0))],
            [estimate("no number", math.nan, (math.nan, math.nan))],
            [estimate("all", math.inf), estimate("none", -math.inf)],
            [estimate("either way", 0.4, (-math.inf, math.inf), ceiling=math.inf)],
            [estimate("rate $\\undefined{ - KL(q(z)||p(z)) " * 9, 1e9, (1.0, 1e12)), LOWER],
        ],
        ids=lambda rows: rows[0].estimator[:18],
    )
    def test_odd_values_and_names_are_drawn_without_a_warning(
        self, rows: list[Estimate], tmp_path: Path
    ) -> None:
        path = tmp_path / "odd.png"
        draw_estimates(rows, path, truth=math.inf, title="A long title of $dollars. " * 9)
        assert len(places(path, BLUE)) > 20

    def test_a_place_that_cannot_be_written_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"cannot write '.*absent.*': No such file"):
            draw_estimates([LOWER], tmp_path / "absent" / "picture.png")

    def test_the_settings_of_other_pictures_stay_as_they_are(self, tmp_path: Path) -> None:
        matplotlib = pytest.importorskip("matplotlib")
        before = dict(matplotlib.rcParams)
        draw_estimates([LOWER], tmp_path / "picture.png")
        assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("name", ["picture.jpg", "picture", "png"])
def test_another_suffix_is_an_error_that_names_the_three(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.png, \.svg or \.pdf"):
        draw_estimates([LOWER], tmp_path / name)
    assert not (tmp_path / name).exists()


def test_no_estimates_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no estimates"):
        draw_estimates([], tmp_path / "picture.png")


def test_without_matplotlib_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match="matplotlib"):
        draw_estimates([LOWER], tmp_path / "picture.png")
