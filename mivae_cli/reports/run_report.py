"""The report that training writes into the directory of its run."""

__all__ = ["ReportOutcome", "installed", "write_run_report"]

import shlex
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ..config.run import RunConfig
from ..runs.directory import REPORT, RunDirectory
from ..stages import finish
from ..storage.files import atomic_file

PACKAGES = ("altair", "jinja2", "vl_convert")  # of the extra `report`


@dataclass(frozen=True)
class ReportOutcome:
    """The report of a run that has ended, or why there is none."""

    path: Path | None = None
    problem: str = ""  # empty if no report was wanted


def installed() -> bool:
    """Returns whether the packages of reports are installed, without importing them."""
    return all(find_spec(name) is not None for name in PACKAGES)


def write_run_report(run: RunDirectory, config: RunConfig) -> ReportOutcome:
    """Writes `report.html` into a run, unless its settings or missing packages prevent it.

    A failure is returned, not raised: training has ended and its results are stored.
    """
    if not (config.training.report and installed()):
        return ReportOutcome()
    path = run.path / REPORT
    try:
        from .contents import collect_report
        from .figures import figures_of
        from .page import page_html

        found = finish(collect_report([run.path]))
        page = page_html(found, figures_of(found))
        with run.writing(), atomic_file(path) as draft:
            draft.write_text(page, encoding="utf-8")
    except Exception as error:  # noqa: BLE001  # whatever fails, the training has not
        reason = " ".join(str(error).split()) or type(error).__name__
        return ReportOutcome(
            problem=f"no report was written: {reason}. "
            f"To try again: mivae report {shlex.quote(str(run.path))}"
        )
    return ReportOutcome(path)
