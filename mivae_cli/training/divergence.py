"""The errors that end a diverged training, and what to change before the next attempt."""

__all__ = ["advised", "divergence", "validation_divergence"]

import math

from ..config.run import RunConfig
from ..config.training import CriticConfig, SplitConfig, TrainingConfig
from ..errors import DivergedError, NonFiniteBatch
from ..evaluation.validation import HeldOut
from ..objectives.objective import Objective
from ..schema import Frozen
from .events import Skipped

SHOWN = 5  # sentences that an error names
FAR = 10.0  # times its usual value: from there on a third of a setting is no help


def divergence(skipped: Skipped, bad: NonFiniteBatch, config: RunConfig) -> DivergedError:
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
        + _advice(bad.subject, config)
    )


def validation_divergence(epoch: int, found: HeldOut, config: RunConfig) -> DivergedError:
    """Returns the error that ends a training whose validation figures are not finite.

    Arguments:
        epoch: The epoch that was just finished, counted from 1.
        found: The figures of the validation split.
        config: The run's settings, from which the advice departs.
    """
    named = {"the ELBO": found.elbo, "the objective": found.loss}
    bad = [f"{name} is {value}" for name, value in named.items() if not math.isfinite(value)]
    return DivergedError(
        f"training diverged: on the validation split after epoch {epoch}, {' and '.join(bad)}; try "
        + _advice("the loss", config)
    )


def advised(error: DivergedError, config: RunConfig) -> DivergedError:
    """Returns the error of a single batch, or of weights that are not finite, with advice."""
    said, subject = str(error), "the loss"
    if isinstance(error, NonFiniteBatch):
        said, subject = f"training diverged: on a batch, {error.reason}", error.subject
    return DivergedError(f"{said}; try {_advice(subject, config)}")


def _some(numbers: tuple[int, ...]) -> str:
    more = ", ..." if len(numbers) > SHOWN else ""
    return ", ".join(map(str, sorted(numbers)[:SHOWN])) + more


def _advice(subject: str, config: RunConfig) -> str:
    """Returns what to change where such a number is bad; what is far from usual comes first."""
    optimizer = config.training.optimizer
    default = type(optimizer)()
    model = [_lower("training.optimizer.learning_rate", optimizer, default)]
    if isinstance(optimizer, SplitConfig):
        model.append(_lower("training.optimizer.word_learning_rate", optimizer, default))
    critic = _lower("critic.learning_rate", config.critic, CriticConfig())
    clip = (False, f"--set critic.clip={(config.critic.clip or 10.0) / 2:g}")
    match subject:
        case "the critic's loss" | "the critic's gradient":
            advice = [critic, *model]
        case "log xi" | "the bound":
            advice = [critic, clip]
        case _:
            advice = model
    if config.objective.mi_weight:
        advice.append(_lower("objective.mi_weight", config.objective, Objective()))
    if (far := _lower("training.max_norm", config.training, TrainingConfig()))[0]:
        advice.append(far)
    usual = " and ".join(text for far, text in advice if far)
    return " or ".join(filter(None, [usual, *(text for far, text in advice if not far)]))


def _lower(key: str, given: Frozen, usual: Frozen) -> tuple[bool, str]:
    """Returns whether a setting is far above its usual value, and an option that lowers it.

    Arguments:
        key: The setting's dotted key.
        given: The section of the configuration that has it.
        usual: The same section with its defaults.
    """
    name = key.rpartition(".")[2]
    value, normal = getattr(given, name), getattr(usual, name)
    if value > FAR * normal:
        return True, f"--set {key}={normal:g} (the usual value)"
    return False, f"--set {key}={value / 3:.1g}"
