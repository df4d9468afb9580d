"""Views of a report for notebooks: a data frame and a table in HTML.

Does not import torch or pandas.
"""

__all__ = ["conditional_title", "report_frame", "report_html"]

import importlib
from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, listing

if TYPE_CHECKING:
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
    try:
        pandas = importlib.import_module("pandas")
    except ImportError as error:
        raise ConfigError("to_frame needs pandas; install it with: pip install pandas") from error
    best = report.recommended.estimator if report.recommended else None
    rows = [
        asdict(estimate) | {"recommended": estimate.estimator == best}
        for estimate in report.estimates
    ]
    return pandas.DataFrame(rows)


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
    parts.append("<table><thead><tr>" + "".join(f"<th>{head}</th>" for head in heads))
    parts.append("</tr></thead><tbody>")
    for each in report.estimates:
        cells = (
            each.estimator,
            f"{each.value:.3f}",
            _interval(each.ci_low, each.ci_high),
            each.direction,
            MISSING if each.ceiling is None else f"{each.ceiling:.3f}",
        )
        parts.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    parts.append("</tbody></table>")
    if report.p_value is not None:
        parts.append(f"<p>p-value of independence: {report.p_value:.3g}</p>")
    remarks = [f"{each.estimator}: {text}" for each in report.estimates for text in each.warnings]
    for head, texts in (("Warnings", [*report.warnings, *remarks]), ("Notes", report.notes)):
        if texts:
            items = "".join(f"<li>{escape(text)}</li>" for text in texts)
            parts.append(f"<p>{head}</p><ul>{items}</ul>")
    dimensions = f"x: {MISSING if report.x_dim is None else report.x_dim}, z: {report.z_dim}"
    parts.append(f"<p>{report.n:,} rows; dimensions of {dimensions}</p>")
    return f"<div>{''.join(parts)}</div>"


def _interval(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return MISSING
    ends = (MISSING if end is None else f"{end:.3f}" for end in (low, high))
    return f"[{', '.join(ends)}]"
