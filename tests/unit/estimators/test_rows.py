"""Units of resampling: splits, folds, jackknife groups and permutations by whole units."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from mivae_cli.errors import ConfigError, DataError
from mivae_cli.estimators.estimate import estimate_mutual_information
from mivae_cli.estimators.gaussian_ratio import gaussian_interval
from mivae_cli.estimators.intervals import mean_interval
from mivae_cli.estimators.nearest_neighbours import ksg_estimate, ksg_terms, standardised
from mivae_cli.estimators.permutation_tests import independence_p_value
from mivae_cli.estimators.rows import Rows
from mivae_cli.estimators.score_matrix import score_summary
from mivae_cli.estimators.unit_neighbours import ksg_terms_across_units
from mivae_cli.estimators.variables import Variable

UNEQUAL = np.repeat(np.arange(30), np.arange(30) % 7 + 1)
KINDS = {
    "independent": Rows.independent(100),
    "groups": Rows.by_group(np.arange(100) % 25),
    "unequal": Rows.by_group(UNEQUAL),
    "blocks": Rows.by_blocks(100, 5),
}


@pytest.fixture(params=KINDS)
def rows(request: pytest.FixtureRequest) -> Rows:
    return KINDS[request.param]


def units_of(rows: Rows, chosen: Tensor) -> set[int]:
    return set(rows.unit[chosen].tolist())


def autoregressive(count: int, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Two independent series with the given correlation of successive values."""
    noise = np.random.default_rng(seed).standard_normal((2, count))
    series = np.zeros((2, count))
    for step in range(1, count):
        series[:, step] = share * series[:, step - 1] + noise[:, step]
    x, z = torch.from_numpy(series)
    return x[:, None], z[:, None]


def test_splits_and_folds_contain_each_row_once_and_no_unit_twice(rows: Rows) -> None:
    for parts in (rows.split(3, 20, 10), rows.folds(4, 3)):
        assert torch.cat(list(parts)).sort().values.tolist() == list(range(len(rows)))
        found = [units_of(rows, part) for part in parts]
        assert sum(map(len, found)) == rows.count
    assert [len(fold) for fold in rows.folds(4, 3)] == pytest.approx([len(rows) / 4] * 4, rel=0.3)
    train, valid, test = rows.split(3, 20, 10)
    assert len(test) <= 20
    assert min(len(units_of(rows, part)) for part in (train, valid, test)) >= 3 or not (
        rows.dependent
    )


def test_the_split_of_independent_rows_is_a_shuffle_by_the_seed() -> None:
    order = torch.randperm(100, generator=torch.Generator().manual_seed(5))
    train, valid, test = Rows.independent(100).split(5, 20, 10)
    assert torch.equal(torch.cat([test, valid, train]), order)


def test_each_unit_lies_in_one_jackknife_group(rows: Rows) -> None:
    groups = rows.jackknife_groups(5)
    assert set(groups.tolist()) == set(range(5))
    pairs = set(zip(rows.unit.tolist(), groups.tolist(), strict=True))
    assert len(pairs) == rows.count
    assert set(rows.jackknife_groups(1000).tolist()) == set(range(rows.count))


def test_equal_groups_change_places_as_wholes() -> None:
    rows = KINDS["groups"]
    order = rows.permutation(torch.Generator().manual_seed(0))
    assert sorted(order.tolist()) == list(range(100))
    received = rows.unit[order]
    assert all(len(units_of(rows, order[rows.unit == unit])) == 1 for unit in range(25))
    assert not torch.equal(received, rows.unit)
    for unit in range(25):  # rows keep their order inside a group
        assert order[rows.unit == unit].diff().tolist() == [25, 25, 25]


def test_unequal_groups_receive_rows_of_one_group_in_order() -> None:
    rows = KINDS["unequal"]
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        order = rows.permutation(generator)
        for unit in range(30):
            own = order[rows.unit == unit]
            assert len(units_of(rows, own)) == 1
            assert (own.diff() >= 0).all()


def test_series_are_shifted_by_at_least_a_block() -> None:
    rows, generator = KINDS["blocks"], torch.Generator().manual_seed(0)
    for _ in range(50):
        order = rows.permutation(generator)
        shift = int(order[0])
        assert torch.equal(order, (torch.arange(100) + shift) % 100)
        assert 5 <= shift <= 95


def test_too_few_units_and_missing_labels_are_rejected() -> None:
    with pytest.raises(DataError, match="groups"):
        Rows.by_group([0, 1] * 50)
    with pytest.raises(ConfigError, match="--blocks 10"):
        Rows.by_blocks(100, 20)
    with pytest.raises(DataError, match="row 3"):
        Rows.by_group(np.array(["a", "b", None, "c"], dtype=object))
    with pytest.raises(DataError, match="row 2"):
        Rows.by_group([1.0, math.nan, 3.0])
    assert Rows.by_group([f"person {i % 12}" for i in range(60)]).count == 12


def test_the_interval_of_a_mean_is_that_of_the_unit_means() -> None:
    terms = torch.randn(100, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rows = KINDS["groups"]
    means = terms.reshape(4, 25).mean(dim=0)
    margin = 2.0639 * float(means.std()) / 5  # Student's t with 24 degrees of freedom
    found = mean_interval(terms, rows)
    assert found.high - found.value == pytest.approx(margin, rel=1e-4)
    assert mean_interval(terms, Rows.independent(100)) == mean_interval(terms)


def test_pairs_of_the_same_unit_are_no_product_pairs() -> None:
    generator = torch.Generator().manual_seed(2)
    x, z = torch.randn(2, 100, 1, generator=generator, dtype=torch.float64)
    rows = KINDS["groups"]
    found = score_summary(lambda x, z: x @ z.T, x, z, rows=rows)
    scores = x @ z.T
    other = rows.unit[:, None] != rows.unit
    expected = torch.stack(
        [scores[other[:, column], column].exp().mean().log() for column in range(100)]
    )
    assert torch.allclose(found.scores.product, expected)
    group = int(found.groups[rows.unit == 4][0])
    assert torch.equal(found.groups[rows.unit == 4], torch.full((4,), group))
    kept = found.groups != group
    left, others = scores[kept][:, kept], other[kept][:, kept]
    expected = torch.stack(
        [row[near].exp().mean().log() for row, near in zip(left.T, others.T, strict=True)]
    )
    assert torch.allclose(found.without(group).product, expected)


def test_neighbours_across_units_equal_a_search_over_all_pairs() -> None:
    generator = torch.Generator().manual_seed(3)
    x, z = torch.randn(2, 100, 2, generator=generator, dtype=torch.float64)
    x = x[:, :1]
    for rows in (KINDS["groups"], Rows.by_blocks(100, 10), KINDS["independent"]):
        place = torch.arange(100)
        near = rows.unit[:, None] == rows.unit
        if rows.kind == "blocks":
            near = (place[:, None] - place).abs() <= 1
        apart = [
            (side[:, None] - side).abs().amax(dim=2).masked_fill(near, math.inf) for side in (x, z)
        ]
        radius = torch.maximum(*apart).sort(dim=1).values[:, 2]
        counts = [(side < radius[:, None]).sum(dim=1) for side in apart]
        expected = torch.digamma(torch.tensor(3.0).double()) + torch.digamma(
            (~near).sum(dim=1).double() + 1
        )
        expected = expected - sum(torch.digamma(count.double() + 1) for count in counts)
        found = ksg_terms_across_units(x, z, 3, rows, place)
        assert torch.allclose(found, expected)
    plain = ksg_terms(x, z, 3)  # standardises first
    both = standardised(torch.cat([x, z], dim=1))
    found = ksg_terms_across_units(both[:, :1], both[:, 1:], 3, KINDS["independent"], place)
    assert torch.allclose(found, plain)


def test_copies_of_rows_carry_no_information_once_they_are_groups() -> None:
    generator = torch.Generator().manual_seed(4)
    x, z = torch.randn(2, 200, 1, generator=generator, dtype=torch.float64)
    noise = 1e-4 * torch.randn(2, 2000, 1, generator=generator, dtype=torch.float64)
    x, z = x.repeat(10, 1) + noise[0], z.repeat(10, 1) + noise[1]
    rows = Rows.by_group(torch.arange(2000).numpy() % 200)
    wrong, found = ksg_estimate(x, z, 3, 0), ksg_estimate(x, z, 3, 0, rows=rows)
    assert wrong.value > 1.5
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert found.ci_low < 0 < found.ci_high < 0.5
    closed = gaussian_interval(x, z, rows)
    assert closed.low < 0 < closed.high
    sides = Variable.of("x", x), Variable.of("z", z)
    assert independence_p_value(*sides, rows, 50, seed=0) > 0.05
    assert independence_p_value(*sides, Rows.independent(2000), 50, seed=0) < 0.05


def test_intervals_of_a_series_are_wider_by_blocks() -> None:
    x, z = autoregressive(2000, 0.9, seed=6)
    plain, found = gaussian_interval(x, z), gaussian_interval(x, z, Rows.by_blocks(2000, 100))
    assert found.high - found.low > 2 * (plain.high - plain.low)
    assert found.low < 0 < found.high


def test_groups_and_blocks_reach_all_estimates() -> None:
    x, z = autoregressive(1000, 0.9, seed=7)
    estimate = partial(estimate_mutual_information, profile="quick", estimators=["copula", "ksg"])
    plain, blocked = estimate(x, z), estimate(x, z, blocks=50)
    grouped = estimate(x, z, groups=np.arange(1000) // 50)
    assert any("--blocks" in warning for warning in plain.warnings)
    assert blocked.warnings == grouped.warnings == []
    for report in (blocked, grouped):
        for narrow, wide in zip(plain.estimates, report.estimates, strict=True):
            assert None not in (narrow.ci_high, wide.ci_high)
            assert (wide.ci_high or 0) - wide.value > (narrow.ci_high or 0) - narrow.value
    with pytest.raises(ConfigError, match="both"):
        estimate(x, z, groups=np.arange(1000), blocks=10)
    with pytest.raises(DataError, match="900"):
        estimate(x, z, groups=np.arange(900))
