"""Views of a report: a data frame if pandas is there, and HTML without markup of others."""

import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from mivae_cli.errors import ConfigError
from mivae_cli.estimators.feature_ranks import FeatureRank, Ranking
from mivae_cli.estimators.report import Estimate, Recommendation, Report

KSG = Estimate("ksg", 0.5, 0.4, 0.6, "neither", 6.1, False, warnings=["a <b> & c"])
COPULA = Estimate("copula", 0.25, None, None, "neither", None, False)


def report(recommended: bool = True) -> Report:
    best = Recommendation.of(KSG, "the first") if recommended else None
    return Report(best, [KSG, COPULA], 1000, None, 2, 0.01, ["tied <values>"], ["a note"])


def ranking(compared: bool = False) -> Ranking:
    shared = (0.125, "sex", 1) if compared else (None, None, None)
    features = [
        FeatureRank("<age>", 0.5, 0.4, 0.6, 0.001, 0.002, "copula+knn", *shared),
        FeatureRank.constant("sex"),
    ]
    return Ranking(features, "a & b", 1000, 200, 0.1, ["few <rows>"], ["a note"])


@pytest.mark.parametrize("recommended", [True, False])
def test_a_frame_has_one_row_per_estimator(
    monkeypatch: pytest.MonkeyPatch, recommended: bool
) -> None:
    def keep(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return rows

    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=keep))
    rows = report(recommended).to_frame()
    assert [row["estimator"] for row in rows] == ["ksg", "copula"]
    assert [row["value"] for row in rows] == [0.5, 0.25]
    assert [row["recommended"] for row in rows] == [recommended, False]


def test_pandas_makes_a_frame() -> None:
    pytest.importorskip("pandas")
    frame = report().to_frame()
    assert len(frame) == 2
    assert frame.loc[0, "value"] == 0.5
    assert ranking().to_frame()["feature"].tolist() == ["<age>", "sex"]


def test_without_pandas_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConfigError, match="pip install pandas"):
        report().to_frame()


def test_html_shows_the_figures_and_escapes_texts() -> None:
    html = report()._repr_html_()
    for part in ("0.500", "[0.400, 0.600]", "6.100", "0.01", "1,000"):
        assert part in html
    assert "a &lt;b&gt; &amp; c" in html
    assert "tied &lt;values&gt;" in html
    assert html.count("<tr>") == html.count("</tr>") == 3
    assert "0.500 nats" not in report(False)._repr_html_()


def test_html_of_conditional_information_names_the_columns() -> None:
    html = replace(report(), given=["<age>", "2"])._repr_html_()
    assert "I(x; z | &lt;age&gt;, column 2)" in html


@pytest.mark.parametrize("compared", [False, True])
def test_html_of_a_ranking(compared: bool) -> None:
    html = ranking(compared)._repr_html_()
    for part in ("&lt;age&gt;", "a &amp; b", "0.500", "[0.400, 0.600]", "0.002", "1,000", "200"):
        assert part in html
    assert "few &lt;rows&gt;" in html
    assert html.count("<tr>") == html.count("</tr>") == 3
    assert ("0.125" in html) == ("mrmr" in html) == compared
    assert ("copula+knn" in html) != compared
