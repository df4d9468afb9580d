"""Devices: which there are, how many threads compute, and with how many digits."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mivae_cli import devices
from mivae_cli.choices import Precision
from mivae_cli.devices import (
    check_memory,
    reduced_precision,
    release_memory,
    resolve_device,
    tune_cpu,
)
from mivae_cli.errors import ConfigError


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    yield monkeypatch
    torch.set_num_threads(before)
    torch.set_flush_denormal(False)


def test_a_device_that_is_not_there_is_an_error() -> None:
    assert resolve_device("cpu").type == "cpu"
    for name in ("cuda:99", "abacus"):
        with pytest.raises(ConfigError, match=name):
            resolve_device(name)


def test_subnormal_numbers_are_taken_for_zero(settings: pytest.MonkeyPatch) -> None:
    smallest = torch.tensor(torch.finfo(torch.float32).tiny)
    assert float(smallest / 4) > 0
    tune_cpu()
    assert float(smallest / 4) == 0


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("150000 100000", 2), ("10000 100000", 1), ("800000 100000", 3), ("max 100000", 3), ("", 3)],
)
def test_a_container_gets_no_more_threads_than_it_may_use(
    quota: str, expected: int, tmp_path: Path, settings: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    settings.setattr(devices, "QUOTA", tmp_path / "cpu.max")
    torch.set_num_threads(3)
    tune_cpu()
    assert torch.get_num_threads() == expected


def test_threads_that_are_asked_for_are_left_alone(
    tmp_path: Path, settings: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.max").write_text("100000 100000")
    settings.setattr(devices, "QUOTA", tmp_path / "cpu.max")
    settings.setenv("OMP_NUM_THREADS", "3")
    torch.set_num_threads(3)
    tune_cpu()
    assert torch.get_num_threads() == 3


def test_half_precision_is_used_on_a_cpu_only_when_asked_for() -> None:
    factors = torch.ones(2, 2)
    expected: dict[Precision, torch.dtype]
    expected = {"auto": torch.float32, "float32": torch.float32, "bfloat16": torch.bfloat16}
    for precision, dtype in expected.items():
        with reduced_precision(torch.device("cpu"), precision):
            assert (factors @ factors).dtype == dtype


def test_a_model_that_no_memory_holds_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check_memory(2**20, torch.device("cpu"))
    with pytest.raises(ConfigError, match=r"1,024\.0 GiB"):
        check_memory(2**40, torch.device("cpu"))
    monkeypatch.setattr(os, "sysconf", lambda name: {"SC_PHYS_PAGES": 10, "SC_PAGE_SIZE": 7}[name])
    check_memory(70, torch.device("cpu"))
    with pytest.raises(ConfigError, match=r"has 0\.0"):
        check_memory(71, torch.device("cpu"))


def test_memory_that_is_free_goes_back_to_the_system() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1])

    pieces = [bytearray(50_000) for _ in range(4000)]  # too small to be mapped: 200 MB of the heap
    del pieces[:-1]  # the last one stays on top
    before = resident()
    release_memory()
    assert resident() < before - 100_000_000 // os.sysconf("SC_PAGE_SIZE")
