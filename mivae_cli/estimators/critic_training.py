r"""Fitting a critic: ascent on training pairs, stopped by validation pairs.

What is climbed differs by estimator, what is kept does not: the critic that did best on the
validation pairs, the one before the first step included. For `dual`, `mine` and `dv` "best" is
by the symmetric InfoNCE of the validation pairs, the log-score of telling which z belongs to
which x and which x to which z. It is proper (its optimum is the pointwise mutual information,
up to a constant) and, unlike the figures that subtract log Z, cannot be raised by product pairs
that happen to be missing. The others are judged by what they climb.

Shapes: B pairs of a batch, X and Z coordinates.
"""

__all__ = [
    "MAX_TEST",
    "MAX_VALID",
    "PROFILES",
    "CriticObjective",
    "Fitted",
    "Plan",
    "Source",
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
XI_DECAY = 0.9  # of the moving average of Z behind the dual variable
WEIGHT_DECAY = 0.01
MAX_NORM = 5.0
MAX_VALID = 4_096  # pairs worth validating with: all are scored against all, at every look
MAX_TEST = 10_000  # and worth testing on, once

Sides = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Plan:
    """How long and how wide."""

    steps: int
    hidden: int
    batch: int = 512
    learning_rate: float = 2e-3
    check_every: int = 50
    patience: int = 8  # looks without improvement before stopping


PROFILES: dict[Profile, Plan] = {
    "quick": Plan(steps=400, hidden=64, patience=4),
    "default": Plan(steps=1500, hidden=128),
    "thorough": Plan(steps=6000, hidden=256, patience=20),
}


@dataclass(frozen=True)
class Source:
    """Training pairs: how many, and the x and z of chosen rows, drawn afresh where z is noisy."""

    count: int
    at: Callable[[Tensor], Sides]


@dataclass(frozen=True)
class Fitted:
    """A critic with what its bound needs beside it."""

    critic: PairCritic
    baseline: nn.Module | None  # log a(z), for `tuba` and `interpolated`
    steps: int  # that were kept; 0 where nothing beat the start

    def scores(self, x: Tensor, z: Tensor) -> Tensor:
        """Returns f(x_i, z_j) - log a(z_j), with shape (M, B).

        With the baseline inside the scores, `tuba` is `dual` at log xi = 0, and `interpolated`
        has a baseline of 1.
        """
        scores: Tensor = self.critic(x, z)
        return scores - _log_baseline(self.baseline, z)


@contextmanager
def one_thread() -> Iterator[None]:
    """Computes on one thread: batches so small only make threads wait for each other.

    On a machine with other work the waiting costs minutes, and it never gains much.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@one_thread()
def fit_critic(
    critic: PairCritic, train: Source, valid: Sides, ascent: CriticObjective, plan: Plan
) -> Fitted:
    """Fits a critic, drawing from torch's global generator.

    Arguments:
        critic: With its weights at the start; moved and frozen.
        train: What is climbed on.
        valid: What decides when to stop, from two pairs to `MAX_VALID`.
        ascent: What is climbed.
        plan: How long.

    Raises:
        DivergedError: if the critic scores no longer are numbers.
    """
    baseline = _baseline(valid[1].shape[1], plan.hidden) if ascent in _WITH_BASELINE else None
    moved = nn.ModuleList([critic] if baseline is None else [critic, baseline])
    optimizer = torch.optim.AdamW(
        moved.parameters(), lr=plan.learning_rate, weight_decay=WEIGHT_DECAY, fused=True
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, plan.steps)
    best, kept, at, looks = _judged(critic, baseline, valid, ascent), _weights(moved), 0, 0
    log_partition = torch.tensor(-math.inf)
    for step in range(1, plan.steps + 1):
        x, z = train.at(torch.randint(train.count, (min(plan.batch, train.count),)))
        scores = critic(x, z)
        reduced = Scores.of(scores)
        log_partition = _averaged(log_partition, reduced.log_partition.detach(), step)
        loss = -_climbed(scores, reduced, _log_baseline(baseline, z), log_partition, ascent)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = clip_grad_norm_(moved.parameters(), MAX_NORM)
        if torch.isfinite(norm):
            optimizer.step()
        schedule.step()
        if step % plan.check_every:
            continue
        value = _judged(critic, baseline, valid, ascent)
        if value > best:
            best, kept, at, looks = value, _weights(moved), step, 0
        else:
            looks += 1
        if looks >= plan.patience:
            break
    moved.load_state_dict(kept)
    moved.requires_grad_(False)
    if not math.isfinite(best):
        raise DivergedError(
            f"the critic of '{ascent}' diverged: its scores are not finite. Check x and z for "
            "NaN, infinite and extreme values, or try another --seed"
        )
    return Fitted(critic, baseline, at)


_WITH_BASELINE: tuple[CriticObjective, ...] = ("tuba", "interpolated")


def _climbed(
    scores: Tensor,
    reduced: Scores,
    log_baseline: Tensor,
    log_partition: Tensor,
    ascent: CriticObjective,
) -> Tensor:
    """Returns what is climbed of a score matrix, which comes with its reduction: made once."""
    match ascent:
        case "dual":
            return dual(reduced, -log_partition)
        case "dv":
            return donsker_varadhan(reduced)
        case "nwj":  # of f + 1, so that f nears the pointwise information
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
            assert_never(ascent)


@torch.no_grad()
def _judged(
    critic: PairCritic, baseline: nn.Module | None, valid: Sides, ascent: CriticObjective
) -> float:
    scores = critic(*valid)
    if ascent in ("dual", "dv"):
        return float(infonce(scores) + infonce(scores.T)) / 2
    reduced, log_baseline = Scores.of(scores), _log_baseline(baseline, valid[1])
    return float(_climbed(scores, reduced, log_baseline, reduced.log_partition, ascent))


def _averaged(log_average: Tensor, log_mean: Tensor, step: int) -> Tensor:
    """Returns the log of the moving average of Z, the present batch always part of it."""
    decay = min(XI_DECAY, 1 - 1 / step)
    if decay == 0:
        return log_mean
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
