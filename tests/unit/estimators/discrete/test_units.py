"""Labels and tables whose rows depend on each other: persons, files, stretches of time."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import digamma
from scipy.stats import norm

from mivae_cli.errors import DataError
from mivae_cli.estimators import estimate_mutual_information
from mivae_cli.estimators.discrete.estimates import discrete_estimates
from mivae_cli.estimators.discrete.ross import ross_terms
from mivae_cli.estimators.discrete.unit_labels import (
    ross_terms_across_units,
    unit_label_estimates,
    unit_ross,
)
from mivae_cli.estimators.discrete.unit_tables import unit_plug_in
from mivae_cli.estimators.pair_estimate import pair_estimate
from mivae_cli.estimators.permutation_tests import independence_p_value
from mivae_cli.estimators.rows import Rows
from mivae_cli.estimators.variables import Variable

Floats = NDArray[np.float64]
COUNT, BLOCK, SHARE = 1_000, 50, 0.95


def series(columns: int, seed: int, count: int = COUNT) -> Floats:
    """Returns independent normal series in which successive values have the correlation 0.95."""
    found = np.random.default_rng(seed).standard_normal((count, columns))
    for step in range(1, count):
        found[step] = SHARE * found[step - 1] + math.sqrt(1 - SHARE**2) * found[step]
    return found


def drawn(coupling: float, seed: int, columns: int = 2) -> tuple[Variable, Variable]:
    """Returns series, and whether the first, mixed with another one, is positive."""
    both = series(columns + 1, seed)
    mixed = coupling * both[:, 0] + math.sqrt(1 - coupling**2) * both[:, -1]
    x = Variable.of("x", torch.from_numpy(both[:, :columns].copy()))
    return x, Variable.of("label", codes=torch.from_numpy((mixed > 0).astype(np.int64)))


def persons(
    seed: int, dependent: bool, count: int = 100, each: int = 10
) -> tuple[Variable, Variable, Rows]:
    """Returns some measurements of some persons, with one label for each person."""
    random = np.random.default_rng(seed)
    person = np.repeat(np.arange(count), each)
    label = random.integers(2, size=count)
    trait = random.standard_normal((count, 2)) + (2 * label[:, None] if dependent else 0)
    x = trait[person] + 0.05 * random.standard_normal((count * each, 2))
    codes = torch.from_numpy(label[person])
    rows = Rows.by_group(person)
    return Variable.of("x", torch.from_numpy(x)), Variable.of("label", codes=codes), rows


def information(coupling: float) -> float:
    """Returns I(x; sign of the mixture) by integration over x."""
    x = np.linspace(-7, 7, 4_001)
    share = norm.cdf(coupling * x / math.sqrt(1 - coupling**2)).clip(1e-12, 1 - 1e-12)
    lost = -(share * np.log(share) + (1 - share) * np.log(1 - share))
    return math.log(2) - float(np.average(lost, weights=norm.pdf(x)))


def test_neighbours_of_single_rows_are_those_of_all_other_rows() -> None:
    random = np.random.default_rng(0)
    x, label = torch.from_numpy(random.standard_normal((80, 1))), torch.arange(80) % 3
    found = ross_terms_across_units(x, label, 3, Rows.by_group(np.arange(80)), torch.arange(80))
    assert found.numpy() == pytest.approx(ross_terms(x, label, 3).numpy(), abs=1e-12)


@pytest.mark.parametrize("kind", ["groups", "blocks"])
def test_neighbours_come_from_other_units(kind: str) -> None:
    random = np.random.default_rng(1)
    x, label = random.standard_normal((60, 2)), np.arange(60) % 7 % 2
    place = np.arange(60)
    far = np.abs(place[:, None] - place) > 5 if kind == "blocks" else place[:, None] // 5 != (
        place // 5
    )  # fmt: skip
    rows = Rows.by_blocks(60, 5) if kind == "blocks" else Rows.by_group(place // 5)
    expected = []
    for row in range(60):
        apart = np.abs(x - x[row]).max(axis=1)
        same = np.sort(apart[far[row] & (label == label[row])])
        closer = int((apart[far[row]] < same[1]).sum()) + 1
        sizes = int(far[row].sum()) + 1, len(same) + 1, closer
        expected.append(digamma(2) + digamma(sizes[0]) - digamma(sizes[1]) - digamma(sizes[2]))
    shuffled = torch.from_numpy(random.permutation(60))
    found = ross_terms_across_units(
        torch.from_numpy(x)[shuffled],
        torch.from_numpy(label)[shuffled],
        2,
        rows.take(shuffled),
        shuffled,
    )
    assert found.numpy() == pytest.approx(np.array(expected)[shuffled.numpy()], abs=1e-12)


def test_labels_without_rows_in_other_units_are_left_out() -> None:
    x, rows = torch.randn(40, 1), Rows.by_group(np.arange(40) // 4)
    label = (torch.arange(40) < 4).long()
    found = ross_terms_across_units(x, label, 3, rows, torch.arange(40))
    assert len(found) == 36
    with pytest.raises(DataError, match="other units"):
        ross_terms_across_units(x, torch.arange(40) // 4, 3, rows, torch.arange(40))


def test_independent_series_carry_nothing() -> None:
    rows = Rows.by_blocks(COUNT, BLOCK)
    for seed in range(3):
        x, label = drawn(0.0, seed)
        for estimate in unit_label_estimates(
            x.continuous, label.joint_code(), rows, seed=seed
        ).estimates[:2]:
            assert estimate.ci_low is not None
            assert estimate.ci_low < 0.01
            assert estimate.value < 0.08


def test_dependent_series_have_their_information() -> None:
    rows, values, truth = Rows.by_blocks(COUNT, BLOCK), [], information(0.9)
    for seed in range(3):
        x, label = drawn(0.9, seed)
        found = unit_label_estimates(x.continuous, label.joint_code(), rows, seed=seed)
        best = found.recommended
        assert best.ci_low is not None
        assert best.ci_high is not None
        assert best.ci_high - best.ci_low > 0.1  # twenty blocks
        values.append(best.value)
    assert np.mean(values) == pytest.approx(truth, abs=0.14)


@pytest.mark.parametrize("dependent", [False, True])
def test_labels_of_persons(dependent: bool) -> None:
    x, label, rows = persons(0, dependent)
    found = discrete_estimates(x, label, rows=rows)
    assert found.recommended.ci_low is not None
    assert (found.recommended.ci_low > 0) == dependent
    # rows of a person are neighbours and share their label
    alone = discrete_estimates(x, label).recommended
    assert dependent or (alone.ci_low is not None and alone.ci_low > 0)
    p_value = independence_p_value(x, label, rows, 19, seed=0)
    assert (p_value == 1 / 20) == dependent


def test_p_values_of_independent_series_are_not_small() -> None:
    rows = Rows.by_blocks(COUNT, BLOCK)
    p_values = [independence_p_value(*drawn(0.0, seed), rows, 19, seed) for seed in range(20)]
    assert sum(p <= 0.1 for p in p_values) <= 5
    assert sum(p > 0.5 for p in p_values) >= 5
    wrong = [
        independence_p_value(*drawn(0.0, seed), Rows.independent(COUNT), 19, seed)
        for seed in range(5)
    ]
    assert max(wrong) == 0.05


def test_tables_of_series() -> None:
    rows = Rows.by_blocks(COUNT, BLOCK)
    for seed in range(5):
        codes = torch.from_numpy((series(2, seed) > [[0, 0.5]]).astype(np.int64))
        found = unit_plug_in(codes[:, 0], codes[:, 1], rows, seed=seed)
        assert found.ci_low == 0
        assert found.value < 0.05
        same = unit_plug_in(codes[:, 0], 1 - codes[:, 0], rows, seed=seed)
        assert same.ceiling == pytest.approx(same.value, abs=0.01)


def test_tables_of_single_rows_are_those_of_independent_rows() -> None:
    random = np.random.default_rng(0)
    x = random.integers(3, size=2_000)
    z = np.where(random.random(2_000) < 0.6, x, random.integers(3, size=2_000))
    joint = np.full((3, 3), 0.4 / 9) + np.eye(3) * 0.6 / 3
    truth = float((joint * np.log(9 * joint)).sum())
    rows = Rows.by_group(np.arange(2_000))
    found = unit_plug_in(torch.from_numpy(x), torch.from_numpy(z), rows)
    assert found.value == pytest.approx(truth, abs=0.04)


def test_features_are_ranked_by_neighbours_of_other_persons() -> None:
    x, label, rows = persons(1, False)
    assert pair_estimate(x, label, rows).value < 0.08 < pair_estimate(x, label).value
    found = unit_ross(x.continuous, label.joint_code(), rows)
    assert found.ci_low is not None
    assert found.ci_low < 0
    sign = Variable.of("x", codes=(x.continuous[:, 0] > 0).long())
    assert pair_estimate(sign, label, rows).estimator == "plug-in"


def test_levels_beside_numbers_count_as_numbers() -> None:
    x, label, rows = persons(2, True)
    mixed = Variable(x.continuous, label.codes, "x", ("a", "b", "c"))
    with pytest.raises(DataError, match="--discrete none"):
        discrete_estimates(mixed, label, rows=rows)


@pytest.mark.usefixtures("brief")
def test_the_entry_point_knows_units() -> None:
    x, label, rows = persons(3, False, count=60, each=5)
    codes = ["ab"[code] for code in label.joint_code().tolist()]
    numbers, person = x.continuous.numpy(), rows.unit.numpy()
    report = estimate_mutual_information(numbers, codes, groups=person, permutations=19)
    assert report.recommended is not None
    assert report.recommended.estimator == "corrected-ross"
    assert report.recommended.ci_low == 0
    assert report.p_value is not None
    assert report.p_value > 0.05
    both: Any = {"number": numbers[:, 0], "letter": codes}
    report = estimate_mutual_information(both, numbers, groups=person)
    assert any("count as the numbers" in note and "--given" in note for note in report.notes)
