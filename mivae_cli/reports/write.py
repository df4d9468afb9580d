"""Write a report: the page, its figures as files, and its contents as JSON."""

__all__ = ["check_page_path", "page_path", "report_json", "write_figures", "write_report"]

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ..errors import ConfigError, reason
from ..experiments.export import records
from ..experiments.status import find_runs
from ..runs.directory import REPORT
from ..storage.files import atomic_file
from ..storage.ownership import check_no_links
from ..storage.sealed_json import check_output
from .charts.units import FACET_WIDTH
from .export import require_charts, write_chart
from .figures import Figure, figures_of
from .page import page_html
from .records import ReportData

WIDTH, SMALL_WIDTH = 620, 320  # pixels of a figure


def page_path(runs: Sequence[Path], chosen: Path | None = None) -> Path:
    """Returns the checked path of a page: by default in its run, or for several runs outside.

    Raises:
        CheckpointError: There is no run at a path, or `report.html` in the run is a link.
        ConfigError: See `check_page_path`.
    """
    path = chosen
    if path is None:
        found = list(find_runs(runs).values())
        path = found[0] / REPORT if len(found) == 1 else Path(REPORT)
        if len(found) == 1:  # a run from elsewhere could replace any file
            check_no_links([path], [])
    check_page_path(path)
    return path


def check_page_path(path: Path) -> None:
    """Raises ConfigError unless a page can be written to a path, or if a package is missing."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"cannot write a report to '{path}'; choose an .html file")
    check_output(path)
    require_charts()


def write_report(data: ReportData, path: Path) -> None:
    """Writes the page of a report, which replaces an existing file.

    Raises:
        ConfigError: See `check_page_path`, or the file cannot be written.
    """
    check_page_path(path)
    page = page_html(data, figures_of(data))
    with atomic_file(path) as draft:
        draft.write_text(page, encoding="utf-8")


def write_figures(figures: Sequence[Figure], folder: Path, suffix: str) -> Iterator[Path]:
    """Draws the figures of a report into a folder, and yields their paths.

    Arguments:
        figures: The figures; one that can be coloured in several ways becomes several files.
        folder: The folder, which is created if it does not exist.
        suffix: `.png`, `.svg` or `.pdf`.

    Raises:
        ConfigError: The folder cannot be written, or a package is missing.
    """
    require_charts()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot write figures to '{folder}': {reason(error)}") from error
    for figure in figures:
        for name, chart in _versions(figure):
            path = folder / f"{name}{suffix}"
            write_chart(chart, path)
            yield path


def report_json(data: ReportData) -> dict[str, Any]:
    """Returns the contents of a report as JSON, without its figures."""
    compared = data.comparison
    table = asdict(replace(data, comparison=None))
    return table | {"comparison": None if compared is None else records(compared)}


def _versions(figure: Figure) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields the name and the chart of each way to colour a figure, with a width."""
    chart = dict(figure.chart)
    if "spec" in chart:
        chart["spec"] = {**chart["spec"], "width": FACET_WIDTH}
    else:
        chart["width"] = SMALL_WIDTH if figure.small else WIDTH
    if len(figure.colours) < 2:
        yield figure.key, chart
        return
    for name, colour in figure.colours.items():
        file = "".join(char if char.isalnum() else "-" for char in name)
        encoding = {**chart["encoding"], "color": colour}
        yield f"{figure.key}-{file}", {**chart, "encoding": encoding}
