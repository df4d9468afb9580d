r"""Train a critic on training pairs, with early stopping on validation pairs.

The objective depends on the estimator. All keep the critic with the best validation score,
including the one before the first step. For `dual`, `mine` and `dv`, the validation score is the
symmetric InfoNCE: the log-score of matching each x to its z and each z to its x. It is a proper
score (its optimum is the pointwise mutual information up to a constant). Unlike bounds that
subtract log Z, it does not increase if large product scores are missing by chance. For the other
estimators, the validation score is the objective itself.

Shapes: B pairs of a batch, X and Z coordinates.
"""

__all__ = [
    "MAX_TEST",
    "MAX_VALID",
    "PROFILES",
    "CriticObjective",
    "FitSettings",
    "FittedCritic",
    "TrainingPairs",
    "fit_critic",
    "one_thread",
]

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, assert_never

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from ..choices import Profile
from ..errors import DivergedError
from .bounds import Scores, donsker_varadhan, dual, infonce, interpolated, jensen_shannon, tuba
from .critics import PairCritic

CriticObjective = Literal["dual", "dv", "nwj", "js", "infonce", "tuba", "interpolated"]

ALPHA = 0.5  # of the interpolated bound
# Shares of the steps, each with the nats below the target that are still in reach
REACHES = ((0.3, 0.05), (0.6, 0.0))
XI_DECAY = 0.9  # of the moving average of Z behind the dual variable
WEIGHT_DECAY = 0.01
MAX_NORM = 5.0
MAX_VALID = 4_096  # validation pairs; every check scores all against all
MAX_TEST = 10_000  # test pairs; all are scored against all once

PairTensors = tuple[Tensor, Tensor]  # x and z


@dataclass(frozen=True)
class FitSettings:
    """Size of the networks and length of the training."""

    steps: int
    hidden: int
    batch: int = 512
    learning_rate: float = 2e-3
    check_every: int = 50
    patience: int = 8  # checks without improvement before stopping
    # validation score that must be in reach after shares of the steps (`REACHES`), or training stops
    target: float = -math.inf


PROFILES: dict[Profile, FitSettings] = {
    "quick": FitSettings(steps=400, hidden=64, patience=4),
    "default": FitSettings(steps=1500, hidden=128),
    "thorough": FitSettings(steps=6000, hidden=256, patience=20),
}


@dataclass(frozen=True)
class TrainingPairs:
    """Training pairs by row number."""

    count: int
    batch: Callable[[Tensor], PairTensors]  # x and z of the given rows; may draw new z


@dataclass(frozen=True)
class FittedCritic:
    """A trained critic with its baseline."""

    critic: PairCritic
    baseline: nn.Module | None  # log a(z), for `tuba` and `interpolated`
    steps: int  # steps of the best critic; 0 if training did not improve it

    def scores(self, x: Tensor, z: Tensor) -> Tensor:
        """Returns f(x_i, z_j) - log a(z_j), with shape (M, B).

        With the baseline inside the scores, `tuba` is `dual` at log xi = 0, and `interpolated`
        has a baseline of 1.
        """
        scores: Tensor = self.critic(x, z)
        return scores - _log_baseline(self.baseline, z)


@contextmanager
def one_thread() -> Iterator[None]:
    """Context manager that limits torch to one thread."""
    # with such small batches, more threads gain little; on a busy machine they wait for minutes
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@one_thread()
def fit_critic(
    critic: PairCritic,
    train: TrainingPairs,
    valid: PairTensors,
    objective: CriticObjective,
    settings: FitSettings,
) -> FittedCritic:
    """Trains a critic in place and freezes it, drawing from torch's global generator.

    Arguments:
        critic: The critic.
        train: Training pairs.
        valid: Validation pairs for early stopping, from 2 to `MAX_VALID`.
        objective: The objective to maximise.
        settings: Size and length of the training.

    Raises:
        DivergedError: The scores are no longer finite.
    """
    with_baseline = objective in ("tuba", "interpolated")
    baseline = _baseline(valid[1].shape[1], settings.hidden) if with_baseline else None
    modules = nn.ModuleList([critic] if baseline is None else [critic, baseline])
    optimizer = torch.optim.AdamW(
        modules.parameters(), lr=settings.learning_rate, weight_decay=WEIGHT_DECAY, fused=True
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
    best = _start(critic, baseline, valid, objective)
    best_weights, best_step, checks_without_improvement = _weights(modules), 0, 0
    log_partition = torch.tensor(-math.inf)
    for step in range(1, settings.steps + 1):
        x, z = train.batch(torch.randint(train.count, (min(settings.batch, train.count),)))
        scores = critic(x, z)
        reduced = Scores.of(scores)
        log_partition = _log_moving_average(log_partition, reduced.log_partition.detach(), step)
        log_baseline = _log_baseline(baseline, z)
        loss = -_objective_value(scores, reduced, log_baseline, log_partition, objective)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = clip_grad_norm_(modules.parameters(), MAX_NORM)
        if torch.isfinite(norm):
            optimizer.step()
            schedule.step()
        if step % settings.check_every:
            continue
        value = _validation_score(critic, baseline, valid, objective)
        if value > best:
            best, best_weights, best_step = value, _weights(modules), step
            checks_without_improvement = 0
        else:
            checks_without_improvement += 1
        hopeless = any(
            step >= share * settings.steps and best < settings.target - reach
            for share, reach in REACHES
        )
        if hopeless or checks_without_improvement >= settings.patience:
            break
    modules.load_state_dict(best_weights)
    modules.requires_grad_(False)
    if not math.isfinite(best):
        raise DivergedError(
            f"the critic of '{objective}' diverged: its scores are not finite. Check x and z for "
            "NaN, infinite and extreme values, or try another seed"
        )
    return FittedCritic(critic, baseline, best_step)


def _objective_value(
    scores: Tensor,
    reduced: Scores,
    log_baseline: Tensor,
    log_partition: Tensor,
    objective: CriticObjective,
) -> Tensor:
    """Returns the objective of a score matrix and its precomputed reduction."""
    match objective:
        case "dual":
            return dual(reduced, -log_partition)
        case "dv":
            return donsker_varadhan(reduced)
        case "nwj":  # of f + 1, so that f approaches the pointwise information
            return dual(reduced, 0.0)
        case "js":
            return jensen_shannon(scores)
        case "infonce":
            return infonce(reduced)
        case "tuba":
            return tuba(reduced, log_baseline)
        case "interpolated":
            return interpolated(reduced, log_baseline, ALPHA)
        case _:
            assert_never(objective)


@torch.no_grad()
def _validation_score(
    critic: PairCritic, baseline: nn.Module | None, valid: PairTensors, objective: CriticObjective
) -> float:
    scores = critic(*valid)
    if objective in ("dual", "dv"):
        return float(infonce(scores) + infonce(scores.T)) / 2
    reduced, log_baseline = Scores.of(scores), _log_baseline(baseline, valid[1])
    return float(_objective_value(scores, reduced, log_baseline, reduced.log_partition, objective))


def _start(
    critic: PairCritic, baseline: nn.Module | None, valid: PairTensors, objective: CriticObjective
) -> float:
    """Returns the validation score before training, without a start that scores below none."""
    start, value = critic.start, _validation_score(critic, baseline, valid, objective)
    if start is None:
        return value
    critic.start = None
    constant = _validation_score(critic, baseline, valid, objective)
    if not value >= constant:
        return constant
    critic.start = start
    return value


def _log_moving_average(log_average: Tensor, log_mean: Tensor, step: int) -> Tensor:
    """Returns the log of the moving average of Z, including the current batch."""
    if step == 1:
        return log_mean
    decay = min(XI_DECAY, 1 - 1 / step)
    return torch.logaddexp(log_average + math.log(decay), log_mean + math.log1p(-decay))


def _baseline(z_size: int, hidden: int) -> nn.Module:
    """Returns a network for log a(z) that starts at 0."""
    last = nn.Linear(hidden, 1)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(z_size, hidden), nn.SiLU(), last)


def _log_baseline(baseline: nn.Module | None, z: Tensor) -> Tensor:
    if baseline is None:
        return torch.zeros(len(z))
    values: Tensor = baseline(z.float())
    return values[:, 0]


def _weights(module: nn.Module) -> dict[str, Tensor]:
    return copy.deepcopy(module.state_dict())
