"""Arrays, lists and data frames: types, missing values, and rows that belong together."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from mivae_cli.errors import ConfigError, DataError
from mivae_cli.estimators.io.checks import Sample, check_variables

RANDOM = np.random.default_rng(0)
N = 100
Z = RANDOM.normal(size=N)
DIGITS = np.arange(N) % 5


def kind(x: Any, **options: Any) -> tuple[str, tuple[int, ...]]:  # noqa: ANN401
    """Returns the kind of x and the numbers of levels of its discrete columns."""
    found = check_variables(x, Z, **options).x
    return found.kind, found.levels


# --- which columns are discrete


@pytest.mark.parametrize(
    ("x", "levels"),
    [
        (DIGITS, (5,)),
        (DIGITS.astype(np.uint8), (5,)),
        (DIGITS.astype(float), (5,)),
        (DIGITS.tolist(), (5,)),
        (torch.tensor(DIGITS > 2), (2,)),
        (np.array(["a", "b"] * 50), (2,)),
        (np.array([b"a", b"b"] * 50), (2,)),
        (["a", "b"] * 50, (2,)),
        ([["a", 1], ["b", 2]] * 50, (2, 2)),
        ([True, False] * 50, (2,)),
        (np.eye(5)[DIGITS], (2, 2, 2, 2, 2)),
        ({"a": DIGITS, "b": ["u", "v"] * 50}, (5, 2)),
    ],
)
def test_labels_are_recognised(x: Any, levels: tuple[int, ...]) -> None:  # noqa: ANN401
    assert kind(x) == ("discrete", levels)


@pytest.mark.parametrize(
    "x",
    [
        Z,
        np.arange(N) % 11,  # about nine rows per level
        np.arange(N),
        DIGITS + 0.5,
        np.maximum(Z, 0),
        RANDOM.integers(0, 9, (N, 8)),  # few levels each, but many in combination
        RANDOM.random((N, 30)) > 0.5,
    ],
)
def test_numbers_are_recognised(x: Any) -> None:  # noqa: ANN401
    assert kind(x)[0] == "continuous"


def test_at_most_fifty_levels_are_discrete() -> None:
    for levels, expected in ((50, "discrete"), (51, "continuous")):
        found = check_variables(np.arange(2000) % levels, np.arange(2000.0))
        assert found.x.kind == expected


def test_a_column_with_a_spike_stays_continuous_and_is_reported() -> None:
    rain = np.where(RANDOM.random(N) < 0.4, 0.0, RANDOM.exponential(size=N))
    found = check_variables(rain, Z)
    assert found.x.kind == "continuous"
    (warning,) = found.warnings
    assert "value, such as 0 in" in warning


def test_the_option_overrides_the_types() -> None:
    labels = np.array(["a", "b"] * 50)
    assert kind(np.arange(N) % 30, discrete="x") == ("discrete", (30,))
    assert kind(np.round(Z, 1), discrete="both")[0] == "discrete"
    assert kind(DIGITS, discrete="none")[0] == kind(DIGITS, discrete="z")[0] == "continuous"
    assert kind(DIGITS > 2, discrete="none")[0] == "continuous"
    assert check_variables(DIGITS, labels, discrete="x").z.kind == "discrete"
    with pytest.raises(DataError, match=r"x contains strings.*--discrete"):
        kind(labels, discrete="none")
    with pytest.raises(ConfigError, match="'y'"):
        kind(Z, discrete="y")


def test_a_note_names_the_discrete_columns_and_the_option() -> None:
    found = check_variables({"a": Z, "b": DIGITS}, Z)
    (note,) = found.notes
    assert "'b' (5 levels)" in note
    assert "'a'" not in note
    assert "--discrete none" in note
    assert (found.x.kind, found.x.columns) == ("mixed", ("a", "b"))
    assert check_variables(DIGITS, Z, discrete="x").notes == []


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([1, "a"] * 50, "'a' in row 2.*--discrete x"),
        ([{}] * N, "neither"),
        ([1j] * N, "complex"),
        (Z * 1j, "complex"),
        (np.arange(N).astype("M8[D]"), "dates.*--discrete x"),
        (np.arange(N).astype("m8[s]"), "durations"),
        ([f"{value:.3f}" for value in Z], "strings, with"),
        ([[1.0, 2.0]] * 99 + [[1.0]], "x"),
        ([None] * N, "missing"),
        (3.0, "shape"),
        (None, "shape"),
        ({"a": Z, "b": Z[:9]}, "different lengths"),
    ],
)
def test_what_is_neither_number_nor_label_is_named(x: Any, message: str) -> None:  # noqa: ANN401
    with pytest.raises(DataError, match=message):
        check_variables(x, Z)


def test_dates_and_mixed_values_may_be_declared_as_labels() -> None:
    days = (np.arange(N) % 7).astype("M8[D]")
    assert kind(days, discrete="x") == ("discrete", (7,))
    assert kind([1, "a"] * 50, discrete="x") == ("discrete", (2,))


# --- exact numbers


@pytest.mark.parametrize(
    "x",
    [
        np.arange(N, dtype=np.uint64) + np.uint64(2**63),
        np.arange(N, dtype=np.int64) + np.iinfo(np.int64).min,
        [10**400 + i for i in range(N)],
        [Decimal(i) / 10**400 for i in range(N)],
        [Decimal(10**20) + i for i in range(N)],
        [Fraction(i, 3) + 2**70 for i in range(N)],
        [i if i % 2 else float(i) for i in range(N)],
    ],
)
def test_numbers_keep_their_order_and_distances(x: Any) -> None:  # noqa: ANN401
    found = check_variables(x, Z).x.continuous[:, 0]
    steps = found.diff()
    torch.testing.assert_close(steps / steps[0], torch.ones(N - 1).double())


def test_integers_over_the_whole_range_are_taken_if_they_stay_different() -> None:
    x = RANDOM.integers(0, 2**64 - 1, N, dtype=np.uint64)
    found = check_variables(x, Z).x.continuous[:, 0]
    assert found.argsort().tolist() == np.argsort(x).tolist()
    close = np.where(np.arange(N) % 2, np.uint64(0), np.uint64(2**63) + DIGITS.astype(np.uint64))
    wide = np.column_stack([close, RANDOM.permuted(np.arange(N)).astype(np.uint64)])
    with pytest.raises(DataError, match=r"x, column 1.*--discrete"):
        check_variables(wide, Z, discrete="none")
    assert kind(close) == ("discrete", (6,))


# --- shapes


def test_arrays_of_more_dimensions_are_flattened_with_a_note() -> None:
    images = RANDOM.normal(size=(N, 4, 2))
    found = check_variables(images, Z)
    np.testing.assert_array_equal(found.x.continuous, images.reshape(N, 8))
    assert "(N, 4, 2)" in found.notes[0]
    assert check_variables(torch.tensor(images), Z).x.continuous.shape == (N, 8)


def test_masked_and_absent_values_are_missing() -> None:
    masked = np.ma.masked_less(np.arange(float(N)), 10)
    absent = [None] * 10 + list(range(10, N))
    for x in (masked, masked.astype(int), absent, [float("nan")] * 10 + absent[10:]):
        with pytest.raises(DataError, match="--drop-missing"):
            check_variables(x, Z)
        found = check_variables(x, Z, drop_missing=True)
        assert found.x.continuous[:, 0].tolist() == list(range(10, N))
        assert found.rows.tolist() == list(range(10, N))


def test_too_few_rows_may_remain() -> None:
    with pytest.raises(DataError, match="49"):
        check_variables([None] * 51 + list(range(49)), Z, drop_missing=True)


# --- pandas and polars


def frame() -> Any:  # noqa: ANN401  # without types
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(
        {
            "number": Z,
            "integer": pandas.array(DIGITS, dtype="Int64"),
            "boolean": pandas.array(DIGITS > 2, dtype="boolean"),
            "string": pandas.array(np.where(DIGITS > 3, "u", "v"), dtype="string"),
            "object": ["u", "v"] * 50,
            "category": pandas.Categorical(DIGITS, categories=range(20)),
            "big": pandas.array(np.arange(N) + 2**60, dtype="UInt64"),
        }
    )


def test_types_of_pandas() -> None:
    found = check_variables(frame(), Z).x
    assert found.columns == (
        "number", "big", "integer", "boolean", "string", "object", "category"
    )  # fmt: skip
    assert found.levels == (5, 2, 2, 2, 5)
    assert found.continuous[:, 1].tolist() == list(range(N))


def test_missing_values_of_pandas() -> None:
    table = frame()
    table.loc[[3, 5], ["integer", "boolean", "string", "category", "big", "number"]] = None
    for name in table.columns.drop("object"):
        with pytest.raises(DataError, match=f"row 4, column '{name}'.*--drop-missing"):
            check_variables(table[name], Z)
        found = check_variables(table[name], Z, drop_missing=True)
        assert len(found) == N - 2
        assert found.warnings == [f"2 of {N} rows with missing values were dropped"]
    big = check_variables(table["big"], Z, drop_missing=True).x.continuous[:, 0]
    assert big.tolist() == [i for i in range(N) if i not in (3, 5)]


def both(x: Any, z: Any) -> Sample:  # noqa: ANN401
    return check_variables(x, z)


def test_rows_are_paired_by_label() -> None:
    table = frame()
    shuffled = table["number"].sample(frac=1, random_state=0)
    for found in (both(table[["number"]], shuffled), both(shuffled, table["number"])):
        torch.testing.assert_close(found.x.continuous, found.z.continuous)
        assert any("index" in note for note in found.notes)
    same = both(shuffled, shuffled.rename("other"))
    assert same.notes == []
    assert both(shuffled, Z).notes == []  # an array has no labels


@pytest.mark.parametrize("case", ["shifted", "fewer", "repeated"])
def test_rows_with_other_labels_are_never_paired(case: str) -> None:
    table = frame()["number"]
    other = table.copy()
    match case:
        case "shifted":
            other.index = other.index + 1
        case "fewer":
            other = other.iloc[:80]
        case "repeated":
            other.index = [0, *range(N - 1)]
    with pytest.raises(DataError, match="x and z have different indexes"):
        both(table, other)
    if case == "repeated":
        assert len(both(other, other)) == N


def test_types_of_polars() -> None:
    polars = pytest.importorskip("polars")
    table = polars.DataFrame(
        {"number": Z, "big": np.arange(N, dtype=np.uint64) + np.uint64(2**60),
         "integer": DIGITS, "boolean": DIGITS > 2, "string": ["u", "v"] * 50}
    )  # fmt: skip
    table = table.with_columns(polars.col("string").cast(polars.Categorical).alias("category"))
    found = check_variables(table, Z).x
    assert found.columns == ("number", "big", "integer", "boolean", "string", "category")
    assert found.levels == (5, 2, 2, 2)
    assert found.continuous[:, 1].tolist() == list(range(N))
    holes = polars.Series("a", [None, *range(2**60, 2**60 + N - 1)])
    assert check_variables(holes, Z, drop_missing=True).x.continuous[0, 0] == 0
