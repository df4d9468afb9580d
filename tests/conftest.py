"""Every test starts from the same seed, on one thread, with a cache of its own."""

from pathlib import Path

import hypothesis
import pytest
import torch
from program import Mivae

from mivae_cli.estimators.fitting import PROFILES

torch.set_num_threads(1)  # tiny tensors: more threads only wait for each other
hypothesis.settings.register_profile("mivae", deadline=None, derandomize=True)
hypothesis.settings.load_profile("mivae")


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def private_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIVAE_CACHE", str(cache))


@pytest.fixture
def mivae(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Mivae:
    """Fits critics for a moment only, and has room for tables."""
    monkeypatch.setitem(PROFILES, "default", PROFILES["quick"])
    monkeypatch.setenv("COLUMNS", "200")
    return Mivae(capsys, monkeypatch)
