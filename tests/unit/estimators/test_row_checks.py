"""Warnings about autocorrelated and nearly repeated rows."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from mivae_cli.estimators.near_copies import near_copies
from mivae_cli.estimators.row_checks import check_rows, serial_dependence
from mivae_cli.estimators.rows import Rows
from mivae_cli.estimators.variables import Variable

Array = NDArray[np.float64]


def tensors(*arrays: Array) -> tuple[Tensor, Tensor]:
    x, z = (torch.from_numpy(np.ascontiguousarray(a.reshape(len(a), -1))).double() for a in arrays)
    return x, z


def variables(*arrays: Array) -> tuple[Variable, Variable]:
    x, z = tensors(*arrays)
    return Variable.of("x", x), Variable.of("z", z)


def series(share: float, random: np.random.Generator, count: int = 2000) -> Array:
    values = random.standard_normal(count)
    for step in range(1, count):
        values[step] += share * values[step - 1]
    return values


def copies(
    times: int, noise: tuple[float, float], random: np.random.Generator, count: int = 1000
) -> tuple[Array, Array]:
    x, z = np.repeat(random.standard_normal((2, count)), times, axis=1)
    errors = random.standard_normal((2, times * count))
    return x + noise[0] * errors[0], z + noise[1] * errors[1]


@pytest.mark.parametrize(
    ("share", "least", "most"), [(0.5, 3, 10), (0.9, 15, 60), (0.99, 80, 200)]
)
def test_autocorrelation_of_both_is_found_with_a_length_of_blocks(
    share: float, least: int, most: int
) -> None:
    for seed in range(3):
        random = np.random.default_rng(seed)
        x, z = series(share, random), series(share, random)
        found = serial_dependence(*tensors(x, z))
        assert found is not None
        assert found.x == pytest.approx(share, abs=0.1)
        assert found.z == pytest.approx(share, abs=0.1)
        assert least <= found.blocks <= most
        (warning,) = check_rows(*variables(x, z)).warnings
        assert f"--blocks {found.blocks} " in warning
        few = check_rows(*variables(x, z), Rows.by_blocks(2000, found.blocks)).warnings
        assert len(few) == (2000 // found.blocks < 20)
        shuffled = random.permutation(2000)
        assert check_rows(*variables(x[shuffled], z[shuffled])).warnings == []
        assert check_rows(*variables(x, random.standard_normal(2000))).warnings == []


def test_a_few_units_with_most_rows_cause_a_warning() -> None:
    x, z = variables(*np.random.default_rng(0).standard_normal((2, 1000)))
    unit = np.r_[np.repeat(np.arange(3), 200), np.arange(400)]
    (warning,) = check_rows(x, z, Rows.by_group(unit)).warnings
    assert " 8 " in warning  # 1000² / (3 · 200² + 400)
    assert check_rows(x, z, Rows.by_group(np.arange(1000) // 10)).warnings == []


def test_the_inflation_is_that_of_the_mean_of_products() -> None:
    random = np.random.default_rng(0)
    x, z = series(0.8, random, 50_000), series(0.8, random, 50_000)
    found = serial_dependence(*tensors(x, z))
    assert found is not None
    assert found.inflation == pytest.approx((1 + 0.64) / (1 - 0.64), rel=0.15)


def test_rows_sorted_by_a_label_are_not_autocorrelated() -> None:
    random = np.random.default_rng(1)
    label = np.sort(random.integers(5, size=2000))
    assert (
        check_rows(*variables(label + random.standard_normal(2000), label.astype(float))).warnings
        == []
    )
    person = np.repeat(random.standard_normal((2, 200)), 10, axis=1)  # may be more than a label
    response = person[1] + random.standard_normal(2000)
    (warning,) = check_rows(*variables(person[0], response)).warnings
    assert "--groups" in warning
    within = series(0.9, random)
    assert serial_dependence(*tensors(within, label.astype(float))) is None
    both = np.column_stack([label, series(0.9, random)])
    assert serial_dependence(*tensors(within, both)) is not None


def test_the_order_of_codes_means_nothing() -> None:
    random = np.random.default_rng(6)
    line = np.r_[0:100.0, 1000.0]
    assert near_copies(*tensors(line, -line)) is None
    by_appearance = Variable.of("x", codes=torch.arange(2000))
    assert check_rows(by_appearance, Variable.of("z", codes=torch.arange(2000))).warnings == []
    label = torch.from_numpy(np.repeat(random.permutation(8), 250))
    x = Variable.of("x", label + torch.from_numpy(random.standard_normal(2000)))
    assert check_rows(x, Variable.of("z", codes=label)).warnings == []
    changing = torch.from_numpy((series(0.9, random) > 0).astype(np.int64))
    (warning,) = check_rows(
        Variable.of("x", torch.from_numpy(series(0.9, random))), Variable.of("z", codes=changing)
    ).warnings
    assert "--blocks" in warning


@pytest.mark.parametrize("times", [2, 3, 10, 20])
@pytest.mark.parametrize("noise", [(1e-2, 1e-2), (1e-4, 1e-4), (1e-6, 1e-6), (0, 1e-3), (1e-3, 0)])
def test_near_copies_are_found(times: int, noise: tuple[float, float]) -> None:
    found = near_copies(*tensors(*copies(times, noise, np.random.default_rng(times))))
    assert found is not None


def test_the_number_of_copies_is_told_and_their_order_does_not_matter() -> None:
    random = np.random.default_rng(2)
    x, z = copies(5, (1e-4, 1e-4), random)
    shuffled = random.permutation(len(x))
    found = near_copies(*tensors(x[shuffled], z[shuffled]))
    assert found is not None
    assert found.copies == 5
    assert found.share > 0.9
    (warning,) = check_rows(*variables(x[shuffled], z[shuffled])).warnings
    assert "--groups" in warning
    unit = np.repeat(np.arange(1000), 5)[shuffled]
    assert check_rows(*variables(x[shuffled], z[shuffled]), Rows.by_group(unit)).warnings == []


def test_a_part_of_the_rows_may_have_copies_and_in_many_dimensions() -> None:
    random = np.random.default_rng(3)
    y = random.standard_normal((2000, 20))
    some = random.choice(2000, 400, replace=False)
    more = np.concatenate([y, y[some] + 1e-3 * random.standard_normal((400, 20))])
    assert near_copies(*tensors(more[:, :10], more[:, 10:])) is not None
    wide = np.repeat(random.standard_normal((200, 100)), 3, axis=0)
    wide += 1e-2 * random.standard_normal(wide.shape)
    assert near_copies(*tensors(wide[:, :50], wide[:, 50:])) is not None


def strong(random: np.random.Generator) -> tuple[Array, Array]:
    x = random.standard_normal(3000)
    return x, x + 0.01 * random.standard_normal(3000)


def function(random: np.random.Generator) -> tuple[Array, Array]:
    x = random.standard_normal(3000)
    return x, x * x


ORDINARY: dict[str, Callable[[np.random.Generator], Sequence[Array] | Array]] = {
    "normal": lambda r: r.standard_normal((2, 3000)),
    "strong": strong,
    "function": function,
    "cauchy": lambda r: r.standard_cauchy((2, 3000)),
    "lognormal": lambda r: np.exp(5 * r.standard_normal((2, 3000))),
    "clusters": lambda r: (
        r.standard_normal((2, 10))[:, r.integers(10, size=3000)]
        + 0.01 * r.standard_normal((2, 3000))
    ),
    "integers": lambda r: r.integers(10, size=(2, 3000)).astype(float),
    "rounded": lambda r: r.standard_normal((2, 3000)).round(2),
    "binary": lambda r: (r.integers(2, size=3000).astype(float), r.standard_normal(3000)),
    "zero-inflated": lambda r: (r.random((2, 3000)) < 0.5) * r.standard_normal((2, 3000)),
    "ten dimensions": lambda r: r.standard_normal((2, 1000, 10)),
    "even": lambda r: np.stack([np.r_[0:1000.0, 1e4], r.permutation(1001)]),
    "few": lambda r: r.standard_normal((2, 60)),
}


@pytest.mark.parametrize("kind", ORDINARY)
def test_ordinary_samples_cause_no_warning(kind: str) -> None:
    for seed in range(3):
        x, z = ORDINARY[kind](np.random.default_rng(seed))
        assert check_rows(*variables(x, z)).warnings == []
