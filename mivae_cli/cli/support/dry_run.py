"""A few steps of a run that is not kept: what the whole would cost, and where time goes."""

__all__ = ["rehearse"]

import resource
import time
from itertools import islice

import torch

from ...config.run import RunConfig
from ...data.prepared_corpus import Corpus
from ...finite_checks import NonFiniteBatch
from ...training.divergence import with_advice
from ...training.profiler import profile
from ...training.trainer import Trainer
from .console import print_json, stdout
from .live_progress import minutes
from .tables import dry_run_table, timing_table


def rehearse(config: RunConfig, corpus: Corpus, profiled: bool, as_json: bool) -> None:
    """Makes some steps and shows their timing, or else what the whole run would cost."""
    trainer = Trainer(config, corpus)
    try:
        if not profiled:
            stdout.print(dry_run_table(_estimate(config, trainer), "dry run"))
            return
        timing = profile(trainer)
    except NonFiniteBatch as bad:
        raise with_advice(bad, config) from bad
    if as_json:
        print_json({"seconds": timing.seconds, "tokens_per_second": timing.tokens_per_second})
    else:
        stdout.print(timing_table(timing, f"a training step on {trainer.device}"))


def _estimate(config: RunConfig, trainer: Trainer) -> list[tuple[str, str]]:
    """Makes a few steps and says what the whole run would take."""
    batches = trainer.sampler.batches(0)
    trainer.step(next(batches))  # the first step also allocates
    started = time.monotonic()
    steps = sum(1 for batch in islice(batches, 5) if trainer.step(batch))
    seconds = (time.monotonic() - started) / max(1, steps)
    total = len(trainer.sampler) * config.training.epochs
    kept = config.training.keep + 2  # the best and the last beside them
    disk = kept * trainer.checkpoint_bytes / 2**20
    text = trainer.corpus.disk_bytes / 2**20
    return [
        ("weights", f"{trainer.parameters:,}"),
        ("device", str(trainer.device)),
        ("steps", f"{total:,} at most ({len(trainer.sampler):,} an epoch)"),
        (
            "time",
            f"about {minutes(seconds * total)} of training, at {seconds * 1e3:.0f} ms a step",
        ),
        ("memory", f"{_peak_mebibytes():,.0f} MiB at the peak of these steps"),
        ("disk", f"about {disk:,.0f} MiB for {kept} checkpoints, {text:,.1f} MiB for the text"),
    ]


def _peak_mebibytes() -> float:
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
