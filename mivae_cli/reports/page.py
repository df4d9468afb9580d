"""The page of a report: one HTML file that needs nothing else, and no network.

Its policy allows only the page's own scripts, by their hashes. Text of a corpus or a model is
escaped wherever it occurs.
"""

__all__ = ["page_html"]

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import Any

from ..experiments.columns import NLL_DIFFERENCE
from ..experiments.comparison import Comparison
from ..experiments.export import AT_CEILING, SIGNIFICANT, TOO_HIGH, Cell, Sheet, sheet
from .charts.style import DARK, LIGHT, configuration
from .figures import Figure
from .records import ReportData

COLUMNS = (  # of a comparison; others would not fit
    "ppl_iw",
    "iw_nll",
    NLL_DIFFERENCE,
    "nll",
    "distortion",
    "rate",
    "mi_known_posterior",
    "mi_dual",
    "active_units",
    "effective_units",
)
FEW = 4  # rows of a comparison that become columns
SECTIONS = {
    "trained": "What was trained",
    "results": "Results",
    "training": "Training",
    "latent": "Latent space",
    "text": "Generated text",
    "runs": "Runs",
    "figures": "Figures",
    "details": "Each run",
}


def page_html(data: ReportData, figures: Sequence[Figure]) -> str:
    """Returns the page of a report with its figures.

    Raises:
        ImportError: Jinja2 or vl-convert is missing; `require_charts` says so beforehand.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup, escape

    script, runtime = _asset("page.js"), _runtime()
    scripts = " ".join(f"'sha256-{_digest(text)}'" for text in (runtime, script))
    policy = (
        f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    charts = {
        "figures": {
            each.key: {"chart": each.chart, "colours": each.colours, "canvas": each.canvas}
            for each in figures
        },
        "themes": {"light": configuration(LIGHT), "dark": configuration(DARK)},
    }
    run = data.runs[0] if len(data.runs) == 1 else None
    used = {str(figure.section) for figure in figures}
    compared = data.comparison
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    # a line may break inside a dotted key
    environment.filters["breakable"] = lambda key: Markup("<wbr>").join(
        escape(part) for part in re.split(r"(?<=[._])", key)
    )
    names = {each.name for each in data.runs}
    names |= set() if compared is None else {row.name for row in compared.rows}
    environment.filters["prose"] = lambda text: _prose(text, names)
    template = environment.from_string(_asset("page.html"))
    return template.render(
        data=data,
        run=run,
        changed=[row for row in run.settings if row.changed] if run else [],
        sheets=[] if compared is None else _sheets(compared),
        warnings=() if compared is None else compared.warnings,
        all_figures=figures,
        numbers={figure.key: place for place, figure in enumerate(figures, start=1)},
        used=used,
        sections=[(key, SECTIONS[key]) for key in _sections(data, used)],
        policy=policy,
        style=Markup(_asset("page.css")),  # own text
        script=Markup(script),
        runtime=Markup(runtime),
        charts=Markup(_in_script(charts)),
    )


def _sheets(compared: Comparison) -> list[tuple[Sheet, str]]:
    """Returns the tables of a comparison with their captions: figures, then settings."""
    columns = tuple(column for column in compared.columns if column.key in COLUMNS)
    figures = sheet(replace(compared, settings={}, columns=columns))
    if len(figures.rows) <= FEW:
        figures = _turned(figures)
    found = [(figures, "Figures of the test split; likelihoods, rates and MI in nats.")]
    if compared.settings:
        rows = list(zip(*sheet(replace(compared, columns=(), best={})).rows, strict=True))
        names, own = rows[0], rows[-len(compared.settings) :]
        keys = [Cell(key) for key in compared.settings]
        settings = Sheet(
            headings=("setting", *(cell.text for cell in names)),
            numeric=(False,) * (len(names) + 1),
            rows=tuple((key, *row) for key, row in zip(keys, own, strict=True)),
            notes=(),
        )
        found.append((settings, "Settings that differ between the runs."))
    return found


def _turned(figures: Sheet) -> Sheet:
    """Returns a table with a column for each of its rows, which fits the page if they are few."""
    names, *rest = zip(*figures.rows, strict=True)
    return Sheet(
        headings=("figure", *(cell.text for cell in names)),
        numeric=(False, *(True for _ in names)),
        rows=tuple(
            (Cell(heading), *cells)
            for heading, cells in zip(figures.headings[1:], rest, strict=True)
        ),
        notes=figures.notes,
    )


def _prose(text: str, names: AbstractSet[str] = frozenset()) -> str:
    """Returns text of mivae as one or more sentences; names of runs keep their first letter."""
    text = re.sub(r"(?<=\d) ?%", "\u00a0%", text)
    mark = re.match(rf"[{AT_CEILING}{TOO_HIGH}{re.escape(SIGNIFICANT)}] ", text)
    start = mark.end() if mark else 0
    if not any(text.startswith(name) for name in names):
        text = text[:start] + text[start : start + 1].upper() + text[start + 1 :]
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."


def _sections(data: ReportData, used: set[str]) -> list[str]:
    """Returns the anchors of the sections that the page has."""
    if len(data.runs) > 1:
        return ["runs", "figures", "details"]
    [run] = data.runs
    has = {
        "trained": bool(run.settings),
        "results": bool(run.headline or run.notes),
        "training": "training" in used,
        "latent": "latent" in used,
        "text": bool(run.samples or run.reconstructions),
    }
    return [key for key, present in has.items() if present]


def _in_script(value: Any) -> str:  # noqa: ANN401  # any JSON
    """Returns JSON that cannot end a script element, nor start a comment in it."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _runtime() -> str:
    """Returns the browser code of Vega, from the installed package, for all charts of a page."""
    import vl_convert

    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))


@cache
def _asset(name: str) -> str:
    return (resources.files(__package__) / "assets" / name).read_text(encoding="utf-8")
