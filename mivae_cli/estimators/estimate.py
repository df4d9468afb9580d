r"""The neural lower bound, honestly: fitted on one split, reported on another.

A critic is fitted on encodings of the training split, its stopping point and :math:`\log \xi`
are chosen on the validation split, both are frozen, and the convex dual (Q 2) is evaluated on
the test split. There it is linear in two expectations, so its value is an unbiased estimate of
a true lower bound on I(x; z) and has an ordinary confidence interval.

Because z depends on x only through the posterior's means and scales, the critic reads these in
place of the sentence: nothing of I(x; z) is lost.

Shapes: N sentences, B sentences of a batch, Z latent units.
"""

__all__ = ["CriticEstimate", "Encodings", "held_out_dual"]

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..config import CriticConfig, SeparableCriticConfig
from ..metrics import mean_interval
from ..models.latent import DiagonalGaussian
from .bounds import donsker_varadhan, log_mean_exp_product
from .term import MutualInformationTerm

Critic = Callable[[Tensor, Tensor], Tensor]
BATCH = 512
STEPS = 2000
CHECK_EVERY = 100  # steps between two looks at the validation split
PATIENCE = 6  # looks without improvement before stopping
MAX_NORM = 5.0
VALIDATION_SENTENCES = 4096  # all their pairs are scored at once
BLOCK = 2048  # rows of the test split's score matrix held at a time


@dataclass(frozen=True)
class Encodings:
    """Posteriors of N sentences, with one sample of each."""

    posterior: DiagonalGaussian  # (N, Z)
    z: Tensor  # (N, Z)

    def __len__(self) -> int:
        return len(self.z)

    @classmethod
    def draw(cls, posterior: DiagonalGaussian, seed: int) -> "Encodings":
        """Draws the samples."""
        return cls(posterior, posterior.rsample(torch.Generator().manual_seed(seed)))


@dataclass(frozen=True)
class CriticEstimate:
    """The dual on a test split of n sentences, in nats, with its 95 % interval."""

    value: float
    ci_low: float
    ci_high: float
    log_xi: float
    n: int


def held_out_dual(
    train: Encodings, valid: Encodings, test: Encodings, seed: int
) -> CriticEstimate | None:
    """Fits a critic and returns the dual bound on the test split.

    Arguments:
        train: What the critic is fitted on; its samples are drawn afresh for every batch.
        valid: What the stopping point and the dual variable are chosen on.
        test: What the bound is reported on.
        seed: Seeds the critic's weights and the draws; other random states stay as they are.

    Returns:
        The estimate; None where a split has a single sentence, which makes no product pair.
    """
    if min(len(train), len(valid), len(test)) < 2:
        return None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        view = _View(train)
        critic = _fit(train, valid, view)
        with torch.inference_mode():
            chosen = slice(VALIDATION_SENTENCES)
            log_xi = -float(log_mean_exp_product(critic(*view(valid, chosen))))
            return _report(critic, *view(test, slice(None)), log_xi)


class _View:
    """Standardises what the critic reads; mutual information does not change by it."""

    def __init__(self, train: Encodings) -> None:
        parameters = train.posterior.parameters()
        self.centre, self.spread = parameters.mean(dim=0), parameters.std(dim=0) + 1e-6
        self.z_centre, self.z_spread = train.z.mean(dim=0), train.z.std(dim=0) + 1e-6

    def __call__(
        self, encodings: Encodings, chosen: Tensor | slice, fresh: bool = False
    ) -> tuple[Tensor, Tensor]:
        posterior = encodings.posterior[chosen]
        z = posterior.rsample() if fresh else encodings.z[chosen]
        features = (posterior.parameters() - self.centre) / self.spread
        return features, (z - self.z_centre) / self.z_spread


def _fit(train: Encodings, valid: Encodings, view: _View) -> nn.Module:
    """Ascends the dual on the training split, and keeps the critic that does best on validation."""
    config = CriticConfig(
        network=SeparableCriticConfig(hidden_size=256, score_size=128), queue_size=0
    )
    features, latents = 2 * train.z.shape[1], train.z.shape[1]
    term = MutualInformationTerm(config, features, latents)
    optimizer = torch.optim.Adam(term.critic.parameters(), lr=config.learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    held_out = view(valid, slice(VALIDATION_SENTENCES))
    best, kept, worse = -math.inf, copy.deepcopy(term.critic), 0
    for step in range(1, STEPS + 1):
        rows = torch.randperm(len(train))[:BATCH]
        term.ascend(*view(train, rows, fresh=True), optimizer, MAX_NORM)
        schedule.step()
        if step % CHECK_EVERY:
            continue
        with torch.inference_mode():
            value = float(donsker_varadhan(term.critic(*held_out)))
        if value > best:
            best, kept, worse = value, copy.deepcopy(term.critic), 0
        else:
            worse += 1
        if worse >= PATIENCE:
            break
    return kept


def _report(critic: Critic, features: Tensor, z: Tensor, log_xi: float) -> CriticEstimate:
    r"""Evaluates the frozen bound over all pairs of the test split.

    The product term is a two-sample mean over pairs (i, j). Its first-order terms are the row
    and column means r_i and c_i of :math:`\xi e^{f_{ij}}`, so the bound behaves like the mean
    over sentences of :math:`f_{ii} + \log \xi + 1 - r_i - c_i + \bar r`, which gives the interval.
    """
    count = len(z)
    joint = torch.empty(count, dtype=torch.float64)
    rows, columns = torch.zeros_like(joint), torch.zeros_like(joint)
    for part in torch.arange(count).split(BLOCK):
        information = critic(features[part], z).double() + log_xi  # (rows, N)
        joint[part] = information[torch.arange(len(part)), part]
        ratios = information.exp()
        ratios[torch.arange(len(part)), part] = 0.0
        rows[part] = ratios.sum(dim=1) / (count - 1)
        columns += ratios.sum(dim=0) / (count - 1)
    interval = mean_interval(joint + 1 - rows - columns + rows.mean())
    return CriticEstimate(interval.value, interval.low, interval.high, log_xi, count)
