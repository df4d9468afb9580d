r"""The score matrix of a whole split, reduced block by block; intervals by the jackknife.

All N² pairs of a split are scored, never more than a block of them at a time. Sentences (or
samples) are dealt to G groups, and what is kept is, for each group of rows and each column, the
log-sum-exp of product scores: enough to evaluate any bound without any one group, both its rows
and its columns. The delete-a-group jackknife then gives an interval that knows that every x and
every z enters N pairs,

.. math:: \mathrm{SE}^2 = \frac{G - 1}{G} \sum_g (\hat I_{(g)} - \bar I_{(\cdot)})^2,

with the quantiles of Student's t with G - 1 degrees of freedom.

Shapes: N samples, G groups.

References:
    | The Jackknife, the Bootstrap and Other Resampling Plans (Efron, 1982)
"""

__all__ = ["Bound", "Tally", "interval_without_groups", "jackknife", "tally"]

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..metrics import Interval
from .bounds import Scores

GROUPS = 50
T_975 = {50: 2.0095752371292397}  # Student's t, 97.5 %, by groups: 49 degrees of freedom
BLOCK = 2**22  # scores held at a time

Critic = Callable[[Tensor, Tensor], Tensor]
Bound = Callable[[Scores], Tensor]


@dataclass(frozen=True)
class Tally:
    """What is kept of an N x N score matrix, in double precision."""

    joint: Tensor  # f(x_j, z_j), with shape (N,)
    partial: Tensor  # log sum over i in group g, i != j, of exp f(x_i, z_j), with shape (G, N)
    groups: Tensor  # the group of each sample, with shape (N,)
    highest: float  # of all product scores

    def __len__(self) -> int:
        return len(self.joint)

    @property
    def scores(self) -> Scores:
        """The whole matrix, as the bounds take it."""
        return self._reduced(self.partial, slice(None), len(self))

    def without(self, group: int) -> Scores:
        """The matrix without the rows and columns of one group."""
        kept = self.groups != group
        rows = [other for other in range(len(self.partial)) if other != group]
        return self._reduced(self.partial[rows][:, kept], kept, int(kept.sum()))

    @property
    def unseen(self) -> float:
        r"""The share of joint pairs that score higher than every product pair.

        At the optimal critic :math:`q(x, z) \propto q(x) q(z) e^f`, so above any threshold t
        lies the share :math:`P_\mathrm{joint}(f > t)` of Z. With t the highest product score,
        that share of Z left no trace in the product pairs, and figures that subtract
        :math:`\log Z` tend to be too high by about :math:`-\ln(1 - \mathrm{share})`.
        """
        return float((self.joint > self.highest).double().mean())

    def _reduced(self, partial: Tensor, kept: Tensor | slice, rows: int) -> Scores:
        product = partial.logsumexp(dim=0) - math.log(rows - 1)
        return Scores(self.joint[kept], product, rows)


@torch.inference_mode()
def tally(critic: Critic, x: Tensor, z: Tensor, clip: float | None = None) -> Tally:
    """Scores every pair of N samples.

    Arguments:
        critic: From (M, X) and (B, Z) to scores, with shape (M, B).
        x: What the critic reads of x, with shape (N, X), N >= 2.
        z: The same of z, with shape (N, Z).
        clip: Clips product scores to [-clip, clip], for `bounds.smile`.
    """
    count = len(x)
    number = min(GROUPS, count)
    groups = torch.arange(count) % number
    joint = torch.empty(count, dtype=torch.float64)
    partial = torch.full((number, count), -math.inf, dtype=torch.float64)
    highest = -math.inf
    for group in range(number):
        members = (groups == group).nonzero()[:, 0]
        for rows in members.split(max(1, BLOCK // count)):
            block = critic(x[rows], z).double()  # (rows, N)
            own = torch.arange(len(rows)), rows
            joint[rows] = block[own]
            block[own] = -math.inf
            highest = max(highest, float(block.max()))
            if clip is not None:
                block = block.clamp(-clip, clip)
                block[own] = -math.inf
            partial[group] = torch.logaddexp(partial[group], block.logsumexp(dim=0))
    return Tally(joint, partial, groups, highest)


def interval_without_groups(found: Tally, bound: Bound) -> Interval:
    """Returns a bound on all pairs of a split with its jackknife 95 % interval.

    Arguments:
        found: The pairs.
        bound: The bound, its dual variable and all else chosen on other data.
    """
    values = [float(bound(found.without(group))) for group in range(len(found.partial))]
    return jackknife(float(bound(found.scores)), values)


def jackknife(value: float, without: Sequence[float]) -> Interval:
    """Returns the interval of a value from its values without each of G groups."""
    groups = len(without)
    values = torch.tensor(without, dtype=torch.float64)
    error = math.sqrt((groups - 1) / groups * float((values - values.mean()).square().sum()))
    margin = T_975.get(groups, T_975[GROUPS]) * error
    return Interval(value, value - margin, value + margin)
