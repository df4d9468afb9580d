"""Every test starts from the same seed, on one thread; the tests have a cache of their own."""

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import torch

from mivae_cli.reports import run_report
from support.program import Mivae, shorten_critics

# rich reads it once, when a console is made; tests set it later
os.environ.pop("COLUMNS", None)
torch.set_num_threads(1)  # tensors are tiny
hypothesis.settings.register_profile(
    "mivae",
    deadline=None,
    derandomize=True,
    max_examples=50,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],  # a busy machine is slow
)
hypothesis.settings.load_profile("mivae")


@pytest.fixture(autouse=True)
def seed() -> Iterator[None]:
    torch.manual_seed(0)
    yield
    torch.set_flush_denormal(False)  # set by the program


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session", autouse=True)
def private_cache(cache: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MIVAE_CACHE", str(cache))
        yield


@pytest.fixture(scope="session", autouse=True)
def without_reports() -> Iterator[None]:
    """Trainings end without a report, which would take seconds."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(run_report, "installed", lambda: False)
        yield


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trains critics for a few steps only, and tries few mixtures."""
    shorten_critics(monkeypatch)


@pytest.fixture
def mivae(
    brief: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Mivae:
    """The program with short critic training and wide tables."""
    monkeypatch.setenv("COLUMNS", "200")
    return Mivae(capsys, monkeypatch)
