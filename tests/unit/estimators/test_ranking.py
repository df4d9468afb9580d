"""Rankings of features: estimates, p-values, false discoveries and redundancy."""

import json
import math
from dataclasses import asdict

import numpy as np
import pytest
import torch
from scipy.signal import lfilter
from scipy.stats import kstest

from mivae_cli.errors import ConfigError, DataError
from mivae_cli.estimators.pair_estimate import pair_estimate
from mivae_cli.estimators.permutation_tests import permutation_p_values
from mivae_cli.estimators.ranking import rank_features, rank_variables
from mivae_cli.estimators.rows import Rows
from mivae_cli.estimators.variables import Variable

RANDOM = np.random.default_rng(0)
N = 2000
TARGET = RANDOM.standard_normal(N)
COLUMNS = {
    "noise": RANDOM.standard_normal(N),
    "strong": 0.8 * TARGET + 0.6 * RANDOM.standard_normal(N),
    "scale": TARGET * RANDOM.standard_normal(N),
    "constant": np.ones(N),
}
COLUMNS["copy"] = COLUMNS["strong"] + 0.05 * RANDOM.standard_normal(N)
STRONG = -0.5 * math.log(0.36)


def numbers(name: str, *columns: np.ndarray) -> Variable:
    return Variable.of(name, torch.from_numpy(np.column_stack(columns)))


def features() -> Variable:
    codes = torch.from_numpy((TARGET > 0).astype(np.int64))
    table = torch.from_numpy(np.column_stack(list(COLUMNS.values())))
    return Variable.of("x", table, codes, [*COLUMNS, "sign"])


def test_features_are_ranked_with_intervals_and_q_values() -> None:
    found = rank_variables(features(), numbers("z", TARGET), permutations=300, redundancy=True)
    names = [each.feature for each in found.features]
    assert names[:4] == ["sign", "strong", "copy", "scale"]
    rank = {each.feature: each for each in found.features}
    for name, truth in (("strong", STRONG), ("scale", 0.420), ("sign", math.log(2))):
        low, high = rank[name].ci_low, rank[name].ci_high
        assert low is not None
        assert high is not None
        assert low - 0.02 < truth < high + 0.02
        assert rank[name].value == pytest.approx(truth, abs=0.08)
        assert rank[name].q_value < 1e-4
    assert rank["constant"].value == 0
    assert rank["constant"].q_value == 1
    assert rank["noise"].value < 0.03
    assert rank["noise"].p_value > 0.01
    assert rank["copy"].redundant_with == "strong"
    assert rank["copy"].redundancy is not None
    assert rank["copy"].redundancy > 1
    assert rank["copy"].mrmr is not None
    assert rank["scale"].mrmr is not None
    assert rank["scale"].mrmr < rank["copy"].mrmr
    assert sorted(each.mrmr or 0 for each in found.features) == list(range(1, 7))
    assert json.loads(json.dumps(asdict(found)))["features"][0]["feature"] == "sign"


def test_tables_with_labels_groups_and_gaps_are_ranked() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(COLUMNS)
    frame["colour"] = np.where(TARGET > 0.5, "red", "blue")
    frame.loc[3, "noise"] = np.nan
    groups = [f"person {row // 4}" for row in range(N)]
    found = rank_features(frame, TARGET, permutations=50, drop_missing=True, groups=groups, seed=1)
    assert {each.feature for each in found.features} == set(frame.columns)
    assert found.features[-1].feature == "constant"
    assert found.features[-1].estimator == "constant"
    assert found.n == N - 1
    shown = found.to_frame()
    assert list(shown["feature"]) == [each.feature for each in found.features]
    assert shown["value"].is_monotonic_decreasing


def test_yekutieli_is_never_less_strict() -> None:
    x, z = features(), numbers("z", TARGET)
    first = rank_variables(x, z, permutations=100)
    second = rank_variables(x, z, permutations=100, correction="by")
    for one, other in zip(first.features, second.features, strict=True):
        assert one.feature == other.feature
        assert other.q_value >= one.q_value


@pytest.mark.parametrize("kind", ["numbers", "labels", "groups", "blocks"])
def test_p_values_are_uniform_under_independence(kind: str) -> None:
    random = np.random.default_rng(4)
    count, number = 200, 300
    effects = np.repeat(random.standard_normal((20, number + 1)), 10, axis=0)
    noise = random.standard_normal((count, number + 1))
    rows = Rows.independent(count)
    if kind == "groups":
        noise = 2 * effects + noise
        rows = Rows.by_group(np.repeat(np.arange(20), 10))
    if kind == "blocks":
        noise = lfilter([1], [1, -0.8], random.standard_normal((1100, number + 1)), axis=0)[100:]
        rows = Rows.by_blocks(1000, 20)
    target = numbers("z", noise[:, -1])
    if kind == "labels":
        target = Variable.of("z", codes=torch.from_numpy((noise[:, -1] > 0.5).astype(np.int64)))
    parts = [numbers("x", column) for column in noise[:, :-1].T]
    p_values = permutation_p_values(parts, target, rows, 199, seed=0)
    assert kstest(p_values, "uniform").pvalue > 0.001
    if kind in ("groups", "blocks"):
        naive = permutation_p_values(parts, target, Rows.independent(len(noise)), 199, seed=0)
        assert (naive < 0.05).mean() > 0.2


def test_p_values_below_the_number_of_permutations_follow_the_tail() -> None:
    x = numbers("x", TARGET + 8 * RANDOM.standard_normal(N))
    (few,) = permutation_p_values([x], numbers("z", TARGET), Rows.independent(N), 200, seed=0)
    (many,) = permutation_p_values([x], numbers("z", TARGET), Rows.independent(N), 5000, seed=1)
    assert few < 0.01
    assert math.log(few) == pytest.approx(math.log(many), abs=2.5)


def test_dependent_rows_widen_intervals() -> None:
    random = np.random.default_rng(5)
    group = np.repeat(np.arange(100), 10)
    effect = random.standard_normal(100)[group]
    label = Variable.of("z", codes=torch.from_numpy((effect > 0).astype(np.int64)))
    for other in (
        numbers("x", effect + 0.3 * random.standard_normal(1000)),
        Variable.of("x", codes=torch.from_numpy((effect > 0.5).astype(np.int64))),
    ):
        plain, found = (
            pair_estimate(other, label),
            pair_estimate(other, label, Rows.by_group(group)),
        )
        assert found.ci_high is not None
        assert plain.ci_high is not None
        assert found.ci_high - found.value > 1.5 * (plain.ci_high - plain.value)


def test_unsuitable_targets_and_numbers_are_rejected() -> None:
    x = features()
    with pytest.raises(DataError, match="constant"):
        rank_variables(x, numbers("target", np.ones(N)))
    with pytest.raises(DataError, match="rows"):
        rank_variables(x, numbers("target", TARGET[:50]))
    with pytest.raises(ConfigError, match="permutations"):
        rank_variables(x, numbers("target", TARGET), permutations=0)
    with pytest.raises(DataError, match="--discrete"):
        rank_variables(x, x, permutations=5)
