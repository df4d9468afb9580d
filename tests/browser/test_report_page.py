"""The page of a report in Chromium, with hostile text wherever a corpus or a model writes it."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.browser import Pages, Theme, wait_until
from support.reports import HOSTILE, report_data, run_contents

if TYPE_CHECKING:
    from playwright.sync_api import Page

FIGURES = 10
DRAWN = "document.documentElement.dataset.drawn >= 1"
CHARTS = "document.querySelectorAll('.chart svg, .chart canvas').length"
BACKGROUND = "getComputedStyle(document.body).backgroundColor"
LABEL = "getComputedStyle(document.querySelector('.chart svg text')).fill"
TOOLTIP = "document.querySelector('#vg-tooltip-element.visible')?.innerText || ''"
# the middle of the lowest saturated pixels, which are a point, not the legend
POINT = """(() => {
  const canvas = document.querySelector("[data-figure=map] canvas");
  const { width, height } = canvas;
  const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  const box = canvas.getBoundingClientRect();
  for (let place = pixels.length - 4; place > 0; place -= 4) {
    const [r, g, b, a] = pixels.slice(place, place + 4);
    if (a > 150 && Math.max(r, g, b) - Math.min(r, g, b) > 60) {
      const row = Math.floor(place / 4 / width), column = (place / 4) % width;
      return [box.x + (column * box.width) / width, box.y + (row * box.height) / height - 2];
    }
  }
})()"""
LIGHT, DARK = "rgb(255, 255, 255)", "rgb(21, 23, 26)"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    pytest.importorskip("vl_convert")
    from mivae_cli.reports.write import write_report

    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(report_data(run_contents()), path)
    return path.as_uri()


def opened(pages: Pages, url: str, width: int = 1000, theme: Theme = "light") -> "Page":
    page = pages.open(url, width=width, theme=theme)
    wait_until(page, DRAWN)
    return page


def redrawn(page: "Page") -> str:
    """Returns an expression that holds once the charts have been drawn again."""
    drawn = page.evaluate("Number(document.documentElement.dataset.drawn)")
    return f"document.documentElement.dataset.drawn > {drawn}"


@pytest.mark.parametrize(("theme", "width"), [("light", 1000), ("dark", 400)])
def test_all_figures_are_drawn_in_both_themes_and_widths(
    theme: Theme, width: int, pages: Pages, url: str
) -> None:
    page = opened(pages, url, width, theme)
    assert page.evaluate(CHARTS) == FIGURES
    assert page.evaluate(BACKGROUND) == (LIGHT if theme == "light" else DARK)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    widest = "Math.max(...[...document.querySelectorAll('.chart svg')].map(e => e.clientWidth))"
    assert width / 2 < page.evaluate(widest) <= width
    assert page.evaluate("window.hostile") is None
    assert page.title().endswith(HOSTILE)
    assert [each for each in pages.requests if not each.startswith(("file:", "data:"))] == []


def test_hovering_shows_sentences_as_text_and_the_values_of_all_curves(
    pages: Pages, url: str
) -> None:
    page = opened(pages, url)
    page.locator("[data-figure=map]").scroll_into_view_if_needed()
    x, y = page.evaluate(POINT)
    page.mouse.move(x, y)
    wait_until(page, f"({TOOLTIP}).length > 0")
    assert HOSTILE in page.evaluate(TOOLTIP)
    assert page.evaluate("window.hostile") is None
    page.mouse.move(2, 2)
    chart = page.locator("[data-figure=information]")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(box["x"] + box["width"] / 2 + 3, box["y"] + box["height"] / 2)
    wait_until(page, f"({TOOLTIP}).includes('rate R')")
    told = page.evaluate(TOOLTIP)
    assert "3.5" in told
    assert "undefined" not in told


def test_the_theme_the_colours_and_files_have_keyboard_controls(pages: Pages, url: str) -> None:
    page = opened(pages, url)
    button = page.get_by_role("button", name="Dark theme")
    assert button.get_attribute("aria-pressed") == "false"
    again = redrawn(page)
    button.press("Enter")
    wait_until(page, again)
    assert button.get_attribute("aria-pressed") == "true"
    colour = "element => getComputedStyle(element).backgroundColor"
    assert button.evaluate(colour) == "rgb(124, 192, 234)"
    assert page.evaluate(BACKGROUND) == DARK
    assert page.evaluate(LABEL) == "rgb(232, 230, 227)"
    again = redrawn(page)
    page.get_by_label("Colour").select_option("rate")
    wait_until(page, again)
    for form, start in (("SVG", b"<svg"), ("PNG", b"\x89PNG")):
        with page.expect_download() as saved:
            page.get_by_role("button", name=f"Save figure 2 as {form}").press("Enter")
        assert saved.value.suggested_filename == f"information.{form.lower()}"
        content = Path(saved.value.path()).read_bytes()
        assert content.startswith(start)
        if form == "SVG":  # files are for light pages
            assert b'fill="white"' in content
            assert b"#e8e6e3" not in content


def test_a_dark_page_is_printed_light_at_the_width_of_the_paper(pages: Pages, url: str) -> None:
    page = opened(pages, url, width=1400, theme="dark")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")  # draws before it returns
    assert page.evaluate(LABEL) == "rgb(31, 31, 31)"
    assert page.evaluate(BACKGROUND) == LIGHT
    assert page.evaluate("document.querySelector('.chart svg').clientWidth") == 640
    assert page.pdf(format="A4").startswith(b"%PDF")
