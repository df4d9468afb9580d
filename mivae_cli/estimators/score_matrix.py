r"""The score matrix of a whole split, reduced block by block.

All N² pairs of a split are scored, never more than a block of them at a time. Sentences (or
samples) are dealt to G groups, and what is kept is, for each group of rows and each column, the
log-sum-exp of product scores: enough to evaluate any bound without any one group, both its rows
and its columns, as the jackknife in `intervals` does.

Shapes: N samples, S draws of z for each x (1 in most uses), G groups.
"""

__all__ = ["Bound", "ScoreSummary", "tally"]

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .bounds import Scores

GROUPS = 50
CARRIED = 0.5  # of Z by a single product pair, from which on a figure hangs on that pair
BLOCK = 2**20  # scores held at a time: few enough to stay in a processor's cache

Critic = Callable[[Tensor, Tensor], Tensor]
Bound = Callable[[Scores], Tensor]


@dataclass(frozen=True)
class ScoreSummary:
    """What is kept of the scores of N samples of x and S N of z, in double precision."""

    joint: Tensor  # f(x_j, z_j), with shape (S N,)
    partial: Tensor  # log sum over i in group g, i != j, of exp f(x_i, z_j), (G, S N)
    groups: Tensor  # the group of each z, which is that of its x, with shape (S N,)
    highest: float  # of all product scores
    counted: float  # the same, clipped where they are
    draws: int = 1  # S

    def __len__(self) -> int:
        return len(self.joint) // self.draws

    @property
    def scores(self) -> Scores:
        """The whole matrix, as the bounds take it."""
        return self._reduced(self.partial, slice(None), len(self))

    def without(self, group: int) -> Scores:
        """The matrix without the rows and columns of one group."""
        kept = self.groups != group
        rows = [other for other in range(len(self.partial)) if other != group]
        return self._reduced(self.partial[rows][:, kept], kept, int(kept.sum()) // self.draws)

    @property
    def unseen(self) -> float:
        r"""The share of joint pairs that score higher than every product pair.

        At the optimal critic :math:`q(x, z) \propto q(x) q(z) e^f`, so above any threshold t
        lies the share :math:`P_\mathrm{joint}(f > t)` of Z. With t the highest product score,
        that share of Z left no trace in the product pairs, and figures that subtract
        :math:`\log Z` tend to be too high by about :math:`-\ln(1 - \mathrm{share})`.
        """
        return float((self.joint > self.highest).double().mean())

    @property
    def carried_by_one(self) -> float:
        """The share of Z that the highest of all product pairs carries alone."""
        return math.exp(self.counted - float(self.partial.logsumexp(dim=(0, 1))))

    def _reduced(self, partial: Tensor, kept: Tensor | slice, rows: int) -> Scores:
        product = partial.logsumexp(dim=0) - math.log(rows - 1)
        return Scores(self.joint[kept], product, rows)


@torch.inference_mode()
def tally(
    critic: Critic, x: Tensor, z: Tensor, clip: tuple[float, float] | None = None
) -> ScoreSummary:
    """Scores every pair of N samples.

    Arguments:
        critic: From (M, X) and (B, Z) to scores, with shape (M, B).
        x: What the critic reads of x, with shape (N, X).
        z: The same of z, with shape (N, Z), or (S N, Z) for S rounds of draws.
        clip: Clips product scores, and leaves joint ones as they are: the least and the highest.
    """
    count, draws = len(x), len(z) // len(x)
    number = min(GROUPS, count)
    groups = torch.arange(count) % number
    joint = torch.empty(draws, count, dtype=torch.float64)
    partial = torch.full((number, len(z)), -math.inf, dtype=torch.float64)
    highest = -math.inf
    for group in range(number):
        members = (groups == group).nonzero()[:, 0]
        for rows in members.split(max(1, BLOCK // len(z))):
            block = critic(x[rows], z).double()  # (rows, S N)
            own = torch.arange(len(rows))[:, None], rows[:, None] + count * torch.arange(draws)
            joint[:, rows] = block[own].T
            block[own] = -math.inf
            highest = max(highest, float(block.max()))
            if clip is not None:
                block = block.clamp(*clip)
                block[own] = -math.inf
            partial[group] = torch.logaddexp(partial[group], block.logsumexp(dim=0))
    low, high = clip or (-math.inf, math.inf)
    counted = min(max(highest, low), high)
    return ScoreSummary(joint.flatten(), partial, groups.repeat(draws), highest, counted, draws)
