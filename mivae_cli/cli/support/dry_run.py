"""Output of train --dry-run and train --profile, which write no run."""

__all__ = ["show_cost", "show_profile"]

from ...config.run import RunConfig
from ...data.prepared_corpus import Corpus
from ...experiments.cost import estimate_cost
from ...finite_checks import NonFiniteBatch
from ...training.divergence import with_advice
from ...training.profiler import profile
from ...training.trainer import Trainer
from .console import print_json, stdout
from .live_progress import minutes
from .tables import dry_run_table, timing_table


def show_cost(config: RunConfig, corpus: Corpus) -> None:
    """Prints the size of a run and its use of time, memory and disk."""
    try:
        cost = estimate_cost(Trainer(config, corpus))
    except NonFiniteBatch as error:
        raise with_advice(error, config) from error
    time = (
        f"about {minutes(cost.seconds)} of training, {cost.seconds_per_step * 1e3:.0f} ms a step"
    )
    disk = f"about {cost.checkpoint_disk / 2**20:,.0f} MiB for {cost.checkpoints} checkpoints"
    rows = [
        ("weights", f"{cost.parameters:,}"),
        ("device", cost.device),
        ("steps", f"at most {cost.steps:,} ({cost.steps_per_epoch:,} per epoch)"),
        ("time", time),
        ("memory", f"{cost.memory / 2**20:,.0f} MiB at the peak of the first steps"),
        ("disk", f"{disk}, {cost.corpus_disk / 2**20:,.1f} MiB for the corpus"),
    ]
    stdout.print(dry_run_table(rows, "dry run"))


def show_profile(config: RunConfig, corpus: Corpus, as_json: bool) -> None:
    """Prints the time that each part of a training step takes."""
    trainer = Trainer(config, corpus)
    try:
        timing = profile(trainer)
    except NonFiniteBatch as error:
        raise with_advice(error, config) from error
    if as_json:
        print_json({"seconds": timing.seconds, "tokens_per_second": timing.tokens_per_second})
    else:
        stdout.print(timing_table(timing, f"a training step on {trainer.device}"))
