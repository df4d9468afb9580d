"""Output of 'estimate-mi': a report as a table, as JSON and as a figure; the list of demos."""

__all__ = ["show_demos", "show_report"]

from dataclasses import asdict
from pathlib import Path

from ...estimators import Report
from ...estimators.report_views import conditional_title
from .console import note, print_json, stdout
from .tables import demos_table, estimates_table


def show_report(
    report: Report, title: str, truth: float | None, plot: Path | None, as_json: bool
) -> None:
    """Prints a report as JSON or as a table, and draws a figure if a path is given.

    Raises:
        ConfigError: The figure cannot be drawn.
    """
    if report.given:
        title += f": {conditional_title(report.given)}"
    if plot is not None:
        from ...reports.charts.estimates import draw_estimates

        best = report.recommended.estimator if report.recommended else None
        draw_estimates(report.estimates, plot, truth, title, best)
        note(f"figure: {plot}")
    if as_json:
        print_json(asdict(report) | ({} if truth is None else {"truth": truth}), indent=2)
    else:
        stdout.print(estimates_table(report, title, truth))


def show_demos() -> None:
    """Prints the demo distributions."""
    from ...estimators.samplers import DESCRIPTIONS, SAMPLERS

    rows = [(name, s.x_dim, s.z_dim, s.mutual_information) for name, s in SAMPLERS.items()]
    stdout.print(demos_table(rows, DESCRIPTIONS))
