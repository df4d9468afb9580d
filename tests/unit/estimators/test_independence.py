"""The permutation test of independence of all pairs."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mivae_cli.estimators.permutation_tests import independence_p_value
from mivae_cli.estimators.rows import Rows
from mivae_cli.estimators.variables import Variable

Floats = NDArray[np.float64]


def p_value(x: Floats, z: Floats, seed: int) -> float:
    of_x, of_z = (Variable.of("", torch.from_numpy(side)) for side in (x, z))
    return independence_p_value(of_x, of_z, Rows.independent(len(x)), 19, seed)


@pytest.mark.parametrize("columns", [1, 3])
def test_p_values_are_uniform_under_independence(columns: int) -> None:
    """Heavy tails, which break tests that rely on moments."""
    found = []
    for seed in range(200):
        x, z = np.random.default_rng(seed).standard_cauchy((2, 60, columns))
        found.append(p_value(x, z, seed))
    shares = [np.mean(np.array(found) <= level) for level in (0.1, 0.5)]
    assert shares == pytest.approx([0.1, 0.5], abs=0.11)  # three standard errors of 0.5


@pytest.mark.parametrize(
    "of_x",
    [
        lambda x: np.abs(x[:, :1]),
        lambda x: x[:, :1] * x[:, 1:],  # independent of each column alone
        lambda x: np.sign(x[:, :1] * x[:, 1:]),
    ],
)
def test_dependence_without_correlation_is_found(
    of_x: Callable[[Floats], Floats],
) -> None:
    random = np.random.default_rng(1)
    x = random.standard_normal((300, 2))
    z = of_x(x) + random.standard_normal((300, 1))
    assert p_value(x, z, 0) == pytest.approx(1 / 20)
