"""Processes that encode the shards of a large text in parallel.

They are plain child processes that read their jobs from a pipe, so that a script that trains needs
no `if __name__ == "__main__"`. Without their parent, they end after the current shard.
"""

__all__ = ["available_cores", "encode_shards"]

import json
import os
import selectors
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ..config.data import DataConfig
from ..errors import DataError, StorageError
from .ingestion import Shares, SourceChanged
from .shards import Shard, completed

MAX_WORKERS = 16  # a worker needs up to 250 MB
SERVE = """
import json, sys
folder, paths, config, shares, dtype = json.loads(sys.argv[1])
sys.path[:] = paths
import numpy
from pathlib import Path
from mivae_cli.config.data import DataConfig
from mivae_cli.data.shards import serve
serve(Path(folder), DataConfig.model_validate_json(config), tuple(shares), numpy.dtype(dtype))
"""
ONE_THREAD = {"TOKENIZERS_PARALLELISM": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def available_cores() -> int:
    """Returns the number of cores that this process may use."""
    from ..devices import cpu_quota  # loads torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(cores or 1, cpu_quota())


def encode_shards(
    folder: Path,
    shards: Sequence[Shard],
    config: DataConfig,
    shares: Shares,
    dtype: np.dtype[Any],
    workers: int,
) -> Iterator[int]:
    """Encodes all shards that are not complete; yields the bytes of text done so far.

    Raises:
        SourceChanged: A text does not match the hash of a shard.
        DataError: A text cannot be read.
        OSError: A file cannot be written.
        StorageError: A worker process has died, perhaps for lack of memory.
    """
    left = deque(shard for shard in shards if completed(folder, shard) is None)
    done = sum(shard.end - shard.start for shard in shards)
    done -= sum(shard.end - shard.start for shard in left)
    yield done
    setup = json.dumps(
        [str(folder.resolve()), sys.path, config.model_dump_json(), shares, dtype.str]
    )
    with ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        jobs: dict[int, Shard] = {}  # by process id

        def assign(process: subprocess.Popen[bytes]) -> None:
            assert process.stdin is not None
            jobs[process.pid] = shard = left.popleft()
            with suppress(BrokenPipeError):  # it has died, as reading its answer will show
                process.stdin.write(json.dumps(asdict(shard)).encode() + b"\n")

        for _ in range(min(workers, MAX_WORKERS, len(left))):
            process = stack.enter_context(_worker(setup))
            assert process.stdout is not None
            selector.register(process.stdout, selectors.EVENT_READ, process)
            assign(process)
        while selector.get_map():
            for key, _ in selector.select():
                process = key.data
                shard = jobs[process.pid]
                _check(process, shard, process.stdout.readline())
                done += shard.end - shard.start
                if left:
                    assign(process)
                else:
                    selector.unregister(process.stdout)
                yield done


def _check(process: "subprocess.Popen[bytes]", shard: Shard, line: bytes) -> None:
    """Raises the error that a worker reports, or one for a worker that has ended."""
    if not line:
        raise StorageError(
            f"a process that was encoding '{shard.path}' ended with code {process.wait()}, perhaps "
            "for lack of memory; repeat the command to continue where it stopped"
        )
    answer = json.loads(line)
    if "changed" in answer:
        raise SourceChanged(Path(shard.path))
    if answer.get("file") == shard.path:
        raise DataError(f"cannot read '{shard.path}': {answer['problem']}")
    if answer:
        raise OSError(answer["errno"], answer["problem"], answer["file"])


@contextmanager
def _worker(setup: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Context manager that starts a worker and ends it at once at the end."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", SERVE, setup],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | ONE_THREAD,
        bufsize=0,
        start_new_session=True,  # Ctrl-C goes to the parent, which ends the workers
    )
    try:
        yield process
    finally:
        process.kill()
        with process:
            pass
