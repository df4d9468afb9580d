"""Conditional information of rows that depend on each other: series and groups."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import digamma

from mivae_cli.errors import DataError
from mivae_cli.estimators import Report, estimate_mutual_information
from mivae_cli.estimators.conditional.across_units import (
    unit_neighbour_interval,
    unit_neighbour_terms,
)
from mivae_cli.estimators.conditional.estimate import conditional_report, independence_of
from mivae_cli.estimators.conditional.neighbours import neighbour_terms
from mivae_cli.estimators.conditional.samples import Part, Samples
from mivae_cli.estimators.rows import Rows
from mivae_cli.estimators.variables import Variable

Floats = NDArray[np.float64]
COUNT, BLOCK, SHARE = 1_000, 50, 0.95
ROWS = Rows.by_blocks(COUNT, BLOCK)


def series(number: int, seed: int) -> Floats:
    """Returns independent normal series in which successive values have the correlation 0.95."""
    found = np.random.default_rng(seed).standard_normal((number, COUNT))
    for step in range(1, COUNT):
        found[:, step] = SHARE * found[:, step - 1] + math.sqrt(1 - SHARE**2) * found[:, step]
    return found


def numeric(name: str, column: Floats) -> Variable:
    return Variable.of(name, torch.from_numpy(column))


def binary(name: str, column: NDArray[np.bool_]) -> Variable:
    return Variable.of(name, codes=torch.from_numpy(column.astype(np.int64)))


def caused(seed: int, rho: float = 0.0) -> tuple[Variable, Variable, Variable]:
    """Returns x and z with a common cause w, and the correlation rho given w."""
    w, own, other = series(3, seed)
    z = np.sin(2 * w) + rho * own + math.sqrt(1 - rho**2) * other
    return numeric("x", w + own), numeric("z", z), numeric("w", w)


def coded(seed: int) -> tuple[Variable, Variable, Variable]:
    """Returns binary x and z with a common binary cause w."""
    w, own, other = series(3, seed)
    level = w > 0
    x, z = level - 0.5 + own > 0, level - 0.5 + other > 0
    return binary("x", x), binary("z", z), binary("w", level)


def samples_of(x: Floats, z: Floats, w: Floats, code: NDArray[np.int64]) -> Samples:
    nothing = torch.zeros(len(x), dtype=torch.int64)
    left, right = (Part(torch.from_numpy(side), nothing) for side in (x, z))
    return Samples(left, right, Part(torch.from_numpy(w), torch.from_numpy(code)))


def test_neighbours_of_single_rows_are_those_of_all_other_rows() -> None:
    random = np.random.default_rng(0)
    x, z, w = random.standard_normal((3, 90, 1))
    samples = samples_of(x, z, w, random.integers(2, size=90))
    found = unit_neighbour_terms(samples, Rows.by_group(np.arange(90)), 3, torch.arange(90))
    assert found.numpy() == pytest.approx(neighbour_terms(samples, 3).numpy(), abs=1e-12)


@pytest.mark.parametrize("kind", ["groups", "blocks"])
def test_neighbours_come_from_other_units(kind: str) -> None:
    random = np.random.default_rng(1)
    x, z, w = random.standard_normal((3, 60, 1)).round(1)  # with ties
    code = random.integers(2, size=60)
    place = np.arange(60)
    if kind == "groups":
        rows, far = Rows.by_group(place // 5), place[:, None] // 5 != place // 5
    else:  # a tenth of a block of 6 rows is no row but the row itself
        rows, far = Rows.by_blocks(60, 6), place[:, None] != place
    apart = [np.abs(side - side.T) for side in (x, z, w)]
    same = code[:, None] == code
    expected = []
    for row in range(60):
        other = far[row] & same[row]
        joint = np.maximum.reduce([side[row] for side in apart])
        radius = np.sort(joint[other])[1]
        counts = []
        for used in ([0, 1, 2], [0, 2], [1, 2], [2]):
            near = np.maximum.reduce([apart[side][row] for side in used])
            inside = near == 0 if radius == 0 else near < radius
            counts.append(int((inside & other).sum()) + 1)
        within = counts[0] if radius == 0 else 2
        expected.append(
            digamma(within) - digamma(counts[1]) - digamma(counts[2]) + digamma(counts[3])
        )
    found = unit_neighbour_terms(samples_of(x, z, w, code), rows, 2, torch.arange(60))
    assert found.numpy() == pytest.approx(np.array(expected), abs=1e-12)


def test_levels_of_single_units_have_no_neighbours() -> None:
    x, z, w = np.random.default_rng(0).standard_normal((3, 60, 1))
    place = np.arange(60)
    rows = Rows.by_group(place // 5)
    found = unit_neighbour_terms(
        samples_of(x, z, w, (place < 5).astype(np.int64)), rows, 2, torch.arange(60)
    )
    assert found.isnan().tolist() == (place < 5).tolist()
    with pytest.raises(DataError, match="other units"):
        unit_neighbour_interval(samples_of(x, z, w, place // 5), rows, 2, seed=0)


def covered(report: Report, truth: float) -> bool:
    best = report.recommended
    assert best is not None
    assert best.ci_low is not None
    assert best.ci_high is not None
    return best.ci_low <= truth <= best.ci_high


def test_a_common_cause_explains_the_dependence_of_series() -> None:
    for seed in range(2):
        report = conditional_report(*caused(seed), rows=ROWS, seed=seed)
        assert [row.estimator for row in report.estimates] == ["mixture", "knn", "copula"]
        assert covered(report, 0.0)
        assert report.recommended is not None
        assert report.recommended.value < 0.03
        for row in report.estimates:
            assert abs(row.value) < 0.1
            assert row.ci_low is not None
            assert row.ci_low < 0


def test_what_a_common_cause_does_not_explain_remains() -> None:
    rho, values = 0.8, []
    for seed in range(2):
        report = conditional_report(*caused(seed, rho), rows=ROWS, seed=seed, permutations=19)
        assert report.p_value == 0.05
        assert report.recommended is not None
        values.append(report.recommended.value)
    assert np.mean(values) == pytest.approx(-0.5 * math.log(1 - rho**2), abs=0.15)


def test_p_values_of_independent_series_are_not_small() -> None:
    p_values = [independence_of(*caused(seed), 19, seed, ROWS) for seed in range(10)]
    assert sum(p <= 0.1 for p in p_values) <= 3
    assert sum(p > 0.5 for p in p_values) >= 2


def test_tables_of_series() -> None:
    for seed in range(3):
        report = conditional_report(*coded(seed), rows=ROWS, seed=seed)
        assert report.estimates[0].estimator == "plug-in"
        assert covered(report, 0.0)


def test_a_label_in_series_has_an_interval() -> None:
    x, _, w = caused(1)
    _, label, _ = coded(2)
    report = conditional_report(x, label, w, rows=ROWS)
    assert covered(report, 0.0)
    assert report.estimates[0].ci_high != report.estimates[0].ci_low


def test_the_entry_point_knows_units() -> None:
    x, z, w = (side.continuous.numpy() for side in caused(0))
    report = estimate_mutual_information(x, z, given=w, blocks=BLOCK)
    assert report.recommended is not None
    assert report.recommended.estimator == "mixture"
    person = np.arange(COUNT) // BLOCK
    report = estimate_mutual_information(x, z, given=w, groups=person)
    assert report.recommended is not None
    assert report.recommended.estimator == "mixture"
