"""The public names of `mivae_cli.estimators`: importable, documented, with examples that run."""

import doctest
import inspect
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike

from mivae_cli import estimators
from mivae_cli.errors import ConfigError, DataError
from mivae_cli.estimators import Estimate, gaussian, gaussian_copula, ksg
from mivae_cli.estimators.io.data_frames import frame_of

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(80, 2))
Z = X[:, 0] + RANDOM.normal(size=80)
ESTIMATORS = [gaussian, gaussian_copula, ksg]


@pytest.mark.parametrize("name", ["", *estimators.__all__])
def test_every_public_name_has_an_example_that_runs(name: str) -> None:
    found = getattr(estimators, name) if name else estimators
    module = found if isinstance(found, ModuleType) else import_module(found.__module__)
    example = doctest.DocTestParser().get_doctest(
        inspect.getdoc(found) or "", dict(vars(module)), name, None, None
    )
    assert example.examples
    runner = doctest.DocTestRunner(verbose=False)
    runner.run(example)
    assert runner.failures == 0


@pytest.mark.parametrize("name", estimators.__all__)
def test_functions_document_arguments_unit_errors_and_source(name: str) -> None:
    found = getattr(estimators, name)
    if not inspect.isfunction(found):
        return
    text = inspect.getdoc(found) or ""
    assert all(f"{argument}: " in text for argument in inspect.signature(found).parameters)
    for part in (".. math::", "shape (N", "nats", "Raises:", "References:"):
        assert part in text


def test_importing_the_modules_of_estimators_keeps_the_functions() -> None:
    code = """
import sys
from mivae_cli import estimators
assert "torch" not in sys.modules
from mivae_cli.estimators import estimate, estimator_suite, gaussian_estimators
assert callable(estimators.ksg) and callable(estimators.gaussian_copula)
assert callable(estimators.bounds.dual) and callable(estimators.samplers.UniformNoise)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


class PandasLike:
    """The part of the interface of a pandas data frame that is used."""

    def __init__(self, columns: dict[str, Any]) -> None:
        self.columns = list(columns)
        self.items = columns.items

    def __array__(self, dtype: object = None, copy: bool | None = None) -> Any:  # noqa: ANN401
        raise AssertionError("columns of different types would become Python objects")


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(
    "convert",
    [
        lambda x: x.tolist(),
        torch.tensor,
        lambda x: pytest.importorskip("pyarrow").table({"a": x[:, 0], "b": x[:, 1]}),
        lambda x: PandasLike({"a": x[:, 0], "b": x[:, 1]}),
    ],
    ids=["lists", "tensor", "arrow", "pandas"],
)
def test_samples_of_every_kind_give_the_same_estimate(
    estimator: Callable[..., Estimate], convert: Callable[[Any], ArrayLike]
) -> None:
    expected, found = estimator(X, Z), estimator(convert(X), Z)
    assert (found.value, found.ci_low, found.ci_high) == (
        expected.value,
        expected.ci_low,
        expected.ci_high,
    )
    assert found.ci_low is not None
    assert found.ci_low < found.value


def test_columns_of_a_data_frame_may_have_different_types() -> None:
    frame: Any = PandasLike({"a": X[:, 0], "b": np.arange(80), "c": np.arange(80) % 2 == 0})
    assert frame_of(frame, "x").blocks[1].values[:, 0].tolist() == list(range(80))
    wrong: Any = PandasLike({"a": X[:, 0], "b": np.array(["q"] * 80)})
    with pytest.raises(DataError, match="x, column 'b'"):
        ksg(wrong, Z)


def test_estimates_repeat_the_warnings_about_the_samples() -> None:
    x = np.column_stack([X, np.ones(80)])
    for estimator in ESTIMATORS:
        assert "column 3" in estimator(x, Z).warnings[0]


def test_a_seed_chooses_the_pairs_of_ksg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mivae_cli.estimators.nearest_neighbours.MAX_PAIRS", 60)
    state = torch.get_rng_state()
    assert ksg(X, Z, seed=1).value == ksg(X, Z, seed=1).value != ksg(X, Z, seed=2).value
    assert torch.get_rng_state().equal(state)
    with pytest.raises(ConfigError, match="seed"):
        ksg(X, Z, seed=-1)
    for neighbours in (0, 80):
        with pytest.raises(ConfigError, match="neighbours"):
            ksg(X, Z, neighbours)
