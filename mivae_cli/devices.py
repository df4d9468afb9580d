"""Devices, CPU settings and precision."""

__all__ = [
    "check_memory",
    "cpu_quota",
    "kept_torch_state",
    "reduced_precision",
    "release_memory",
    "resolve_device",
    "tune_cpu",
]

import contextlib
import ctypes
import math
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from .choices import Precision
from .errors import ConfigError

KNOWN = re.compile("cpu(:0)?|(cuda|mps|xpu)(:[0-9]{1,3})?")
QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container: microseconds of CPU time, per period


def resolve_device(name: str) -> torch.device:
    """Returns the device with a name; `auto` is CUDA if available, otherwise the CPU.

    Raises:
        ConfigError: The device does not exist on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        if not KNOWN.fullmatch(name):  # excludes, for example, the meta device of torch
            raise RuntimeError("unknown kind of device")
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(
            f"device '{name}' is not available on this machine: use cpu, cuda, mps or auto"
        ) from error
    return torch.device(name)


def check_memory(needed: int, device: torch.device) -> None:
    """Raises ConfigError if the total memory of a device is less than `needed` bytes."""
    if device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory
    else:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > total:
        raise ConfigError(
            f"the model needs {needed / 2**30:,.1f} GiB for weights, gradients and moments, but "
            f"'{device}' has {total / 2**30:,.1f} GiB: reduce the model sizes"
        )


def release_memory() -> None:
    """Returns free memory of the C library to the system.

    oneDNN caches small objects per shape of a product; they fragment glibc's heap, which grows.
    """
    with contextlib.suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def tune_cpu() -> None:
    """Flushes subnormal numbers, which are slow, and limits threads to the container's CPU quota.

    This affects the whole process: it is for programs, not for libraries.
    """
    torch.set_flush_denormal(True)
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(min(torch.get_num_threads(), cpu_quota()))


@contextlib.contextmanager
def kept_torch_state() -> Iterator[None]:
    """Context manager that restores torch's random state and CPU settings; also a decorator.

    Functions that a program imports use it, because training seeds torch and calls `tune_cpu`.
    """
    threads, smallest = torch.get_num_threads(), torch.tensor(torch.finfo(torch.float32).tiny)
    flushed = not smallest / 4
    cuda = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=cuda):
        try:
            yield
        finally:
            torch.set_flush_denormal(flushed)
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)


def reduced_precision(device: torch.device, precision: Precision) -> torch.autocast:
    """Returns a context manager that sets the precision of large matrix products.

    With bfloat16, weights and sums stay in single precision (torch's autocast). `auto` selects it
    on CUDA devices that support it, but not on CPUs, some of which are slower with it.
    """
    wanted = precision == "bfloat16"
    if precision == "auto":
        wanted = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted)


def cpu_quota() -> int:
    """Returns the CPU quota of the container in cores, or a large number if there is none."""
    with contextlib.suppress(OSError, ValueError):
        quota, period = QUOTA.read_text().split()
        return max(1, math.ceil(int(quota) / int(period)))
    return sys.maxsize
