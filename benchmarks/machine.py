"""Description of the machine, timing, and memory use for the speed benchmarks."""

__all__ = ["INTERVAL", "Memory", "description", "product_flops", "seconds", "statistics_of"]

import os
import platform
import resource
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from types import TracebackType
from typing import Self

import torch

from cells import Record

STATUS = Path("/proc/self/status")
INTERVAL = 0.02  # seconds between two measurements of the memory


class Memory:
    """Records the peak memory of this process in a thread: anonymous and mapped files."""

    def __init__(self) -> None:
        self.before = _resident()
        self.peaks = dict(self.before)
        self.measurements = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._measure()

    def record(self) -> Record:
        """Returns MiB before and at the peak; without /proc, only the maximum resident size."""
        found: Record = {f"{name}_before_mib": size for name, size in self.before.items()}
        found |= {f"{name}_peak_mib": size for name, size in self.peaks.items()}
        found["maxrss_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            found["cuda_peak_mib"] = torch.cuda.max_memory_allocated() / 2**20
        return found

    def _watch(self) -> None:
        while not self._stop.wait(INTERVAL):
            self._measure()

    def _measure(self) -> None:
        for name, size in _resident().items():
            self.peaks[name] = max(self.peaks[name], size)
        self.measurements += 1


def _resident() -> dict[str, float]:
    """Returns the resident MiB of anonymous memory and of mapped files."""
    if not STATUS.exists():
        return {}
    lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    names = {"anonymous": "RssAnon", "file": "RssFile"}
    return {name: int(lines[key].split()[0]) / 1024 for name, key in names.items()}


def description(device: torch.device) -> Record:
    """Returns processor, cores, load, torch version, threads and device."""
    processor = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        lines = (line.partition(":") for line in information.read_text().splitlines())
        names = [value.strip() for key, _, value in lines if key.strip() == "model name"]
        processor = names[0] if names else processor
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],  # mean of the last minute
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
    }


def seconds(action: Callable[[], object], device: torch.device) -> float:
    """Returns the wall time of an action, including its work on the device."""
    _synchronize(device)
    start = perf_counter()
    action()
    _synchronize(device)
    return perf_counter() - start


def product_flops(size: int, device: torch.device, repeats: int) -> float:
    """Returns the median FLOP/s of a product of square float32 matrices."""
    a, b = torch.randn(2, size, size, device=device)
    out = torch.empty_like(a)
    torch.mm(a, b, out=out)
    taken = [seconds(lambda: torch.mm(a, b, out=out), device) for _ in range(repeats)]
    return 2 * size**3 / median(taken)


def statistics_of(values: Sequence[float]) -> Record:
    """Returns median, minimum and maximum."""
    return {"median": median(values), "least": min(values), "most": max(values)}


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
