r"""The score matrix of a whole split, reduced block by block.

All N² pairs of a split are scored, one block at a time. Samples are split into G groups. The
reduction keeps the log-sum-exp of the product scores for each group of rows and each column. This
suffices to evaluate any bound without the rows and columns of one group, as the jackknife in
`intervals` does.

Shapes: N samples, S draws of z for each x (1 in most uses), G groups.
"""

__all__ = ["Bound", "ScoreFunction", "ScoreSummary", "score_summary"]

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .bounds import Scores
from .rows import Rows

GROUPS = 50
BLOCK = 2**20  # scores in memory at a time, to fit into the cache

ScoreFunction = Callable[[Tensor, Tensor], Tensor]
Bound = Callable[[Scores], Tensor]


@dataclass(frozen=True)
class ScoreSummary:
    """Reduced scores of N samples of x and S N samples of z, in double precision."""

    joint: Tensor  # f(x_j, z_j), with shape (S N,)
    partial: Tensor  # log sum over i in group g, i != j, of exp f(x_i, z_j), (G, S N)
    groups: Tensor  # the group of each z and its x, with shape (S N,)
    max_product: float  # largest product score
    max_clipped: float  # largest product score after clipping
    draws: int = 1  # S
    same: Tensor | None = None  # number of rows in the unit of each x, (S N,); None: 1

    def __len__(self) -> int:
        return len(self.joint) // self.draws

    @property
    def scores(self) -> Scores:
        """The whole matrix, for the bounds."""
        return self._reduced(self.partial, slice(None), len(self))

    def without(self, group: int) -> Scores:
        """The matrix without the rows and columns of one group."""
        kept = self.groups != group
        rows = [other for other in range(len(self.partial)) if other != group]
        return self._reduced(self.partial[rows][:, kept], kept, int(kept.sum()) // self.draws)

    @property
    def unseen(self) -> float:
        r"""The share of joint pairs that score above every product pair.

        For the optimal critic :math:`q(x, z) \propto q(x) q(z) e^f`, so scores above a threshold t
        make up the share :math:`P_\mathrm{joint}(f > t)` of Z. With t the largest product score,
        this share of Z is missing from the product pairs. Bounds that subtract :math:`\log Z` are
        then too high by about :math:`-\ln(1 - \mathrm{share})`.
        """
        return float((self.joint > self.max_product).double().mean())

    @property
    def max_share(self) -> float:
        """The share of Z contributed by the product pair with the largest score."""
        return math.exp(self.max_clipped - float(self.partial.logsumexp(dim=(0, 1))))

    def _reduced(self, partial: Tensor, kept: Tensor | slice, rows: int) -> Scores:
        total = partial.logsumexp(dim=0)
        if self.same is None:
            return Scores(self.joint[kept], total - math.log(rows - 1), rows)
        return Scores(self.joint[kept], total - (rows - self.same[kept]).log(), rows)


@torch.inference_mode()
def score_summary(
    critic: ScoreFunction,
    x: Tensor,
    z: Tensor,
    clip: tuple[float, float] | None = None,
    rows: Rows | None = None,
) -> ScoreSummary:
    """Returns the reduced scores of all pairs of N samples x (N, X) and z (S N, Z).

    The critic maps (M, X) and (B, Z) to (M, B). `clip` is the range of product scores; joint scores
    are not clipped. If `rows` are dependent, x and z of the same unit are no product pair, and a
    unit lies in one group.
    """
    count, draws = len(x), len(z) // len(x)
    rows_of = Rows.independent(count) if rows is None else rows
    groups = rows_of.jackknife_groups(GROUPS)
    number = int(groups.max()) + 1
    unit = rows_of.unit if rows_of.dependent else None
    joint = torch.empty(draws, count, dtype=torch.float64)
    partial = torch.full((number, len(z)), -math.inf, dtype=torch.float64)
    max_product = -math.inf
    for group in range(number):
        members = (groups == group).nonzero()[:, 0]
        for chosen in members.split(max(1, BLOCK // len(z))):
            block = critic(x[chosen], z).double()  # (chosen, S N)
            own = torch.arange(len(chosen))[:, None], chosen[:, None] + count * torch.arange(draws)
            joint[:, chosen] = block[own].T
            excluded = own if unit is None else unit[chosen, None] == unit.repeat(draws)
            block[excluded] = -math.inf
            max_product = max(max_product, float(block.max()))
            if clip is not None:
                block = block.clamp(*clip)
                block[excluded] = -math.inf
            partial[group] = torch.logaddexp(partial[group], block.logsumexp(dim=0))
    low, high = clip or (-math.inf, math.inf)
    max_clipped = min(max(max_product, low), high)
    same = None if unit is None else rows_of.same().repeat(draws).double()
    groups = groups.repeat(draws)
    return ScoreSummary(joint.flatten(), partial, groups, max_product, max_clipped, draws, same)
