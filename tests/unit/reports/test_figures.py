"""Figures of a report: what they draw, their axes, and which are left out."""

import json
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from mivae_cli.estimators.report import Estimate
from mivae_cli.experiments.comparison import compare
from mivae_cli.reports.charts.latent_map import OTHER, map_chart, map_colours
from mivae_cli.reports.figures import Figure, figures_of
from mivae_cli.reports.records import LatentMap, MapPoint
from mivae_cli.storage.metrics_log import LoggedStep, LoggedValidation, Metrics
from support.charts import axis_titles, literal_colours, rows_of
from support.evaluated import run as outcome
from support.reports import HOSTILE, report_data, run_contents, validation

pytest.importorskip("altair")

UNITS = ("nats", "bits", "epoch", "units", "no unit", "per step", "unit", "density", "deviations")


def figures(**changes: Any) -> dict[str, Figure]:  # noqa: ANN401
    if not changes:
        return complete()
    return {figure.key: figure for figure in figures_of(report_data(run_contents(**changes)))}


@cache
def complete() -> dict[str, Figure]:
    return {figure.key: figure for figure in figures_of(report_data(run_contents()))}


NO_LATENTS: dict[str, Any] = {"estimates": (), "rates": (), "densities": (), "map": None}


def curve(figure: Figure, name: str) -> list[tuple[float, float]]:
    rows = rows_of(dict(figure.chart), "curve")
    return [(row["epoch"], row["value"]) for row in rows if row["curve"] == name]


def test_a_complete_run_has_every_figure_and_every_axis_has_a_unit() -> None:
    found = figures()
    assert list(found) == [
        "likelihood",
        "information",
        "log-xi",
        "units",
        "weights",
        "learning-rate",
        "estimates",
        "rates",
        "aggregated-posterior",
        "map",
    ]
    for figure in found.values():
        for title in axis_titles(dict(figure.chart)):
            assert any(unit in title for unit in UNITS), (figure.key, title)
        assert figure.caption
        assert figure.summary
        assert literal_colours(dict(figure.chart)) == set(), figure.key


def test_curves_have_the_values_of_the_log() -> None:
    found = figures()
    assert curve(found["likelihood"], "distortion D") == [(1, 29), (2, 28), (3, 27)]
    assert curve(found["likelihood"], "negative ELBO, D + R") == [(1, 34), (2, 33), (3, 32)]
    assert curve(found["information"], "MI, dual bound") == [(1, 3.5), (2, 3.5), (3, 3.5)]
    assert curve(found["log-xi"], "log ξ") == [(0.1, 0.1), (0.2, 0.2), (0.3, 0.3)]
    assert curve(found["weights"], "β") == [(0, 0), (3, 1)]


def test_the_collapse_and_the_best_checkpoint_are_marked() -> None:
    marks = rows_of(dict(figures()["information"].chart), "note")
    assert marks == [{"epoch": 2, "note": "best checkpoint"}, {"epoch": 2, "note": "collapse"}]


def test_a_run_stopped_in_its_first_epoch_shows_its_steps() -> None:
    steps = tuple(LoggedStep(n, n / 10, distortion=9.0 - n, rate=1.0) for n in (1, 2))
    found = figures(metrics=Metrics(steps), **NO_LATENTS)
    assert curve(found["likelihood"], "distortion D") == [(0.1, 8), (0.2, 7)]
    assert "training batches" in found["likelihood"].caption


def test_a_run_without_anything_has_no_figures() -> None:
    assert figures(metrics=Metrics(), weights=(), **NO_LATENTS) == {}


def test_missing_values_leave_gaps_and_long_curves_are_thinned() -> None:
    log = tuple(
        LoggedValidation(step=n, epoch=n, distortion=None if n == 2 else 1.0 * n, elbo=-1.0 * n)
        for n in range(1, 1001)
    )
    points = curve(figures(metrics=Metrics((), log), **NO_LATENTS)["likelihood"], "distortion D")
    assert len(points) == 300
    assert (points[0], points[-1]) == ((1, 1), (1000, 1000))
    assert 2 not in dict(points)


def test_numbers_of_an_untrusted_run_give_charts_without_nan() -> None:
    huge = 1e300
    log = Metrics(
        (LoggedStep(1, -huge, rate=huge), LoggedStep(2**53, huge, log_xi=-huge)),
        (validation(1, elbo=huge, rate=-huge, mi=0.0), validation(2**53, distortion=1.0)),
    )
    estimates = (Estimate("known posterior", 1e100, -1e100, 1e100, "lower", 1e-100, True),)
    found = figures(metrics=log, rates=(huge, -huge), rate=huge, estimates=estimates)
    for figure in found.values():
        json.dumps(dict(figure.chart), allow_nan=False)
    assert curve(found["information"], "rate R") == [(1, -huge)]


def test_a_language_model_has_no_information() -> None:
    found = figures(language_model=True, **NO_LATENTS)
    assert list(found) == ["likelihood", "log-xi", "learning-rate"]


def test_bars_are_sorted_and_split_at_a_tenth_of_a_nat() -> None:
    rows = rows_of(dict(figures()["rates"].chart), "unit")
    assert [(row["unit"], row["rate"]) for row in rows] == [(3, 0.7), (1, 0.5), (2, 0.01), (4, 0)]


def test_the_map_can_be_coloured_by_length_rate_and_label() -> None:
    found = figures()["map"]
    assert [*found.colours][:2] == ["length", "rate"]
    assert len(found.colours) == 3
    rows = rows_of(dict(found.chart), "text")
    assert [row["words"] for row in rows] == [1, 2, 3]
    assert [row["group"] for row in rows] == ["b", HOSTILE, HOSTILE]
    assert found.colours[HOSTILE]["scale"] == {"domain": [HOSTILE, "b"]}


def test_rare_labels_are_drawn_as_others() -> None:
    points = tuple(MapPoint(0, 0, "text", 1, 0.0, f"label {max(n, 30)}") for n in range(40))
    found = LatentMap("pca", ("a", "b"), "", points, 40, "topic")
    *_, colour = map_colours(found)
    assert colour.values == ("label 30", *(f"label {n}" for n in range(31, 36)), OTHER)
    groups = [
        row["group"] for row in map_chart(found, [colour]).to_dict()["datasets"].popitem()[1]
    ]
    assert groups.count(OTHER) == 4


@pytest.mark.parametrize(
    ("labels", "field", "values"),
    [
        ((0.0, 1.0, 1.0), "group", ("1", "0")),
        ((0.5, 1.0, 2.0), "label", ()),
        (("a", 1.0), "group", ("a", "1")),
    ],
)
def test_a_few_whole_numbers_are_classes_and_others_a_scale(
    labels: tuple[str | float, ...], field: str, values: tuple[str, ...]
) -> None:
    points = tuple(MapPoint(0, 0, "text", 1, 0.0, label) for label in labels)
    *_, colour = map_colours(LatentMap("pca", ("a", "b"), "", points, 3, "rate"))
    assert (colour.field, colour.values, colour.name) == (field, values, "label rate")


def test_several_runs_are_laid_over_each_other() -> None:
    runs = [run_contents("a", rates=()), run_contents("b", rates=())]
    compared = compare([outcome("a", rate=1.0), outcome("b", rate=2.0)], fold=False)
    data = replace(report_data(*runs), comparison=compared)
    found = {figure.key: figure for figure in figures_of(data)}
    assert list(found) == ["rate-distortion", "elbo", "distortion", "rate", "mi"]
    assert curve(found["distortion"], "b") == [(1, 29), (2, 28), (3, 27)]
    assert [row["rate"] for row in rows_of(dict(found["rate-distortion"].chart), "series")] == [
        1,
        2,
    ]
