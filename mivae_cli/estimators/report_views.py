"""Views of a report and of a ranking for notebooks: data frames and tables in HTML.

Does not import torch or pandas.
"""

__all__ = [
    "conditional_title",
    "ranking_frame",
    "ranking_html",
    "report_frame",
    "report_html",
]

import importlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from html import escape
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, listing

if TYPE_CHECKING:
    from .feature_ranks import Ranking
    from .report import Report

MISSING = "-"
MAX_COLUMNS = 4  # in a title


def conditional_title(given: Sequence[str]) -> str:
    """Returns "I(x; z | age, sex)" for the names of the given columns."""
    names = (f"column {name}" if name.isdecimal() else name for name in given)
    return f"I(x; z | {listing(names, MAX_COLUMNS)})"


def report_frame(report: "Report") -> Any:  # noqa: ANN401  # a pandas.DataFrame
    """Returns the estimates as a `pandas.DataFrame`, one row for each estimator.

    The columns are the fields of `Estimate`, and `recommended`, which is true in one row at most.

    Raises:
        ConfigError: pandas is not installed.
    """
    best = report.recommended.estimator if report.recommended else None
    return _frame(
        asdict(estimate) | {"recommended": estimate.estimator == best}
        for estimate in report.estimates
    )


def ranking_frame(ranking: "Ranking") -> Any:  # noqa: ANN401  # a pandas.DataFrame
    """Returns the features as a `pandas.DataFrame`, whose columns are the fields of `FeatureRank`.

    Raises:
        ConfigError: pandas is not installed.
    """
    return _frame(map(asdict, ranking.features))


def report_html(report: "Report") -> str:
    """Returns the recommendation, the estimates and the warnings as HTML."""
    parts = []
    if report.given:
        parts.append(f"<p>{escape(conditional_title(report.given))}</p>")
    best = report.recommended
    if best is not None:
        interval = _interval(best.ci_low, best.ci_high)
        parts.append(
            f"<p><strong>{escape(best.estimator)}: {best.value:.3f} {escape(report.unit)}</strong> "
            f"{interval}<br>{escape(best.reason)}</p>"
        )
    heads = ("estimator", "estimate", "95 % interval", "direction", "ceiling")
    rows = [
        (
            each.estimator,
            f"{each.value:.3f}",
            _interval(each.ci_low, each.ci_high),
            each.direction,
            MISSING if each.ceiling is None else f"{each.ceiling:.3f}",
        )
        for each in report.estimates
    ]
    parts.append(_table(heads, rows))
    if report.p_value is not None:
        parts.append(f"<p>p-value of independence: {report.p_value:.3g}</p>")
    remarks = [f"{each.estimator}: {text}" for each in report.estimates for text in each.warnings]
    parts += _lists([*report.warnings, *remarks], report.notes)
    dimensions = f"x: {MISSING if report.x_dim is None else report.x_dim}, z: {report.z_dim}"
    parts.append(f"<p>{report.n:,} rows; dimensions of {dimensions}</p>")
    return f"<div>{''.join(parts)}</div>"


def ranking_html(ranking: "Ranking") -> str:
    """Returns the features and the warnings as HTML, with redundancy if it was requested."""
    compared = any(feature.mrmr is not None for feature in ranking.features)
    heads = ["feature", ranking.unit, "95 % interval", "p", "q"]
    heads += ["shared", "with", "mrmr"] if compared else ["estimator"]
    rows = []
    for each in ranking.features:
        cells = [each.feature, f"{each.value:.3f}", _interval(each.ci_low, each.ci_high)]
        cells += [f"{each.p_value:.2g}", f"{each.q_value:.2g}"]
        if compared:
            shared = MISSING if each.redundancy is None else f"{each.redundancy:.3f}"
            cells += [shared, each.redundant_with or MISSING, str(each.mrmr or MISSING)]
        else:
            cells.append(each.estimator)
        rows.append(cells)
    title = f"<p>mutual information with {escape(ranking.target)}</p>"
    size = f"<p>{ranking.n:,} rows, {ranking.permutations:,} permutations</p>"
    parts = [title, _table(heads, rows), *_lists(ranking.warnings, ranking.notes), size]
    return f"<div>{''.join(parts)}</div>"


def _frame(rows: Iterable[dict[str, Any]]) -> Any:  # noqa: ANN401
    try:
        pandas = importlib.import_module("pandas")
    except ImportError as error:
        raise ConfigError("to_frame needs pandas; install it with: pip install pandas") from error
    return pandas.DataFrame(list(rows))


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a table whose cells may contain any text."""
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = (f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in cells)}</tr>" for cells in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def _lists(warnings: Sequence[str], notes: Sequence[str]) -> list[str]:
    """Returns lists of the warnings and notes, if there are any."""
    return [
        f"<p>{head}</p><ul>{''.join(f'<li>{escape(text)}</li>' for text in texts)}</ul>"
        for head, texts in (("Warnings", warnings), ("Notes", notes))
        if texts
    ]


def _interval(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return MISSING
    ends = (MISSING if end is None else f"{end:.3f}" for end in (low, high))
    return f"[{', '.join(ends)}]"
