"""Whatever a stranger hands over, a value comes of it or an error to mend: see `targets`.

`pytest -m slow -s tests/test_fuzz.py` gives the targets some 134,000 inputs. What fuzzing has
found stands in `test_hostile`, each as an input of its own.
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
from support.targets import TARGETS, Workshop, allowed, check_memory, seconds

LIMIT = 2.0  # seconds of an input
FEW = {  # inputs of every commit
    "config": 500,
    "overrides": 550,
    "corpus": 130,
    "tables": 300,
    "documents": 110,
    "weights": 90,
    "arrays": 90,
    "vocabulary": 110,
    "journal": 70,
    "pairs": 450,
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
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", lambda descriptor: None)  # no crash is waited for here
        yield Workshop(tmp_path_factory.mktemp("workshop"))


@pytest.mark.parametrize("name", TARGETS)
def test_what_a_stranger_hands_over_does_no_harm(
    workshop: Workshop, name: str, record_property: Callable[[str, object], None]
) -> None:
    record_property("inputs", fuzz(workshop, name, FEW[name]))


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_much_of_what_a_stranger_hands_over_does_no_harm(
    workshop: Workshop, name: str, record_property: Callable[[str, object], None]
) -> None:
    record_property("inputs", fuzz(workshop, name, MANY[name]))


def test_so_many_inputs_are_claimed() -> None:
    assert FEW.keys() == MANY.keys() == set(TARGETS)
    assert sum(FEW.values()) >= 2_000
    assert sum(MANY.values()) >= 100_000


def fuzz(workshop: Workshop, name: str, count: int) -> int:
    """Gives a target so many inputs, and returns how many it has had."""
    inputs, slowest = 0, 0.0

    @hypothesis.settings(
        max_examples=count,
        database=None,
        phases=[Phase.generate],  # to make an input shorter can take an hour
        suppress_health_check=list(HealthCheck),
    )
    @given(st.binary(min_size=4, max_size=24) | st.binary(min_size=24, max_size=200))
    def attempt(data: bytes) -> None:
        nonlocal inputs, slowest
        inputs += 1
        # else to collect what hypothesis keeps takes a second, now and then
        if inputs % 1_000 == 0:
            gc.collect()
            gc.freeze()
        taken = seconds(lambda: workshop(name, data))
        slowest = max(slowest, taken)
        assert taken < LIMIT

    workshop(name, b"")  # what is loaded but once counts for none
    workshop.values = 0
    started = time.monotonic()
    try:
        with check_memory():
            attempt()
    finally:
        gc.unfreeze()
    taken = time.monotonic() - started
    print(
        f"{name}: {inputs:,} inputs in {taken:.0f} s, {workshop.values:,} of them with a value; "
        f"the slowest took {slowest:.2f} s"
    )
    assert inputs >= count
    assert workshop.values > inputs / 100  # else every input would fail at the door
    return inputs


def test_what_is_sound_is_taken(workshop: Workshop) -> None:
    """And is so still, whatever was put in its place before."""
    for path in workshop.runs:
        run = RunDirectory.open(path)
        assert verify(run).sound
        assert run.load_model().latent_size == 2
        assert run.load_evaluation() == {"nll": 1.0, "rates": [0.5, 0.5]}
        assert resume_training(RunDirectory.open(path)).trainer.state.epoch == 1


@pytest.mark.parametrize("name", TARGETS)
def test_the_first_of_all_inputs_is_taken_or_refused_for_what_it_is(
    workshop: Workshop, name: str
) -> None:
    """An empty input is the simplest; the same input always does the same."""
    before = workshop.values
    workshop(name, b"")
    first = workshop.values - before
    workshop(name, b"")
    assert workshop.values - before == 2 * first


def test_a_workshop_notices_what_it_is_for(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
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
        np.zeros(2**29, np.uint8)[:: 2**10] = 1  # 512 MiB, each page of them
    with pytest.raises(AssertionError), check_memory():
        np.empty(2**32, np.uint8)  # 4 GiB that are asked for, and not used
    monkeypatch.setattr("support.targets.PATIENCE", 0.05)
    with pytest.raises(BaseException, match=r"no end after 0\.05 s"):
        seconds(lambda: time.sleep(5))
