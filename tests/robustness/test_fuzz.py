"""Fuzz the readers of untrusted files: see `support.targets`.

`pytest -m slow -s tests/robustness/test_fuzz.py` runs about 134,000 inputs. Inputs that once
failed are tests in `test_hostile`.
"""

import gc
import os
import time
from collections.abc import Callable, Iterator

import hypothesis
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import strategies as st

from mivae_cli.errors import DataError
from mivae_cli.experiments.train_run import resume_training
from mivae_cli.experiments.verify import verify
from mivae_cli.runs.directory import RunDirectory
from support.targets import TARGETS, FuzzTargets, allowed, check_memory, seconds

LIMIT = 2.0  # seconds per input
FEW = {  # inputs of each target in a normal test run
    "config": 450,
    "overrides": 400,
    "corpus": 130,
    "tables": 250,
    "documents": 60,
    "weights": 50,
    "arrays": 60,
    "vocabulary": 70,
    "journal": 50,
    "pairs": 500,
}
MANY = {
    "config": 20_000,
    "overrides": 30_000,
    "corpus": 6_000,
    "tables": 30_000,
    "documents": 4_000,
    "weights": 3_000,
    "arrays": 3_000,
    "vocabulary": 4_500,
    "journal": 1_500,
    "pairs": 32_000,
}


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FuzzTargets]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            os, "fsync", lambda descriptor: None
        )  # no test here depends on durable writes
        yield FuzzTargets(tmp_path_factory.mktemp("workshop"))


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_files_are_read_or_rejected(
    targets: FuzzTargets, name: str, record_property: Callable[[str, object], None]
) -> None:
    record_property("inputs", fuzz(targets, name, FEW[name]))


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_many_mutated_files_are_read_or_rejected(
    targets: FuzzTargets, name: str, record_property: Callable[[str, object], None]
) -> None:
    record_property("inputs", fuzz(targets, name, MANY[name]))


def test_the_documented_number_of_inputs() -> None:
    assert FEW.keys() == MANY.keys() == set(TARGETS)
    assert sum(FEW.values()) >= 2_000
    assert sum(MANY.values()) >= 100_000


def fuzz(targets: FuzzTargets, name: str, count: int) -> int:
    """Runs a target on at least `count` inputs, and returns their number."""
    inputs, slowest = 0, 0.0

    @hypothesis.settings(
        max_examples=count,
        database=None,
        phases=[Phase.generate],  # shrinking an input can take an hour
        suppress_health_check=list(HealthCheck),
    )
    @given(st.binary(min_size=4, max_size=24) | st.binary(min_size=24, max_size=200))
    def attempt(data: bytes) -> None:
        nonlocal inputs, slowest
        inputs += 1
        # otherwise a garbage collection takes about a second
        if inputs % 1_000 == 0:
            gc.collect()
            gc.freeze()
        taken = seconds(lambda: targets(name, data))
        slowest = max(slowest, taken)
        assert taken < LIMIT

    targets(name, b"")  # warm up
    targets.values = 0
    started = time.monotonic()
    try:
        with check_memory():
            attempt()
    finally:
        gc.unfreeze()
    taken = time.monotonic() - started
    print(
        f"{name}: {inputs:,} inputs in {taken:.0f} s, {targets.values:,} accepted; "
        f"the slowest took {slowest:.2f} s"
    )
    assert inputs >= count
    assert targets.values > inputs / 100  # otherwise inputs fail in the first check
    return inputs


def test_the_original_runs_are_valid(targets: FuzzTargets) -> None:
    """Also after other targets have changed and restored them."""
    for path in targets.runs:
        run = RunDirectory.open(path)
        assert verify(run).sound
        assert run.load_model().latent_size == 2
        assert run.load_evaluation()["rates"] == [0.5, 0.5]
        assert resume_training(RunDirectory.open(path)).trainer.state.epoch == 1


@pytest.mark.parametrize("name", TARGETS)
def test_targets_are_deterministic(targets: FuzzTargets, name: str) -> None:
    """The empty input makes the first choice everywhere."""
    before = targets.values
    targets(name, b"")
    first = targets.values - before
    targets(name, b"")
    assert targets.values - before == 2 * first


def test_targets_detect_failures(targets: FuzzTargets, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(error: BaseException) -> object:
        def attempt() -> None:
            raise DataError("it cannot be read") from error

        return allowed(attempt)

    assert refused(ValueError("odd")) is None
    with pytest.raises(AssertionError):
        refused(MemoryError())
    with pytest.raises(AssertionError):
        refused(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
    with pytest.raises(ValueError, match="not in tuple"):
        allowed(lambda: TARGETS.index("odd"))
    with pytest.raises(AssertionError), check_memory():
        np.zeros(2**29, np.uint8)[:: 2**10] = 1  # 512 MiB, all pages used
    with pytest.raises(AssertionError), check_memory():
        np.empty(2**32, np.uint8)  # 4 GiB reserved, not used
    monkeypatch.setattr("support.targets.TIMEOUT", 0.05)
    with pytest.raises(BaseException, match=r"timeout after 0\.05 s"):
        seconds(lambda: time.sleep(5))
