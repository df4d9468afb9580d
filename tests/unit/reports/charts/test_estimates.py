"""Charts of estimates: the data behind the marks, and the files."""

import math
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from mivae_cli.choices import Direction
from mivae_cli.errors import ConfigError
from mivae_cli.estimators.report import Estimate
from mivae_cli.reports.charts.estimates import draw_estimates, estimates_chart
from support.charts import axis_titles, rows_of
from support.pictures import shape_of


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


def chart_of(
    *rows: Estimate, lines: dict[str, float] | None = None, recommended: str | None = None
) -> dict[str, Any]:
    pytest.importorskip("altair")
    chart: dict[str, Any] = estimates_chart(rows, lines, recommended).to_dict()
    return chart


def domain(chart: dict[str, Any], axis: int) -> tuple[float, float]:
    """Returns the limits of the axis in nats (0) or bits (1)."""
    layer = chart["layer"][axis]
    encoding = layer["layer"][1]["encoding"] if axis == 0 else layer["encoding"]
    low, high = encoding["x"]["scale"]["domain"]
    return low, high


def test_a_row_has_its_value_interval_and_direction() -> None:
    rows = rows_of(chart_of(LOWER, UPPER, NEITHER), "bound")
    assert [row["bound"] for row in rows] == ["lower bound", "upper bound", "no bound"]
    assert [(row["low"], row["value"], row["high"]) for row in rows] == [
        (0.4, 0.5, 0.6),
        (1.3, 1.5, 1.7),
        (0.9, 1.0, 1.1),
    ]


def test_both_axes_have_units_and_a_nat_is_1_44_bits() -> None:
    chart = chart_of(LOWER, UPPER)
    assert {"I(x; z), nats", "bits"} <= axis_titles(chart)
    (low, high), (low_bits, high_bits) = domain(chart, 0), domain(chart, 1)
    assert low < 0
    assert high > 1.7
    assert (low_bits / low, high_bits / high) == pytest.approx((1.442695, 1.442695))


def test_a_near_ceiling_is_drawn_and_a_far_one_does_not_stretch_the_axis() -> None:
    near = estimate("infonce", 0.5, (0.4, 0.6), ceiling=1.1)
    far = estimate("infonce", 0.5, (0.4, 0.6), ceiling=40.0)
    assert rows_of(chart_of(near), "bound")[0]["ceiling"] == 1.1
    assert rows_of(chart_of(far), "bound")[0]["ceiling"] is None
    assert domain(chart_of(near), 0)[1] > 1.1
    assert domain(chart_of(far), 0)[1] < 0.7


def test_an_infinite_end_is_open_at_the_edge() -> None:
    endless = estimate("upper", math.inf, (0.5, math.inf), "upper")
    chart = chart_of(LOWER, endless)
    row = rows_of(chart, "bound")[1]
    assert (row["low_open"], row["high_open"], row["infinite"]) == (False, True, True)
    assert row["high"] == row["value"] == domain(chart, 0)[1] < 1
    assert row["told"] == "∞"
    assert rows_of(chart_of(estimate("none", -math.inf)), "bound")[0]["told"] == "-∞"


def test_only_one_of_several_estimates_is_recommended() -> None:
    rows = rows_of(chart_of(LOWER, UPPER, recommended="dual"), "bound")
    assert [row["recommended"] for row in rows] == [True, False]
    assert not rows_of(chart_of(LOWER, recommended="dual"), "bound")[0]["recommended"]


def test_the_truth_is_a_named_line_unless_it_is_infinite() -> None:
    lines = {"true value": 1.0, "nothing": math.inf}
    (line,) = [row for row in rows_of(chart_of(LOWER, lines=lines), "name") if "row" not in row]
    assert line == {"value": 1.0, "name": "true value, 1.00"}


def test_equal_names_stay_apart() -> None:
    rows = rows_of(chart_of(LOWER, LOWER, LOWER), "bound")
    assert len({row["row"] for row in rows}) == 3


@pytest.mark.parametrize(
    "rows",
    [
        [estimate("nothing", 0.0, (0.0, 0.0), ceiling=3.4)],
        [estimate("no number", math.nan, (math.nan, math.nan))],
        [estimate("all", math.inf), estimate("none", -math.inf)],
        [estimate("either way", 0.4, (-math.inf, math.inf), ceiling=math.inf)],
        [estimate("</script> $\\undefined{ - KL(q(z)||p(z)) " * 9, 1e9, (1.0, 1e12)), LOWER],
    ],
    ids=lambda rows: rows[0].estimator[:9],
)
def test_odd_values_and_names_are_drawn(rows: list[Estimate], tmp_path: Path) -> None:
    pytest.importorskip("vl_convert")
    path = tmp_path / "odd.svg"
    draw_estimates(rows, path, truth=math.inf, title="A long title of $dollars. " * 9)
    text = path.read_text(encoding="utf-8")
    ElementTree.fromstring(text)
    assert "NaN" not in text
    assert "undefined" not in text.replace("\\undefined", "")


def test_a_picture_grows_with_its_rows(tmp_path: Path) -> None:
    pytest.importorskip("vl_convert")
    one, many = tmp_path / "one.png", tmp_path / "many.PNG"
    draw_estimates([LOWER], one)
    draw_estimates([LOWER, LOWER, LOWER], many)
    assert shape_of(many)[1] - shape_of(one)[1] == 2 * 2 * 32  # two rows of 32 points, doubled
    path = tmp_path / "picture.pdf"
    draw_estimates([LOWER, UPPER], path)
    assert path.read_bytes().startswith(b"%PDF")


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    pytest.importorskip("vl_convert")
    with pytest.raises(ConfigError, match=r"cannot write '.*absent.*': No such file"):
        draw_estimates([LOWER], tmp_path / "absent" / "picture.png")


@pytest.mark.parametrize("name", ["picture.jpg", "picture", "png"])
def test_another_suffix_is_an_error_that_names_the_three(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.png, \.svg or \.pdf"):
        draw_estimates([LOWER], tmp_path / name)
    assert not (tmp_path / name).exists()


def test_no_estimates_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no estimates"):
        draw_estimates([], tmp_path / "picture.png")


def test_without_the_extra_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(ConfigError, match=r"mivae\[report\]"):
        draw_estimates([LOWER], tmp_path / "picture.png")
