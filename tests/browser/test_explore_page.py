"""Every control of the explorer's page, on a small run."""

import csv
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import mivae_cli
from mivae_cli.api.exploration import open_explorer
from mivae_cli.explorer.export import export_copy
from mivae_cli.explorer.server import application, check_packages, listen
from support.browser import Pages, Theme, wait_until
from support.small import scenes, small_config, train_to_end, write_scenes

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

SCRIPT = "<script>document.title = 'attack'</script> a & b"
TOPICS = ("calm", "busy")
LONG = "a-long-word-" * 12


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 sentences with labels; the first looks like a script, the second like a formula.

    Two labels are named like other columns of the page, and one is long.
    """
    path = tmp_path_factory.mktemp("texts") / "labelled.csv"
    sentences = [SCRIPT, "=1+1 a man ."] + [s.sentence() for s in scenes.scenes(118, 7)]
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "topic", "index", "rate", LONG])
        rows.writerows(
            [text, TOPICS[i % 2], "first", "low", LONG] for i, text in enumerate(sentences)
        )
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> "mivae_cli.Run":
    folder = tmp_path_factory.mktemp("explored")
    config = small_config(write_scenes(folder / "scenes.txt"))
    train_to_end(config, folder / "run")
    return mivae_cli.load(folder / "run", device="cpu")


class Served:
    """A server of the explorer in a thread."""

    def __init__(self, run: "mivae_cli.Run", corpus: Path) -> None:
        import uvicorn

        check_packages()
        self.explorer = open_explorer(run, run.read_file(corpus))
        self.listening = listen()
        port = self.listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/?token=secret"
        app: Any = application(self.explorer, port, "secret")
        self.server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
        self.thread = threading.Thread(
            target=self.server.run, kwargs={"sockets": [self.listening]}, daemon=True
        )
        self.thread.start()

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(60)
        self.listening.close()
        self.explorer.close()


@pytest.fixture(scope="module")
def served(run: "mivae_cli.Run", corpus: Path) -> Iterator[Served]:
    pytest.importorskip("uvicorn")
    pytest.importorskip("starlette")
    server = Served(run, corpus)
    yield server
    server.stop()


def opened(
    pages: Pages, served: Served, width: int = 1280, height: int = 860, theme: Theme = "light"
) -> "Page":
    page = pages.open(served.url, width, height, theme)
    page.get_by_text("120 sentences.").wait_for()
    return page


def point(page: "Page", index: int) -> tuple[float, float]:
    """Returns where a point is, in pixels from the corner of the map."""
    x, y = page.evaluate(
        f"(m => m.pixels(m.positions[{2 * index}], m.positions[{2 * index + 1}]))(mivae.app.map)"
    )
    return float(x), float(y)


def click_point(page: "Page", index: int) -> None:
    x, y = point(page, index)
    page.locator("#map").click(position={"x": x, "y": y})


def filled(place: "Locator") -> str:
    """Returns the text of an element as soon as it has one."""
    from playwright.sync_api import expect

    expect(place).not_to_have_text(re.compile(r"^\s*$"), timeout=60_000)
    return place.inner_text()


def choose(page: "Page", index: int) -> str:
    """Selects a sentence by the API of the page, where points may overlap."""
    page.evaluate(f"mivae.app.select({index})")
    return filled(page.locator("#sentence-text"))


def rows(page: "Page", list_id: str) -> list[list[str]]:
    table = page.locator(f"#{list_id} tbody tr")
    table.first.wait_for()
    return [row.locator("td").all_inner_texts() for row in table.all()]


def download(page: "Page", list_id: str, kind: str) -> str:
    with page.expect_download() as started:
        page.locator(f"#{list_id}").get_by_role("button", name=kind, exact=True).click()
    return Path(started.value.path()).read_text(encoding="utf-8")


def test_pointing_and_selecting(pages: Pages, served: Served) -> None:
    page = opened(pages, served)
    space = page.locator("#map")
    space.hover(position={"x": 300, "y": 200})  # between the points: decoded live
    page.get_by_text("Decoded at the cursor").wait_for()
    first = filled(page.locator("#here-text"))
    assert "distance" in page.locator("#here-nearest").inner_text()
    space.hover(position={"x": 60, "y": 60})
    assert first

    click_point(page, 5)
    assert filled(page.locator("#sentence-text")) in served.explorer.sentences.texts
    assert {"Rate", "Length", "Line", "topic"} <= set(
        page.locator("#sentence-facts dt").all_inner_texts()
    )
    assert len(rows(page, "neighbours")) == 8
    page.locator("#neighbours tbody button").first.click()
    neighbour = page.locator("#neighbours")
    neighbour.wait_for()

    page.fill("#place", "a man rides a horse .")
    page.get_by_role("button", name="Place on the map").click()
    page.get_by_role("heading", name="a man rides a horse .").wait_for()
    assert page.evaluate("mivae.app.map.placed[0].label") == "your sentence"

    page.evaluate("mivae.app.map.zoom(40)")  # an empty place, far from all points
    page.evaluate("mivae.app.map.pan(4000, 4000)")
    space.click(position={"x": 200, "y": 200})
    page.get_by_text("Decoded at the chosen place").wait_for()
    assert not page.locator("#sentence-reconstruction").is_visible()
    assert len(rows(page, "neighbours")) == 8
    assert page.evaluate("mivae.app.map.placed[0].label") == "place"


def test_interpolation_between_two_points(pages: Pages, served: Served) -> None:
    page = opened(pages, served)
    texts = [choose(page, 3)]
    page.get_by_role("button", name="Use as start").click()
    page.get_by_role("button", name="Pick on map: End").click()
    page.get_by_text("Choose on the map: End").wait_for()
    click_point(page, 20)
    wait_until(page, "document.getElementById('end-field-text').value !== ''")
    page.get_by_role("button", name="Interpolate", exact=True).click()
    found = rows(page, "interpolation")
    assert [row[0] for row in found][:2] == ["0.00", "0.13"]
    assert len(found) == 9
    assert all(re.fullmatch(r"\u2212?\d+\.\d", row[2]) for row in found)
    assert page.evaluate("mivae.app.map.path.length") == 9
    saved = json.loads(download(page, "interpolation", "JSON"))
    assert [row["text"] for row in saved] == [
        row[1].replace("(empty sentence)", "") for row in found
    ]
    assert {"t", "text", "log_likelihood"} == set(saved[0])

    page.get_by_role("button", name="Swap ends").click()
    assert page.input_value("#end-field-text") == texts[0]
    page.select_option("#method", "linear")
    page.fill("#steps", "5")
    page.fill("#interpolate-temperature", "0.5")
    page.get_by_role("button", name="Interpolate", exact=True).click()
    wait_until(page, "document.querySelectorAll('#interpolation tbody tr').length === 5")


def test_units_variations_analogies_and_samples(pages: Pages, served: Served) -> None:
    page = opened(pages, served)
    choose(page, 3)
    page.get_by_role("button", name="Move its units").click()
    before = filled(page.locator("#units-text"))
    slider = page.locator("#sliders input").first
    wait_until(page, "!document.querySelector('#sliders input').disabled")
    value = slider.input_value()
    slider.evaluate("s => { s.value = s.max; s.dispatchEvent(new Event('input')); }")
    wait_until(page, "mivae.app.map.placed[0]?.label === 'decoded'")
    assert slider.input_value() != value
    assert before
    page.get_by_role("button", name="Start from the prior's mean").click()
    wait_until(page, "Math.abs(document.querySelector('#sliders input').value) < 1e-6")

    page.get_by_role("tab", name="Vary").click()
    page.fill("#vary-field-text", "a man rides a horse .")
    page.fill("#vary-count", "3")
    page.fill("#vary-spread", "2")
    page.get_by_role("button", name="Vary", exact=True).click()
    assert 1 <= len(rows(page, "variations")) <= 3
    assert page.evaluate("mivae.app.map.placed[0].label") == "1"

    page.get_by_role("tab", name="Analogy").click()
    for name in "abc":
        page.fill(f"#analogy-{name}-text", "a man rides a horse .")
    page.get_by_role("button", name="Complete").click()
    assert len(rows(page, "analogies")) == 1

    page.get_by_role("tab", name="Samples").click()
    page.fill("#sample-count", "4")
    page.get_by_role("button", name="Sample from the prior").click()
    drawn = rows(page, "samples")
    assert [row[0] for row in drawn] == ["1", "2", "3", "4"]
    page.get_by_role("button", name="Sample from the prior").click()
    wait_until(page, "!document.querySelector('[aria-busy]')")
    assert rows(page, "samples") == drawn  # the same seed


def test_search_lasso_and_colours(pages: Pages, served: Served) -> None:
    page = opened(pages, served)
    page.fill("#search", "SCRIPT>")
    page.get_by_role("button", name="Find").click()
    page.get_by_text("1 sentence with “SCRIPT>”.").wait_for()
    assert rows(page, "selection")[0][0] == SCRIPT  # shown as text
    assert page.title().endswith("mivae explore")
    page.locator("#selection tbody button").click()
    assert filled(page.locator("#sentence-text")) == SCRIPT
    page.get_by_role("button", name="Clear selection").click()
    assert page.evaluate("mivae.app.map.focus") is None

    page.get_by_role("button", name="Lasso").click()
    box = page.locator("#map").bounding_box()
    assert box is not None
    corners = [(2, 2), (box["width"] - 2, 2), (box["width"] - 2, box["height"] - 2)]
    page.mouse.move(box["x"] + 2, box["y"] + box["height"] - 2)
    page.mouse.down()
    for x, y in corners:
        page.mouse.move(box["x"] + x, box["y"] + y, steps=4)
    page.mouse.up()
    page.get_by_text("120 sentences inside the lasso. The table shows the first 100.").wait_for()
    saved = list(csv.DictReader(download(page, "selection", "CSV").splitlines()))
    assert len(saved) == 120  # all, not only those of the table
    assert {row["topic"] for row in saved} == set(TOPICS)
    assert {(row["index"], row["label:rate"]) for row in saved} == {("first", "low")}
    assert all(float(row["rate"]) >= 0 for row in saved)
    assert "'=1+1 a man ." in {row["text"] for row in saved}  # not a formula in a spreadsheet

    keys = page.locator("#colour option").evaluate_all("all => all.map(o => o.value)")
    for place in (*range(len(keys)), keys.index("label:topic")):
        page.select_option("#colour", index=place)  # a label may have the name of another colour
        wait_until(page, "mivae.app.map.colour.key", keys[place])
    assert page.locator("#legend").inner_text().split() == sorted(TOPICS)


def test_a_lasso_stays_in_place_if_the_view_changes(pages: Pages, served: Served) -> None:
    page = opened(pages, served)
    page.get_by_role("button", name="Lasso").click()
    page.locator("#map").scroll_into_view_if_needed()
    box = page.locator("#map").bounding_box()
    assert box is not None
    middle = [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]
    wanted = page.evaluate(
        "(m => Array.from({length: m.count}, (_, i) => i).filter(i =>"
        " m.pixels(m.positions[2 * i], m.positions[2 * i + 1])[0] < m.width / 2))(mivae.app.map)"
    )
    assert 0 < len(wanted) < 120
    page.mouse.move(middle[0], box["y"])
    page.mouse.down()
    for x, y in ((box["x"] - 500, box["y"]), (box["x"] - 500, middle[1] + 2000)):
        page.mouse.move(x, y)
    page.mouse.move(middle[0], middle[1] + 2000)
    page.mouse.move(middle[0], box["y"] - 1000)
    page.mouse.move(middle[0], box["y"] + 20)
    page.mouse.wheel(0, -120)
    wait_until(page, "mivae.app.map.scale > mivae.app.map.home")
    page.set_viewport_size({"width": 700, "height": 860})
    wait_until(page, "mivae.app.map.width < 700")
    page.mouse.up()
    page.get_by_text("inside the lasso").wait_for()
    focus = "Array.from(mivae.app.map.focus.keys()).filter(i => mivae.app.map.focus[i])"
    assert page.evaluate(focus) == wanted


def test_errors_are_shown(pages: Pages, run: "mivae_cli.Run", corpus: Path) -> None:
    served = Served(run, corpus)
    page = opened(pages, served)
    message = page.get_by_role("alert")
    page.get_by_role("tab", name="Interpolate").click()
    page.get_by_role("button", name="Interpolate", exact=True).click()
    assert "Start" in filled(message)
    page.get_by_role("tab", name="Sentence").click()
    page.fill("#place", "word " * 5000)
    page.get_by_role("button", name="Place on the map").click()
    wait_until(page, "document.getElementById('message').textContent.includes('character')")
    served.stop()
    page.fill("#place", "a man")
    page.get_by_role("button", name="Place on the map").click()
    wait_until(page, "document.getElementById('message').textContent.includes('mivae explore')")
    # Chromium itself reports the failed requests
    reported = [p for p in pages.problems if not p.startswith("Failed to load resource")]
    pages.problems[:] = reported


def test_an_exported_copy_opens_from_a_file(pages: Pages, served: Served, tmp_path: Path) -> None:
    list(export_copy(served.explorer, tmp_path / "copy", 20))
    page = pages.open((tmp_path / "copy" / "index.html").as_uri())
    page.get_by_text("120 sentences.", exact=True).wait_for()
    assert "20 of 120" in page.locator("#copy-note").inner_text()
    assert not page.get_by_role("tab", name="Vary").is_visible()
    page.locator("#map").hover(position={"x": 300, "y": 200})
    page.get_by_text("Nearest sentence", exact=True).wait_for()
    stored = page.evaluate("Object.keys(mivae.app.source.data.details).map(Number)")
    assert len(stored) == 20
    choose(page, stored[0])
    assert rows(page, "neighbours")
    page.get_by_role("tab", name="Interpolate").click()
    assert len(rows(page, "interpolation")) == 9  # without a choice
    page.select_option("#anchor-end", index=2)
    forward = rows(page, "interpolation")
    ends = [page.input_value(f"#anchor-{end}") for end in ("end", "start")]
    page.select_option("#anchor-end", index=3)
    page.select_option("#anchor-start", ends[0])
    page.select_option("#anchor-end", ends[1])
    wait_until(page, "mivae.app.map.path.length", len(forward))
    backward = rows(page, "interpolation")
    assert [row[1] for row in backward] == [row[1] for row in forward[::-1]]
    assert [row[0] for row in backward] == [row[0] for row in forward]
    page.get_by_role("tab", name="Samples").click()
    assert rows(page, "samples")
    page.fill("#search", SCRIPT[:8])
    page.get_by_role("button", name="Find").click()
    found = rows(page, "selection")
    assert found[0][0] == SCRIPT
    assert found[0][3] == TOPICS[0]
    assert all(url.startswith("file:") for url in pages.requests)


def test_keyboard(pages: Pages, served: Served) -> None:
    page = opened(pages, served)
    space = page.locator("#map")
    space.focus()
    for key in ("ArrowRight", "ArrowDown", "+", "-", "0", "ArrowLeft"):
        space.press(key)
    filled(page.locator("#here-text"))
    space.press("Enter")
    assert filled(page.locator("#sentence-text")) in served.explorer.sentences.texts
    page.get_by_role("tab", name="Sentence").press("ArrowLeft")
    assert page.locator("#panel-selection").is_visible()
    page.locator("#lasso").press("Enter")
    space.focus()
    for key in ("Enter", "Shift+ArrowRight", "Enter", "Shift+ArrowDown", "Shift+Enter"):
        space.press(key)
    page.get_by_text("inside the lasso").wait_for()
    space.press("Escape")
    assert page.evaluate("mivae.app.map.focus") is None


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_phone_shows_the_whole_page(pages: Pages, served: Served, theme: Theme) -> None:
    page = opened(pages, served, width=390, height=800, theme=theme)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    page.fill("#search", "a man")
    page.get_by_role("button", name="Find").click()
    page.locator("#selection tbody button").first.click()
    assert filled(page.locator("#sentence-text"))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("tab", name="Selection").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Dark theme").click()
    assert page.evaluate("document.documentElement.dataset.theme") != theme
    page.reload()
    page.get_by_text("120 sentences.").wait_for()
    assert page.evaluate("document.documentElement.dataset.theme") != theme
    unnamed = page.evaluate(
        "[...document.querySelectorAll('input, select')].filter(e => !e.labels.length).length"
    )
    assert unnamed == 0
    assert all(url.startswith(served.url.split("?")[0]) for url in pages.requests)
