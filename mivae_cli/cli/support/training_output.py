"""Training of a run, displayed while it runs, and its evaluation."""

__all__ = ["show_training"]

import shlex

from ...errors import MivaeError, is_out_of_memory
from ...experiments.train_run import RunInTraining, train_run
from ...stages import finish
from ...training.collapse import COLLAPSED
from .console import note
from .evaluation_output import show_evaluation
from .live_progress import LiveProgress, listening

SMALLEST_BATCH = 2  # the critic needs a second sentence to compare with


def show_training(training: RunInTraining, as_json: bool) -> None:
    """Trains a run to the end and prints the evaluation of its best checkpoint."""
    path, trainer = training.run.path, training.trainer
    try:
        with listening() as interruption, LiveProgress() as show:
            evaluated = finish(train_run(training, interruption=interruption), show)
    except (MemoryError, RuntimeError) as error:
        size = trainer.config.training.batch_size // 2
        if trainer.finished or size < SMALLEST_BATCH or not is_out_of_memory(error):
            raise
        raise MivaeError(
            f"not enough memory for batches of {trainer.config.training.batch_size:,} sentences. "
            "Resume with smaller batches: mivae train --resume --out "
            f"{shlex.quote(str(path))} --batch-size {size}"
        ) from error
    show_evaluation(evaluated, f"{path}, test split", as_json)
    if as_json:
        return
    mi = evaluated.record.mi
    if mi is not None and (known := mi.known_posterior.value) < COLLAPSED:
        note(
            f"warning: the posterior has collapsed: I(x; z) is {known:.2f} nats on the test split"
        )
    note("next: mivae sample, mivae interpolate, mivae estimate-mi")
