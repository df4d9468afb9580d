"""Soak test: does one process leak memory or open files in an hour of training and evaluation?

Each round trains a small model on generated sentences with frequent checkpoints, interrupts and
resumes it, then evaluates, samples, verifies and deletes the run. After each round, anonymous
memory, open files, mapped files and threads are recorded. At the end, their least-squares slopes
are printed, without the first sixth of the time.

    python benchmarks/soak.py --minutes 60
"""

import argparse
import ctypes
import signal
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from generated import write_text
from machine import description
from mivae_cli.config.run import RunConfig
from mivae_cli.data.prepared_corpus import prepare_corpus
from mivae_cli.evaluation.evaluate import evaluate
from mivae_cli.experiments.verify import verify
from mivae_cli.generation.decoding import Decoding
from mivae_cli.generation.generate import generated, prior_samples
from mivae_cli.runs.create import create_run
from mivae_cli.runs.directory import RunDirectory
from mivae_cli.signals import Interrupted, Interruption
from mivae_cli.stages import finish
from mivae_cli.training.trainer import Trainer

COLUMNS = ("anonymous MiB", "allocated MiB", "open files", "mapped files", "threads")


class Allocations(ctypes.Structure):
    """Heap statistics of the C library (`struct mallinfo2`)."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks"),
            *("uordblks", "fordblks", "keepcost"),
        )
    )


LIBC = ctypes.CDLL("libc.so.6")
LIBC.mallinfo2.restype = Allocations


class Halfway(Interruption):
    """Simulates a signal after some steps."""

    def __init__(self, checks: int) -> None:
        super().__init__()
        self.checks = checks

    def check(self) -> None:
        """Raises Interrupted after a number of calls."""
        self.checks -= 1
        if self.checks < 0:
            raise Interrupted(signal.SIGTERM)


def measured() -> tuple[float, ...]:
    """Returns the current resources of the process, in the order of `COLUMNS`."""
    status = dict(
        line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines()
    )
    anonymous = int(status["RssAnon"].split()[0]) / 1024
    heap = LIBC.mallinfo2()  # without Python's small objects
    allocated = (heap.uordblks + heap.hblkhd) / 2**20
    mapped = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines()}
    files = len(list(Path("/proc/self/fd").iterdir()))
    return anonymous, allocated, files, len(mapped), int(status["Threads"])


def one_round(folder: Path, number: int) -> None:
    """Trains, resumes, evaluates, samples and verifies one run."""
    text = folder / f"text-{number % 5}.txt"
    if not text.exists():
        write_text(text, 200_000, 2000, number)
    config = RunConfig.model_validate(
        {
            "seed": number,
            "data": {"train": str(text), "tokenizer": {"kind": ("word", "bpe")[number % 2]}},
            "model": {
                "latent_size": 8,
                "encoder": {"embedding_size": 32, "hidden_size": 64},
                "decoder": {"embedding_size": 32, "hidden_size": 64},
            },
            "training": {"epochs": 2, "log_every": 5, "save_minutes": 0.005},
        }
    )
    place = folder / "run"
    corpus = prepare_corpus(config.data, folder / "cache")
    run = create_run(place, config, corpus, overwrite=True)
    try:
        for _ in Trainer(config, corpus).fit(run, Halfway(60)):
            pass
    except Interrupted:
        pass
    trainer = Trainer(config, run.open_corpus())
    assert trainer.resume(run) == []
    for _ in trainer.fit(run):
        pass
    opened = RunDirectory.open(place)
    model, corpus = opened.load_model(), opened.open_corpus()
    record = finish(
        evaluate(model, corpus["test"], (corpus["train"], corpus["valid"]), 20, number)
    )
    opened.write_evaluation({"nll": record.nll})
    z = prior_samples(50, model.prior, number)
    list(generated(model, opened.load_tokenizer(), z, Decoding(0.8), number))
    assert verify(opened).sound


def main() -> None:
    """Runs the rounds, and prints a table of the resources."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    minutes = parser.parse_args().minutes
    started, times, values = time.monotonic(), [], []
    with tempfile.TemporaryDirectory() as folder:
        number = 0
        while (elapsed := (time.monotonic() - started) / 60) < minutes:
            one_round(Path(folder), number)
            times.append(elapsed)
            values.append(measured())
            if number % 10 == 0:
                print(
                    f"{elapsed:6.1f} min", *(f"{value:10.1f}" for value in values[-1]), flush=True
                )
            number += 1
    hours, table = np.array(times) / 60, np.array(values)
    settled = hours > hours[-1] / 6
    machine = ", ".join(map(str, description(torch.device("cpu")).values()))
    print(f"\n{machine}; {number} rounds in {minutes:g} minutes\n")
    print("| | first | last | minimum | maximum | slope per hour |")
    print("|---|---|---|---|---|---|")
    for name, column in zip(COLUMNS, table[settled].T, strict=True):
        slope = np.polyfit(hours[settled], column, 1)[0]
        cells = (column[0], column[-1], column.min(), column.max())
        print(f"| {name} |", " | ".join(f"{cell:.1f}" for cell in cells), f"| {slope:+.2f} |")


if __name__ == "__main__":
    main()
