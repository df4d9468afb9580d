"""Warnings about schedules that do not finish before training ends.

If the weights of the objective still change in the last epoch, the run was never trained on its
final objective, and runs with different schedules are not comparable.
"""

__all__ = ["budget_warnings", "shared_budget_warnings"]

import math
from collections.abc import Iterator, Mapping

from ..errors import listing
from ..objectives.schedules import Cyclical, Linear, Schedule
from .run import RunConfig


def budget_warnings(config: RunConfig) -> list[str]:
    """Returns a warning for each schedule that is not complete before the last epoch starts."""
    training, objective = config.training, config.objective
    if not config.model.latent_size:  # a language model has no schedules
        return []
    if training.autoencoder_epochs >= training.epochs:
        rest = math.ceil(objective.settled) + max(1, training.cooldown_epochs)
        choices = [f"--set training.epochs={training.autoencoder_epochs + rest}"]
        if training.epochs >= rest:
            choices.append(f"--set training.autoencoder_epochs={training.epochs - rest}")
        problem = f"all {training.epochs} epochs are autoencoder epochs"
        return [f"{problem}, so the objective is never used; use {' or '.join(choices)}"]
    warnings = list(_cooldown_warnings(config))
    weights = {"beta": objective.beta, "mi": objective.mi_weight}
    for name, schedule in objective.schedules.items():
        warnings += _schedule_warnings(name, schedule, weights[name], config)
    return warnings


def shared_budget_warnings(configs: Mapping[str, RunConfig]) -> list[str]:
    """Returns the distinct warnings of several runs, each prefixed with the names of its runs."""
    runs: dict[str, list[str]] = {}
    for name, config in configs.items():
        for warning in budget_warnings(config):
            runs.setdefault(warning, []).append(name)
    return [f"{listing(names, 3)}: {warning}" for warning, names in runs.items()]


def _cooldown_warnings(config: RunConfig) -> Iterator[str]:
    training = config.training
    if training.cooldown_epochs >= training.epochs:
        yield (
            f"training.cooldown_epochs={training.cooldown_epochs} is not less than training.epochs "
            f"({training.epochs}), so the learning rate decays from the first step; use --set "
            f"training.cooldown_epochs={training.epochs // 4}"
        )
    elif training.autoencoder_epochs > (start := training.epochs - training.cooldown_epochs):
        yield (
            f"the learning rate decays from epoch {start}, before the autoencoder epochs end at "
            f"epoch {training.autoencoder_epochs}; use --set training.epochs="
            f"{training.autoencoder_epochs + 2 * training.cooldown_epochs}"
        )


def _schedule_warnings(
    name: str, schedule: Schedule, weight: float, config: RunConfig
) -> Iterator[str]:
    training, key = config.training, f"objective.{name}_schedule"
    before, epochs = training.autoencoder_epochs, training.epochs
    if not schedule.settled:
        return
    complete, cooldown = before + schedule.settled, min(training.cooldown_epochs, epochs - 1)
    after = f" (after {before} autoencoder epochs)" if before else ""
    status = f"{key} is complete at epoch {complete:g}{after}"
    if complete > epochs:
        last = math.nextafter(float(epochs - before), 0.0)  # before a cycle jumps to 0
        if isinstance(schedule, Cyclical):
            place = f"in cycle {int(last / schedule.period) + 1} of {schedule.cycles}"
        else:
            final, now = weight * schedule(math.inf), weight * schedule(last)
            symbol = "beta" if name == "beta" else "lambda"
            place = f"with {symbol} at {now:.2g} instead of {final:.2g}"
        problem = f"{status}, but training ends after epoch {epochs}, {place}"
    elif complete > epochs - 1:
        problem = (
            f"{status}, so only {epochs - complete:g} of the {epochs} epochs use its final value"
        )
    elif complete > epochs - cooldown:
        problem = f"{status}, but the learning rate decays from epoch {epochs - cooldown}"
    else:
        return
    needed = math.ceil(complete) + max(1, cooldown)
    choices = [f"--set training.epochs={needed}"]
    room = epochs - before - max(1, cooldown)
    if isinstance(schedule, Linear) and room > schedule.delay:
        choices.append(f"--set {key}.over={room - schedule.delay:g}")
    elif isinstance(schedule, Cyclical) and room > 0:
        period = math.floor(100 * room * schedule.period / schedule.settled) / 100
        choices.append(f"--set {key}.period={period:g}")
    yield f"{problem}; use {' or '.join(choices)}"
