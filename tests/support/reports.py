"""Contents of reports with known figures, without a run."""

import math
from typing import Any

from mivae_cli.estimators.report import Estimate
from mivae_cli.reports.records import (
    Changed,
    Fact,
    LatentMap,
    MapPoint,
    Passage,
    ReportData,
    RunContents,
    SettingRow,
    SplitSize,
    UnitDensity,
    Weighting,
)
from mivae_cli.storage.metrics_log import LoggedStep, LoggedValidation, Metrics

HOSTILE = "</script><script>window.hostile=1</script><img src=x onerror=window.hostile=2> & 'q\""


def validation(epoch: int, **changes: Any) -> LoggedValidation:  # noqa: ANN401
    """Returns figures of a validation: D = 30 - epoch, R = 5, MI = 4."""
    figures: dict[str, Any] = {
        "distortion": 30.0 - epoch,
        "rate": 5.0,
        "elbo": -(35.0 - epoch),
        "mi": 4.0,
        "mi_dual": 3.5,
        "active_units": 4,
        "units_above": 3,
        "effective_units": 2.5,
        "learning_rate": 0.001,
    }
    return LoggedValidation(step=10 * epoch, epoch=epoch, **{**figures, **changes})


def run_contents(name: str = "run", **changes: Any) -> RunContents:  # noqa: ANN401
    """Returns a complete run, with hostile text wherever a corpus or a model writes it."""
    z = (-1.0, 0.0, 1.0)
    words = (Changed(HOSTILE, True), Changed("word", False))
    passage = Passage("1", words, words)
    points = tuple(
        MapPoint(float(place), 0.0, HOSTILE, place + 1, 0.5 * place, HOSTILE if place else "b")
        for place in range(3)
    )
    complete: dict[str, Any] = {
        "path": f"runs/{name}",
        "standing": "evaluated",
        "summary": f"A text VAE {HOSTILE}.",
        "settings": (
            SettingRow("training.epochs", "6", "25"),
            SettingRow("data.train", f'"{HOSTILE}"', '""'),
        ),
        "splits": (SplitSize("train", 100, 900, 9, 1),),
        "sources": (HOSTILE,),
        "facts": (Fact("Device", HOSTILE),),
        "metrics": Metrics(
            tuple(LoggedStep(n, n / 10, log_xi=0.1 * n, rate=5.0) for n in range(1, 4)),
            (validation(1), validation(2, collapsed=True, best=True), validation(3)),
        ),
        "weights": (Weighting(0, 0.0, 1.0), Weighting(3, 1.0, 1.0)),
        "rates": (0.5, 0.01, 0.7, 0.0),
        "rate": 1.21,
        "aggregated_divergence": 0.2,
        "estimates": (
            Estimate("known posterior", 1.0, 0.9, 1.1, "lower", math.log(100), True),
            Estimate("leave-one-out", 1.2, 1.1, 1.3, "upper", None, True),
        ),
        "densities": (UnitDensity(3, 0.7, 0.05, z, (0.2, 0.4, 0.2), (0.24, 0.4, 0.24)),),
        "map": LatentMap("pca", ("First", "Second"), "a note", points, 3, HOSTILE),
        "reconstructions": (passage,),
        "interpolations": ((passage, passage),),
        "samples": (passage,),
    }
    return RunContents(name=name, **{**complete, **changes})


def report_data(*runs: RunContents) -> ReportData:
    """Returns a report on one run."""
    title = f"Report on {runs[0].name} {HOSTILE}"
    return ReportData(title, runs, None, "1.2.3", "2026-01-02 03:04 UTC")
