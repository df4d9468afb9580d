"""Numbers of any magnitude give finite figures, which do not depend on their unit."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from mivae_cli.estimators import gaussian, gaussian_copula, ksg
from mivae_cli.estimators.io.checks import check_variables
from mivae_cli.estimators.io.magnitudes import steady

Column = NDArray[np.float64]
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=300)
Z = 0.8 * X + 0.6 * RANDOM.normal(size=300)  # 0.51 nats


@pytest.mark.parametrize("factor", [1e300, 1e-300, 1e160, 1e-160, 1e-307, 5e307 / abs(X).max()])
@pytest.mark.parametrize("estimator", [gaussian, gaussian_copula, ksg])
def test_the_unit_does_not_matter(estimator: Callable[..., object], factor: float) -> None:
    expected = estimator(X, Z).value  # type: ignore[attr-defined]
    for found in (
        estimator(X * factor, Z),
        estimator(X, Z * factor),
        estimator(X * factor, Z * factor),
    ):
        assert found.value == pytest.approx(expected, abs=1e-6)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "stretch",
    [
        lambda x: np.where(np.arange(len(x)) == 3, 1e160, x),
        lambda x: np.where(np.arange(len(x)) == 3, -1e308, x),
        lambda x: np.sign(x) * 10 ** (200 * np.abs(x) / np.abs(x).max()),
        lambda x: 10 ** (200 * x / np.abs(x).max()),
        lambda x: np.exp(40 * x),
        lambda x: np.where(np.arange(len(x)) % 2, x * 1e150, x * 1e-150),
        lambda x: x * 1e-300 + np.where(np.arange(len(x)) == 3, 1.0, 0.0),
    ],
    ids=["outlier", "largest", "signed-powers", "powers", "lognormal", "two-scales", "tiny"],
)
@pytest.mark.parametrize("estimator", [gaussian, gaussian_copula, ksg])
def test_unequal_magnitudes_cost_no_information(
    estimator: Callable[..., object], stretch: Callable[[Column], Column]
) -> None:
    found = estimator(stretch(X), Z)
    assert 0.2 < found.value < 0.65  # type: ignore[attr-defined]


def test_a_replaced_column_is_reported_and_keeps_its_order() -> None:
    x = np.column_stack([X, np.exp(40 * X)])
    found = check_variables(x, Z)
    (warning,) = found.warnings
    assert "x column 2" in warning
    np.testing.assert_array_equal(found.x.continuous[:, 0], X)
    assert found.x.continuous[:, 1].argsort().tolist() == X.argsort().tolist()


@pytest.mark.parametrize(
    "x",
    [X, X + 1e12, RANDOM.standard_cauchy(300), np.exp(3 * X), np.maximum(X, 0), X**7,
     RANDOM.standard_t(0.5, 300)],
)  # fmt: skip
def test_usual_columns_stay_as_they_are(x: Column) -> None:
    found, replaced = steady(x[:, None])
    assert replaced == []
    np.testing.assert_array_equal(found[:, 0], x)
