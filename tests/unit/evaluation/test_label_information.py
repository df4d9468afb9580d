"""The information of labels and draws of z from known posteriors."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mivae_cli.choices import Discrete
from mivae_cli.data.token_store import TokenStore
from mivae_cli.errors import ConfigError, DataError
from mivae_cli.estimators.io.data_frames import frame_of
from mivae_cli.evaluation import label_information
from mivae_cli.evaluation.label_information import label_report
from mivae_cli.models.latent import DiagonalGaussian

ROWS = 600
LABEL = torch.arange(ROWS) % 2
STORE = TokenStore(np.zeros(1, np.int64), np.zeros(2, np.int64))
MODEL: Any = None


@pytest.fixture(autouse=True)
def known(brief: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Posteriors whose means are the label and whose scale is 0.5, in one of two units."""
    mean = torch.stack([LABEL.float(), torch.zeros(ROWS)], dim=1)
    scale = torch.full((ROWS, 2), 0.5)
    posterior = DiagonalGaussian(mean, scale.log())
    monkeypatch.setattr(label_information, "posteriors", lambda model, store: posterior)


def truth() -> float:
    """Returns the information of the label and a normal around it, by integration."""
    z = torch.linspace(-3, 4, 20_001, dtype=torch.float64)
    logs = torch.stack([-((z - mean) ** 2) / 0.5 for mean in (0.0, 1.0)])
    densities = logs.exp() / math.sqrt(0.5 * math.pi)
    mixed = densities.mean(dim=0)
    ratios = torch.where(densities > 0, (densities / mixed).log(), 0)
    return float(torch.trapezoid((densities * ratios).mean(dim=0), z))


def test_a_draw_of_z_tells_less_than_its_mean() -> None:
    report = label_report(MODEL, STORE, frame_of(LABEL.numpy(), "labels"), permutations=19)
    best = report.recommended
    assert best is not None
    assert best.value == pytest.approx(truth(), abs=0.06)
    assert best.value < math.log(2) - 0.1
    assert report.estimates[0].ceiling == pytest.approx(math.log(2), abs=0.01)
    assert report.p_value == 1 / 20
    assert any("draw" in note for note in report.notes)


def test_the_seed_determines_the_draws() -> None:
    labels = frame_of([f"{label}" for label in LABEL.tolist()], "labels")
    values = [
        label_report(MODEL, STORE, labels, seed=seed).estimates[1].value for seed in (0, 0, 1)
    ]
    assert values[0] == values[1] != values[2]


@pytest.mark.parametrize(
    ("values", "discrete", "kind"),
    [
        (LABEL.numpy() * 100_000, "auto", "labels"),  # such as numbers of topics
        (LABEL.numpy() + np.arange(ROWS) % 3 / 2, "auto", "labels"),  # half stars
        (LABEL.numpy() + np.arange(ROWS) / ROWS, "auto", "numbers"),
        (LABEL.numpy() + np.arange(ROWS) % 60, "none", "numbers"),
    ],
)
def test_fractions_of_many_values_are_numbers(
    values: NDArray[Any], discrete: Discrete, kind: str
) -> None:
    report = label_report(MODEL, STORE, frame_of(values, "labels"), discrete=discrete)
    names = {estimate.estimator for estimate in report.estimates}
    assert ("classifier" in names) == (kind == "labels")


def test_missing_labels_and_wrong_choices_are_named() -> None:
    values = [None if place == 7 else "ab"[label] for place, label in enumerate(LABEL.tolist())]
    with pytest.raises(DataError, match="row 8"):
        label_report(MODEL, STORE, frame_of(values, "labels"))
    report = label_report(MODEL, STORE, frame_of(values, "labels"), drop_missing=True)
    assert report.n == ROWS - 1
    with pytest.raises(ConfigError, match="auto, x or none"):
        label_report(MODEL, STORE, frame_of(values, "labels"), discrete="both")
    with pytest.raises(DataError, match="2 columns"):
        label_report(MODEL, STORE, frame_of(np.ones((ROWS, 2)), "labels"))
    with pytest.raises(DataError, match="constant"):
        label_report(MODEL, STORE, frame_of(np.ones(ROWS), "labels"))
