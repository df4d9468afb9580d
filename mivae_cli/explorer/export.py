"""A read-only copy of the explorer that opens from a file, without a server or a model.

    DIR/index.html     the page, with its policy in a meta element
    DIR/data.js        the map, its sentences, and stored answers
    DIR/static/        scripts and style sheet of the page

Stored are details of sentences that are spread over the map, and interpolations between a few of
these, the anchors. Text enters `data.js` as JSON in which no character can end a script.
"""

__all__ = ["export_copy", "script_json", "spread_rows", "write_page"]

import base64
import itertools
import json
import os
import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, reason
from ..limits import MAX_EXPORT_POINTS, check_count
from ..stages import Stage
from ..storage.files import atomic_file
from . import requests as ask
from .server import FILES, static_text
from .session import Explorer

ANCHORS = 12  # sentences between which interpolations are stored
STEPS = 9  # sentences of an interpolation
SAMPLES = 20  # sentences from the prior
INNER = 0.8  # share of the sentences, by distance from the centre, from which anchors are taken
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)


def export_copy(
    explorer: Explorer, folder: Path, points: int = 500
) -> Generator[Stage, None, int]:
    """Writes a copy to a folder; returns the number of sentences with stored details.

    Arguments:
        explorer: The explorer, which finishes encoding its corpus first.
        folder: A new or empty folder, or one with an earlier copy.
        points: Maximum number of sentences with stored details.

    Raises:
        ConfigError: The folder contains other files or cannot be written.
    """
    points = check_count("the number of points", points, 2, MAX_EXPORT_POINTS)
    _check_folder(folder)
    yield Stage("encoding the corpus", explorer.codes.loaded, explorer.codes.total)
    explorer.finish_encoding()
    inner, chosen = _chosen(explorer, points)
    details: dict[str, Any] = {}
    for place, index in enumerate(chosen):
        yield Stage("sentences", place, len(chosen))
        details[str(index)] = explorer.sentence(ask.SentenceRequest(index=index))
    interpolations: dict[str, Any] = {}
    pairs = list(itertools.combinations(inner, 2))
    for place, (start, end) in enumerate(pairs):
        yield Stage("interpolations", place, len(pairs))
        ends = {"from": {"index": start}, "to": {"index": end}, "steps": STEPS}
        request = ask.InterpolateRequest.model_validate(ends)
        interpolations[f"{start}-{end}"] = explorer.interpolate(request)["rows"]
    samples = explorer.sample(ask.SampleRequest(count=SAMPLES, temperature=0.8))["rows"]
    colours = explorer.colours
    data = {
        # the name alone: paths of this machine do not belong into a copy
        "overview": {**explorer.overview(), "run": explorer.about.title, "live": False},
        "points": _encoded(explorer.codes.places),
        "colours": {key: _encoded(colours.values(key)) for key in colours.keys},
        "texts": list(explorer.sentences.texts),
        "details": details,
        "anchors": inner,
        "interpolations": interpolations,
        "samples": samples,
    }
    write_page(folder, data)
    return len(chosen)


def script_json(value: object) -> str:
    r"""Returns a value as JavaScript: JSON that cannot end a script, and in which every key is plain.

    Raises:
        ValueError: A number is not finite.
    """
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    # a key of an object literal would otherwise set its prototype
    text = re.sub(r'(?<=[{,])"__proto__":', '["__proto__"]:', text)
    return text.encode("utf-8", "replace").decode()  # lone surrogates


def spread_rows(
    places: NDArray[np.float32], count: int, chosen: list[int] | None = None
) -> list[int]:
    """Returns rows that are spread over the map: each is the farthest from all before it.

    Arguments:
        places: The places of sentences, with shape (N, 2).
        count: The number of rows, at most N.
        chosen: The first rows; by default the one nearest to the centre.

    References:
        | Clustering to minimize the maximum intercluster distance (Gonzalez, 1985)
    """
    points = places.astype(np.float64)
    rows = list(chosen or [int(np.square(points - points.mean(axis=0)).sum(axis=1).argmin())])
    nearest = np.full(len(points), np.inf)
    for row in rows:
        nearest = np.minimum(nearest, np.square(points - points[row]).sum(axis=1))
    while len(rows) < min(count, len(points)):
        row = int(nearest.argmax())
        if not nearest[row] > 0:  # all others are at places that are chosen already
            break
        rows.append(row)
        nearest = np.minimum(nearest, np.square(points - points[row]).sum(axis=1))
    return rows


def _chosen(explorer: Explorer, points: int) -> tuple[list[int], list[int]]:
    """Returns the anchors, which are not at the edge of the map, and all chosen sentences."""
    places = explorer.codes.places
    from_centre = np.square(places - places.mean(axis=0)).sum(axis=1)
    inside = np.flatnonzero(from_centre <= np.quantile(from_centre, INNER))
    inner = [int(inside[row]) for row in spread_rows(places[inside], min(ANCHORS, points))]
    return inner, spread_rows(places, points, inner)


def _encoded(values: NDArray[np.float32]) -> str:
    return base64.b64encode(values.astype("<f4").tobytes()).decode()


def write_page(folder: Path, data: dict[str, Any]) -> None:
    """Writes the page with its data to a folder."""
    page = static_text("index.html")
    head, scripts = "<head>", '<script src="static/'
    if head not in page or scripts not in page:
        raise AssertionError("the page has another structure than its copy needs")
    meta = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    page = page.replace(head, f"{head}\n{meta}", 1)
    page = page.replace(scripts, f'<script src="data.js"></script>\n{scripts}', 1)
    content = {
        **{f"static/{name}": static_text(name) for name in FILES if name != "index.html"},
        "data.js": f"window.MIVAE_DATA = {script_json(data)};\n",
        "index.html": page,  # last: the copy is complete
    }
    try:
        (folder / "static").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot write '{folder}': {reason(error)}") from error
    for name, text in content.items():
        with atomic_file(folder / name) as draft:
            draft.write_text(text, encoding="utf-8")


def _check_folder(folder: Path) -> None:
    """Raises ConfigError if a folder has files that no earlier copy has written."""
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise ConfigError(f"cannot write '{folder}': it is not a folder; choose another name")
    names = {path.name for path in folder.iterdir()} - {"index.html", "data.js", "static"}
    static = folder / "static"
    if static.is_dir() and not static.is_symlink():
        names |= {path.name for path in static.iterdir()} - set(FILES)
    elif os.path.lexists(static):
        names.add("static")
    if names:
        raise ConfigError(
            f"cannot write to '{folder}': it contains other files, such as '{min(names)}'; choose "
            "a new folder"
        )
