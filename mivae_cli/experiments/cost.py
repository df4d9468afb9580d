"""Cost of a run, estimated from its first steps."""

__all__ = ["RunCost", "estimate_cost"]

import resource
import time
from dataclasses import dataclass
from itertools import islice

import torch

from ..training.trainer import Trainer

STEPS = 5  # that are timed


@dataclass(frozen=True)
class RunCost:
    """The size of a run and its use of time, memory and disk; bytes unless stated otherwise."""

    parameters: int
    device: str
    steps: int  # at most: training may stop early
    steps_per_epoch: int
    seconds_per_step: float
    memory: int  # peak of the timed steps
    checkpoints: int  # on disk at the same time
    checkpoint_disk: int
    corpus_disk: int

    @property
    def seconds(self) -> float:
        """The time for all steps."""
        return self.seconds_per_step * self.steps


def estimate_cost(trainer: Trainer) -> RunCost:
    """Makes a few steps of a run, without a run directory, and returns what all would cost.

    Raises:
        NonFiniteBatch: A step computed a number that is not finite.
    """
    batches = trainer.sampler.batches(0)
    trainer.step(next(batches))  # the first step also allocates memory
    started = time.monotonic()
    steps = sum(1 for batch in islice(batches, STEPS) if trainer.step(batch))
    seconds = (time.monotonic() - started) / max(1, steps)
    memory = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    checkpoints = trainer.config.training.keep + 2  # also the best and the last one
    return RunCost(
        parameters=trainer.parameters,
        device=str(trainer.device),
        steps=len(trainer.sampler) * trainer.config.training.epochs,
        steps_per_epoch=len(trainer.sampler),
        seconds_per_step=seconds,
        memory=memory or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 2**10,
        checkpoints=checkpoints,
        checkpoint_disk=checkpoints * trainer.checkpoint_bytes,
        corpus_disk=trainer.corpus.disk_bytes,
    )
