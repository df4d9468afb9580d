"""Errors that end a diverged training, with advice on which settings to change."""

__all__ = ["batch_divergence", "validation_divergence", "with_advice", "with_resume_command"]

import math
from collections.abc import Sequence
from typing import assert_never

from ..config.run import RunConfig
from ..config.training import CriticConfig, SplitConfig, TrainingConfig
from ..errors import CheckpointError, DivergedError
from ..evaluation.validation import HeldOut
from ..finite_checks import NonFiniteBatch, Quantity
from ..objectives.objective import Objective
from ..runs.directory import RunDirectory
from ..schema import Frozen
from .events import Skipped

SHOWN = 5  # line numbers listed in an error
FAR = 10.0  # a setting above this multiple of its default is advised to return to the default


def batch_divergence(skipped: Skipped, bad: NonFiniteBatch, config: RunConfig) -> DivergedError:
    """Returns the error for too many skipped batches in a row; `bad` is the last one's check."""
    if skipped.lines is None:
        where = f"sentences {_listed([str(n) for n in sorted(skipped.sentences)])} of the training split, counted from 0"
    else:
        where = f"lines {_listed(skipped.places)} of the training text"
    return DivergedError(
        f"training diverged at step {skipped.step}: {config.training.max_bad_batches} batches in "
        f"a row were skipped. In the last one ({where}), {bad.reason}. "
        + _advice(bad.quantity, config)
    )


def validation_divergence(epoch: int, found: HeldOut, config: RunConfig) -> DivergedError:
    """Returns the error for non-finite validation figures after an epoch, counted from 1."""
    figures = {"the ELBO": found.elbo, "the objective": found.loss}
    bad = [f"{name} is {value}" for name, value in figures.items() if not math.isfinite(value)]
    return DivergedError(
        f"training diverged: on the validation split after epoch {epoch}, {' and '.join(bad)}. "
        + _advice(Quantity.LOSS, config)
    )


def with_advice(error: DivergedError, config: RunConfig) -> DivergedError:
    """Returns an error of one batch, or of non-finite weights, with advice on settings."""
    if isinstance(error, NonFiniteBatch):
        advice = _advice(error.quantity, config)
        return DivergedError(f"training diverged: {error.reason}. {advice}")
    return DivergedError(f"{error}. {_advice(Quantity.LOSS, config)}")


def with_resume_command(error: DivergedError, run: RunDirectory) -> DivergedError:
    """Returns the error with the command that resumes or restarts the run."""
    try:
        newest, _ = run.checkpoints.newest()
    except CheckpointError:
        following = "No checkpoint was saved yet: restart with this change and --overwrite"
    else:
        command = f"mivae train --resume --out {run.path}"
        following = f"Resume from {newest.name} with this change: {command}"
    return DivergedError(f"{error}. {following}")


def _listed(places: Sequence[str]) -> str:
    """Returns the first places, separated by commas."""
    return ", ".join(places[:SHOWN]) + (", ..." if len(places) > SHOWN else "")


def _advice(quantity: Quantity, config: RunConfig) -> str:
    """Returns which settings to change if a quantity is bad, those far above default first."""
    optimizer = config.training.optimizer
    default = type(optimizer)()
    model = [_lower("training.optimizer.learning_rate", optimizer, default)]
    if isinstance(optimizer, SplitConfig):
        model.append(_lower("training.optimizer.word_learning_rate", optimizer, default))
    critic = _lower("critic.learning_rate", config.critic, CriticConfig())
    clip = (False, f"--set critic.clip={(config.critic.clip or 10.0) / 2:g}")
    match quantity:
        case Quantity.CRITIC_LOSS | Quantity.CRITIC_GRADIENT:
            advice = [critic, *model]
        case Quantity.LOG_XI | Quantity.BOUND:
            advice = [critic, clip]
        case Quantity.LOSS | Quantity.RATE | Quantity.GRADIENT:
            advice = model
        case _:
            assert_never(quantity)
    if config.objective.mi_weight:
        advice.append(_lower("objective.mi_weight", config.objective, Objective()))
    if (far := _lower("training.max_norm", config.training, TrainingConfig()))[0]:
        advice.append(far)
    first = " and ".join(text for far, text in advice if far)
    return "Try " + " or ".join(filter(None, [first, *(text for far, text in advice if not far)]))


def _lower(key: str, given: Frozen, default: Frozen) -> tuple[bool, str]:
    """Returns whether a setting, given as its dotted key and section, is far above its default.

    Also returns an option that lowers it.
    """
    name = key.rpartition(".")[2]
    value, usual = getattr(given, name), getattr(default, name)
    if value > FAR * usual:
        return True, f"--set {key}={usual:g} (the default)"
    return False, f"--set {key}={value / 3:.1g}"
