"""The error after too many batches that were passed over, and what to do about it."""

__all__ = ["divergence"]

from .config import RunConfig, SplitConfig
from .errors import BadBatch, DivergedError
from .progress import Skipped

SHOWN = 5  # sentences that an error names


def divergence(skipped: Skipped, bad: BadBatch, config: RunConfig) -> DivergedError:
    """Returns the error that ends a training after so many bad batches in a row.

    Arguments:
        skipped: The last of them.
        bad: What was wrong with it.
        config: The run's settings, from which the advice departs.
    """
    if skipped.lines is None:
        where = f"sentences {_some(skipped.sentences)} of the training split, counted from 0"
    else:
        where = f"lines {_some(skipped.lines)} of the training text"
    return DivergedError(
        f"training diverged: at step {skipped.step}, {config.training.max_bad_batches} batches "
        f"in a row had to be passed over; in the last ({where}) {bad.reason}; try "
        + " or ".join(_advice(bad.subject, config))
    )


def _some(numbers: tuple[int, ...]) -> str:
    more = ", ..." if len(numbers) > SHOWN else ""
    return ", ".join(map(str, sorted(numbers)[:SHOWN])) + more


def _advice(subject: str, config: RunConfig) -> list[str]:
    """Returns what to change where such a number is bad."""
    optimizer = config.training.optimizer
    model = [f"--set training.optimizer.learning_rate={optimizer.learning_rate / 3:.1g}"]
    if isinstance(optimizer, SplitConfig):
        rate = optimizer.word_learning_rate / 3
        model.append(f"--set training.optimizer.word_learning_rate={rate:.1g}")
    critic = f"--set critic.learning_rate={config.critic.learning_rate / 3:.1g}"
    clip = f"--set critic.clip={(config.critic.clip or 10.0) / 2:g}"
    match subject:
        case "the critic's loss" | "the critic's gradient":
            advice = [critic, *model]
        case "log xi" | "the bound":
            advice = [critic, clip]
        case _:
            advice = model
    return [*advice, "a smaller --mi-weight"] if config.objective.mi_weight else advice
