"""Every test starts from the same seed, on one thread, with a cache of its own."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import hypothesis
import pytest
import torch

from mivae_cli.choices import Profile
from mivae_cli.estimators.critic_training import PROFILES, Plan
from support.program import Mivae

# Whoever finds it set when the console is made keeps that width, whatever a test sets.
os.environ.pop("COLUMNS", None)
torch.set_num_threads(1)  # tiny tensors: more threads only wait for each other
hypothesis.settings.register_profile(
    "mivae",
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],  # which a busy machine makes it
)
hypothesis.settings.load_profile("mivae")


@pytest.fixture(autouse=True)
def seed() -> Iterator[None]:
    torch.manual_seed(0)
    yield
    torch.set_flush_denormal(False)  # which the program sets for its own process


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session", autouse=True)  # before what a module trains once for all
def private_cache(cache: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MIVAE_CACHE", str(cache))
        yield


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fits every critic for a moment only: what it finds is a lower bound all the same."""
    for profile in get_args(Profile):
        monkeypatch.setitem(PROFILES, profile, Plan(steps=100, hidden=16, batch=128, patience=1))


@pytest.fixture
def mivae(
    brief: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Mivae:
    """The program, with little to wait for and room for tables."""
    monkeypatch.setenv("COLUMNS", "200")
    return Mivae(capsys, monkeypatch)
