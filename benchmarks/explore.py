"""How long the explorer lets its user wait: first page, live decoding, interpolation and search.

A run is loaded, and its explorer is started twice on the same sentences with an empty cache: the
first start encodes, the second reads the cache. Requests go over HTTP, one after another, as those
of a page do. Times are medians and 95th percentiles of wall time. On a busy machine, the processor
time (of server and client, all threads) shows what an idle one would take with one thread.

    python benchmarks/explore.py runs/mine sentences.txt --points 20000
"""

import argparse
import http.client
import itertools
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

import mivae_cli
from machine import description
from mivae_cli.api.exploration import open_explorer
from mivae_cli.api.run import Run
from mivae_cli.explorer.server import listen, serve
from mivae_cli.explorer.session import Explorer

TOKEN = "benchmark"
STEPS = 9


class Page:
    """A page in the browser: an open explorer, and a connection to its server."""

    def __init__(self, run: Run, sentences: Path, points: int) -> None:
        start, used = time.perf_counter(), time.process_time()
        self.explorer: Explorer = open_explorer(run, run.read_file(sentences), points=points)
        listening = listen(0)
        port = listening.getsockname()[1]
        work = threading.Thread(target=serve, args=(self.explorer, listening, TOKEN), daemon=True)
        work.start()
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        self.get(f"/?token={TOKEN}")
        self.get("/api/overview")
        first = self.get("/api/points?start=0")
        self.first_page = time.perf_counter() - start
        self.first_used = time.process_time() - used
        self.first_points = len(first) // 8
        self.explorer.finish_encoding()
        self.connection.close()  # the server has closed it; the next request opens another
        self.get(f"/api/points?start={self.first_points}")
        self.all_points = time.perf_counter() - start

    def get(self, path: str) -> bytes:
        """Returns the body of an answer."""
        self.connection.request("GET", path, headers={"X-Mivae-Token": TOKEN})
        return self._answer()

    def post(self, name: str, body: dict[str, Any]) -> Any:  # noqa: ANN401  # JSON
        """Returns the answer to a request."""
        headers = {"X-Mivae-Token": TOKEN, "Content-Type": "application/json"}
        self.connection.request("POST", f"/api/{name}", json.dumps(body), headers)
        return json.loads(self._answer())

    def _answer(self) -> bytes:
        reply = self.connection.getresponse()
        body = reply.read()
        if reply.status != 200:
            raise RuntimeError(f"status {reply.status}: {body!r}")
        return body


def measure(page: Page, repeats: int) -> dict[str, Any]:
    """Returns the times of requests in milliseconds, and the lengths of decoded sentences."""
    rng = np.random.default_rng(0)
    x0, x1, y0, y1 = page.explorer.overview()["map"]["bounds"]
    places = zip(rng.uniform(x0, x1, repeats), rng.uniform(y0, y1, repeats), strict=True)
    total = page.explorer.codes.total
    ends = rng.integers(total, size=(repeats, 2)).tolist()
    words = [page.explorer.sentences.texts[row].split()[0] for row, _ in ends]
    lengths: list[int] = []

    def point(number: int, place: tuple[float, float]) -> None:
        answer = page.post("point", {"x": place[0], "y": place[1], "sequence": number})
        lengths.append(len(answer["text"].split()))

    def path(pair: list[int]) -> None:
        start, end = ({"index": index} for index in pair)
        body = {"from": start, "to": end, "steps": STEPS, "method": "slerp", "temperature": 0}
        page.post("interpolate", body)

    page.post("search", {"query": "x", "limit": 1})  # the first search prepares the texts
    return {
        "live decoding": timed(lambda each: point(*each), list(enumerate(places))),
        f"{STEPS}-step interpolation": timed(path, ends),
        "a sentence and its neighbours": timed(
            lambda pair: page.post("sentence", {"index": pair[0]}), ends
        ),
        "search": timed(lambda word: page.post("search", {"query": word, "limit": 50}), words),
        "words decoded": median(lengths),
    }


def timed(action: Callable[[Any], object], values: list[Any]) -> dict[str, float]:
    """Returns median and 95th percentile of wall time, and median processor time, in ms."""
    action(values[0])
    taken, used = [], []
    for value in values:
        start, before = time.perf_counter(), time.process_time()
        action(value)
        taken.append(1000 * (time.perf_counter() - start))
        used.append(1000 * (time.process_time() - before))
    found = {"median": median(taken), "p95": float(np.percentile(taken, 95))}
    return {name: round(value, 1) for name, value in {**found, "processor": median(used)}.items()}


def repeated(source: Path, target: Path, count: int) -> Path:
    """Writes a file of `count` lines, with those of another over and over."""
    lines = source.read_text(encoding="utf-8").splitlines()
    rows = itertools.islice(itertools.cycle(filter(str.strip, lines)), count)
    target.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return target


def main() -> None:
    """Prints the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("sentences", type=Path)
    parser.add_argument("--points", type=int, nargs="+", default=[20_000, 100_000])
    parser.add_argument("--repeats", type=int, default=50)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MIVAE_CACHE"] = folder
        run = mivae_cli.load(asked.run)
        model = run.config.model
        found: dict[str, Any] = {
            **description(torch.device("cpu")),
            "encoder": model.encoder.model_dump(),
            "decoder": model.decoder.model_dump(),
            "latent units": run.latent_size,
        }
        for points in asked.points:
            text = repeated(asked.sentences, Path(folder) / f"{points}.txt", points)
            figures: dict[str, Any] = {}
            for start in ("first", "second"):
                page = Page(run, text, points)
                figures[f"{start} start"] = {
                    "seconds to the first page": round(page.first_page, 2),
                    "processor seconds to the first page": round(page.first_used, 2),
                    "points on the first page": page.first_points,
                    "seconds to all points": round(page.all_points, 2),
                }
                if start == "second":
                    figures |= measure(page, asked.repeats)
                page.explorer.close()
            found[f"{points:,} points"] = figures
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
