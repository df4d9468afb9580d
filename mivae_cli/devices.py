"""Where tensors live, and how a CPU computes on them."""

__all__ = [
    "check_memory",
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
from pathlib import Path

import torch

from .choices import Precision
from .errors import ConfigError

KNOWN = re.compile("cpu(:0)?|(cuda|mps|xpu)(:[0-9]{1,3})?")
QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container: microseconds of CPU a period


def resolve_device(name: str) -> torch.device:
    """Returns the device of a name; `auto` is a CUDA device where there is one.

    Raises:
        ConfigError: There is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        if not KNOWN.fullmatch(name):  # torch's 'meta' computes nothing; some are but imported
            raise RuntimeError("no such kind of device")
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(
            f"there is no device '{name}' here: use cpu, cuda, mps or auto"
        ) from error
    return device


def check_memory(needed: int, device: torch.device) -> None:
    """Raises ConfigError where a device has not so many bytes in all."""
    if device.type == "cuda":
        there = torch.cuda.get_device_properties(device).total_memory
    else:
        there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > there:
        raise ConfigError(
            f"the model's weights, gradients and moments would take {needed / 2**30:,.1f} GiB, and "
            f"'{device}' has {there / 2**30:,.1f}: choose smaller sizes"
        )


def release_memory() -> None:
    """Gives the system back what the C library keeps of memory that is free.

    Between the small pieces that oneDNN keeps of every new shape of a product, glibc's heap goes
    on growing for hours though no more of it is in use than after minutes.
    """
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def tune_cpu() -> None:
    """Settles how this process computes on its CPU; for programs, not for libraries.

    Subnormal numbers are taken for zero: they mean nothing here, and a CPU takes many times as
    long over them. And no more threads compute than a container may use at a time, for the
    others would only be kept waiting.
    """
    torch.set_flush_denormal(True)
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(min(torch.get_num_threads(), _quota()))


def reduced_precision(device: torch.device, precision: Precision) -> torch.autocast:
    """Returns a context in which a network's large products have a precision.

    Half precision (bfloat16) is torch's automatic kind: weights and what is summed up stay in
    single precision. By itself (`auto`) it is used on CUDA devices that have it: a CPU may be
    much faster with it, or slower.
    """
    wanted = precision == "bfloat16"
    if precision == "auto":
        wanted = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted)


def _quota() -> int:
    """Returns the number of cores that this process may use at a time, as far as it is told."""
    with contextlib.suppress(OSError, ValueError):
        quota, period = QUOTA.read_text().split()
        return max(1, math.ceil(int(quota) / int(period)))
    return sys.maxsize
