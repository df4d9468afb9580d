"""The page: nothing from a corpus or a model is markup, and nothing comes from elsewhere."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser

import pytest

from mivae_cli.experiments.comparison import compare
from mivae_cli.experiments.export import Cell, Sheet
from mivae_cli.reports.figures import figures_of
from mivae_cli.reports.headline import has_collapsed, headline
from mivae_cli.reports.page import _prose, _turned, page_html
from mivae_cli.reports.records import Missing, ReportData, RunContents
from support import evaluated
from support.reports import HOSTILE, report_data, run_contents

pytest.importorskip("vl_convert")


class Page(HTMLParser):
    """The elements of a page, and the text of its scripts and of its body."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.scripts: list[str] = []
        self.text = ""
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        else:
            self.text += f"{data} "


def page_of(data: ReportData) -> str:
    return page_html(data, figures_of(data))


@cache
def complete() -> str:
    return page_of(report_data(run_contents()))


def test_hostile_text_is_shown_as_text() -> None:
    page = Page(complete())
    # the data of the charts, the runtime and the page's own script
    assert len(page.scripts) == page.tags.count("script") == 3
    assert "img" not in page.tags
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert page.text.count(HOSTILE) > 10
    assert HOSTILE not in complete()


def test_only_the_scripts_of_the_page_may_run_and_nothing_is_loaded() -> None:
    page = Page(complete())
    policy = next(value for _, value in page.attributes if value and "default-src" in value)
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == "'none'"
    hashes = {
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in page.scripts[1:]
    }
    assert set(directives["script-src"].split()) == hashes
    assert not [name for name, _ in page.attributes if name in ("src", "srcset")]
    assert {value for name, value in page.attributes if name == "href"} == {
        "#trained",
        "#training",
        "#latent",
        "#text",
    }
    style = re.search(r"<style>(.*?)</style>", complete(), flags=re.DOTALL)
    assert style is not None
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def test_the_charts_are_the_figures() -> None:
    charts = json.loads(Page(complete()).scripts[0])
    assert set(charts["themes"]) == {"light", "dark"}
    assert set(charts["figures"]) == {
        value for name, value in Page(complete()).attributes if name == "data-figure"
    }


def test_a_page_of_one_run_is_small() -> None:
    assert len(complete().encode()) < 1_100_000


def test_headings_captions_and_controls_are_for_everybody() -> None:
    page = Page(complete())
    assert page.tags.count("h1") == 1
    assert page.tags.count("table") == page.tags.count("caption") + 1  # all settings
    labels = [value for name, value in page.attributes if name == "aria-label"]
    assert len([label for label in labels if label and label.startswith("Save")]) == 20
    assert page.tags.count("select") == page.tags.count("label") == 1


def test_settings_that_differ_come_first_with_their_defaults() -> None:
    text = " ".join(Page(complete()).text.split())
    assert "training. epochs 6 25" in text


def test_what_is_missing_is_named_with_its_command() -> None:
    gap = Missing("All figures", "not evaluated yet", "mivae eval runs/<new>")
    bare = RunContents("new", "runs/new", "not evaluated", "A text VAE.", missing=(gap,))
    page = Page(page_of(report_data(bare)))
    assert "mivae eval runs/<new>" in page.text
    assert "figure" not in page.tags


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a map holds 39% or 18.3 %", "A map holds 39\u00a0% or 18.3\u00a0%."),
        ("* significant: it excludes 0", "* Significant: it excludes 0."),
        ("± standard deviation", "± standard deviation."),
        ("vae-0: no figures.", "vae-0: no figures."),
        ("ΔNLL: a difference", "ΔNLL: a difference."),
        ("", ""),
    ],
)
def test_remarks_are_sentences_and_names_stay(text: str, shown: str) -> None:
    assert _prose(text, {"vae-0"}) == shown


def test_a_collapsed_run_is_not_praised_for_its_rates() -> None:
    collapsed = evaluated.run(
        "a", rate=4.0, units_above=32, mi={"known_posterior": {"value": 0.05}}
    )
    [row] = [row for row in headline(collapsed) if row.key == "units_above"]
    assert "collapsed" in row.meaning
    assert has_collapsed(collapsed)
    sound = evaluated.run("a", units_above=32)
    [row] = [row for row in headline(sound) if row.key == "units_above"]
    assert "collapsed" not in row.meaning
    assert not has_collapsed(sound)
    captions = {
        each.collapsed: next(f.caption for f in figures_of(report_data(each)) if f.key == "rates")
        for each in (run_contents(), run_contents(collapsed=True))
    }
    assert "collapsed" in captions[True]
    assert "collapsed" not in captions[False]
    assert all("upper bound" in caption for caption in captions.values())


def test_likelihoods_are_those_that_an_evaluation_prints() -> None:
    text = {"ppl_word_iw": 88.25, "bits_per_character_iw": 1.5}
    values = {row.key: row.value for row in headline(evaluated.run("a", text=text))}
    assert (values["iw_nll"], values["ppl_word_iw"], values["nll"]) == ("35.50", "88.25", "36.00")
    text["ppl_word_iw"] = float("nan")
    by_word = {"ppl_word_iw": 88.25, "bits_per_character_iw": None}
    for other in (text, by_word, None, "text"):
        rows = headline(evaluated.run("a", text=other))
        assert "ppl_word_iw" not in {row.key for row in rows}


def test_the_command_that_trains_the_run_again_is_shown() -> None:
    shown = Page(page_of(report_data(run_contents(command="mivae train '<b>.txt'"))))
    assert "mivae train '<b>.txt'" in shown.text


def test_captions_of_compared_runs_stay_outside_of_wide_tables() -> None:
    runs = [evaluated.run("a", rate=1.0), evaluated.run("b", rate=2.0)]
    data = replace(
        report_data(run_contents("a"), run_contents("b")), comparison=compare(runs, fold=False)
    )
    page = Page(page_of(data))
    assert "caption" not in page.tags
    labels = [value for name, value in page.attributes if name == "aria-labelledby"]
    anchors = [value for name, value in page.attributes if name == "id"]
    assert labels
    assert set(labels) <= set(anchors)


def test_few_compared_runs_are_columns() -> None:
    cells = tuple((Cell(name), Cell("1"), Cell("2")) for name in "ab")
    turned = _turned(Sheet(("run", "KL", "D"), (False, True, True), cells, ("a note",)))
    assert turned.headings == ("figure", "a", "b")
    assert [tuple(cell.text for cell in row) for row in turned.rows] == [
        ("KL", "1", "1"),
        ("D", "2", "2"),
    ]
    assert turned.notes == ("a note",)
