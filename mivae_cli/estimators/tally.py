r"""The score matrix of a whole split, reduced block by block; intervals by the jackknife.

All N² pairs of a split are scored, never more than a block of them at a time. Sentences (or
samples) are dealt to G groups, and what is kept is, for each group of rows and each column, the
log-sum-exp of product scores: enough to evaluate any bound without any one group, both its rows
and its columns. The delete-a-group jackknife then gives an interval that knows that every x and
every z enters N pairs,

.. math:: \mathrm{SE}^2 = \frac{G - 1}{G} \sum_g (\hat I_{(g)} - \bar I_{(\cdot)})^2,

with the quantiles of Student's t with G - 1 degrees of freedom.

Shapes: N samples, S draws of z for each x (1 in most uses), G groups.

References:
    | The Jackknife, the Bootstrap and Other Resampling Plans (Efron, 1982)
    | Delete-m Jackknife for Unequal m (Busing, Meijer & van der Leeden, 1999)
    | Handbook of Mathematical Functions (Abramowitz & Stegun, 1964), 26.7.3-4
"""

__all__ = [
    "Bound",
    "Tally",
    "interval_without_groups",
    "jackknife",
    "student_quantile",
    "tally",
]

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..metrics import Interval
from .bounds import Scores

GROUPS = 50
CARRIED = 0.5  # of Z by a single product pair, from which on a figure hangs on that pair
BLOCK = 2**20  # scores held at a time: few enough to stay in a processor's cache

Critic = Callable[[Tensor, Tensor], Tensor]
Bound = Callable[[Scores], Tensor]


@dataclass(frozen=True)
class Tally:
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
def tally(critic: Critic, x: Tensor, z: Tensor, clip: tuple[float, float] | None = None) -> Tally:
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
    return Tally(joint.flatten(), partial, groups.repeat(draws), highest, counted, draws)


def interval_without_groups(found: Tally, bound: Bound, noise: Tensor | None = None) -> Interval:
    """Returns a bound on all pairs of a split with its jackknife 95 % interval.

    Arguments:
        found: The pairs, of N >= 3 samples.
        bound: The bound, its dual variable and all else chosen on other data.
        noise: What is known to be 0 on average and to be in the bound, with shape (S N,): its mean
            is subtracted.
    """
    noise = torch.zeros_like(found.joint) if noise is None else noise
    values = [
        float(bound(found.without(group)) - noise[found.groups != group].mean())
        for group in range(len(found.partial))
    ]
    value = float(bound(found.scores) - noise.mean())
    return jackknife(value, values, found.groups.bincount().tolist())


def jackknife(
    value: float, without: Sequence[float], sizes: Sequence[int] | None = None
) -> Interval:
    r"""Returns the interval of a value from its values without each of G groups.

    Groups of unequal sizes :math:`m_g` tell by pseudo-values, :math:`h_g = N / m_g`,

    .. math:: \mathrm{SE}^2 = \frac{1}{G} \sum_g \frac{(\tilde I_g - \bar I)^2}{h_g - 1},
        \qquad \tilde I_g = h_g \hat I - (h_g - 1) \hat I_{(g)},
        \qquad \bar I = \sum_g \tilde I_g / h_g,

    which is the formula above where the sizes are equal. It matters where a value depends on N
    itself, as at a ceiling of log N.

    Arguments:
        value: From all samples.
        without: Without each group; from one group alone comes an interval without width.
        sizes: Samples of each group; of equal size where not given.
    """
    if len(without) < 2:
        return Interval(value, value, value)
    values = torch.tensor(without, dtype=torch.float64)
    shares = torch.tensor(sizes or [1] * len(without), dtype=torch.float64)
    shares /= shares.sum()  # 1 / h
    pseudo = (value - (1 - shares) * values) / shares
    deviations = pseudo - (shares * pseudo).sum()
    error = math.sqrt(float((deviations.square() * shares / (1 - shares)).mean()))
    margin = student_quantile(len(without) - 1) * error
    return Interval(value, value - margin, value + margin)


def student_quantile(degrees: int) -> float:
    r"""Returns the 97.5 % quantile of Student's t with a whole number of degrees of freedom.

    With :math:`t = \sqrt{\nu} \tan \theta`, the probability of [-t, t] is a finite sum: for even
    :math:`\nu` it is

    .. math:: \sin \theta \Big(1 + \tfrac{1}{2} \cos^2 \theta
        + \tfrac{1 \cdot 3}{2 \cdot 4} \cos^4 \theta + \dots\Big)

    up to the power :math:`\nu - 2` (A&S 26.7.4), and for odd :math:`\nu`

    .. math:: \frac{2}{\pi} \Big[\theta + \sin \theta \Big(\cos \theta
        + \tfrac{2}{3} \cos^3 \theta + \dots\Big)\Big]

    likewise (26.7.3). It rises with :math:`\theta`, so bisection finds where it is 0.95.
    """
    low, high = 0.0, math.pi / 2
    while (middle := (low + high) / 2) not in (low, high):
        if _central_probability(middle, degrees) < 0.95:
            low = middle
        else:
            high = middle
    return math.sqrt(degrees) * math.tan(low)


def _central_probability(theta: float, degrees: int) -> float:
    odd, square = degrees % 2, math.cos(theta) ** 2
    term, total = math.cos(theta) if odd else 1.0, 0.0
    for power in range(odd, degrees - 1, 2):
        total += term
        term *= square * (power + 1) / (power + 2)
    if odd:
        return (theta + math.sin(theta) * total) * 2 / math.pi
    return math.sin(theta) * total
