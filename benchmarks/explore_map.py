"""How smoothly the map of the explorer pans and zooms: time to draw, and time between frames.

The page is an exported copy with random points, opened in Chromium without a GPU. A script drags the
map and turns the wheel. Times are medians and 95th percentiles in milliseconds.

    python benchmarks/explore_map.py --points 20000 100000
"""

import argparse
import base64
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from machine import description
from mivae_cli.explorer.export import write_page

WIDTH, HEIGHT = 1280, 860  # of the window, in pixels
MOVES = 60
WATCH = """() => {
  const seen = window.seen = {draws: [], frames: []}, map = mivae.app.map;
  let drawn = map.drawTime, before = performance.now();
  const frame = () => {
    const now = performance.now();
    seen.frames.push(now - before);
    before = now;
    if (map.drawTime !== drawn) seen.draws.push(drawn = map.drawTime);
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}"""


def page_data(points: int) -> dict[str, Any]:
    """Returns the data of a copy with random points, coloured by a random number."""
    rng = np.random.default_rng(0)
    places = rng.normal(size=(points, 2)).astype("<f4")
    lengths = rng.integers(3, 30, points).astype("<f4")

    def encoded(values: Any) -> str:  # noqa: ANN401  # any array
        return base64.b64encode(values.tobytes()).decode()

    limits = {"steps": 2, "rows": 1, "temperature": [0, 1], "spread": [0, 1]}
    colour = {"key": "length", "name": "Length", "unit": "words", "kind": "number"}
    overview = {
        "run": "random",
        "title": "random points",
        "checkpoint": "none",
        "live": False,
        "model": {},
        "corpus": {"name": "random", "total": points, "loaded": points},
        "map": {"axes": ["x", "y"], "bounds": [-4, 4, -4, 4], "note": ""},
        "colours": [{**colour, "range": [3, 30]}],
        "units": [],
        "limits": limits,
        "metric": "euclidean",
    }
    return {
        "overview": overview,
        "points": encoded(places),
        "colours": {"length": encoded(lengths), "rate": encoded(lengths)},
        "texts": ["a sentence"] * points,
        "details": {},
        "anchors": [],
        "interpolations": {},
        "samples": [],
    }


def measure(points: int) -> dict[str, Any]:
    """Returns the times of one map."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        write_page(Path(folder), page_data(points))
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto((Path(folder) / "index.html").as_uri())
        page.get_by_text(f"{points:,} sentences.", exact=True).wait_for()
        box = page.locator("#map").bounding_box()
        if box is None:
            raise RuntimeError("the page has no map")
        x, y = box["x"] + box["width"] / 3, box["y"] + box["height"] / 2
        found: dict[str, Any] = {"points": points}
        for name in ("pan", "zoom"):
            page.evaluate(WATCH)
            page.mouse.move(x, y)
            if name == "pan":
                page.mouse.down()
                for step in range(MOVES):
                    page.mouse.move(x + 3 * step, y + step)
                page.mouse.up()
            else:
                for step in range(MOVES):
                    page.mouse.wheel(0, -60 if step < MOVES / 2 else 60)
            page.wait_for_timeout(100)
            seen = page.evaluate("window.seen")
            found[name] = {key: summary(values) for key, values in seen.items()}
        browser.close()
        return found


def summary(values: list[float]) -> dict[str, float]:
    """Returns the median and the 95th percentile of times."""
    return {
        "count": len(values),
        "median": round(float(np.median(values)), 1),
        "p95": round(float(np.percentile(values, 95)), 1),
    }


def main() -> None:
    """Prints the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, nargs="+", default=[20_000, 100_000])
    asked = parser.parse_args()
    found = {
        **description(torch.device("cpu")),
        "maps": [measure(points) for points in asked.points],
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
