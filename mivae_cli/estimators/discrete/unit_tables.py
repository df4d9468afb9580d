r"""Mutual information of two discrete variables whose rows depend on each other, in nats.

With the plug-in estimate :math:`\hat I` of the table of counts, its mean :math:`I_0` over
permutations by units (`Rows.permutation`), and the smaller entropy H of both variables,

.. math:: \hat I_\text{units} = H \, \frac{\hat I - I_0}{H - I_0}.

Permutations keep the dependence inside of both variables, so that :math:`I_0` is what chance adds if
they are independent of each other. The excess is smaller the closer :math:`\hat I` is to H.

References:
    | Information theoretic measures for clusterings comparison (Vinh, Epps & Bailey, 2010)
"""

__all__ = ["unit_plug_in"]

import math

import torch
from torch import Tensor

from ..intervals import mean_interval
from ..report import Estimate, stopwatch
from ..rows import Rows
from .plug_in import QUANTILE, checked_codes, entropy

PERMUTATIONS = 60


def unit_plug_in(x: Tensor, z: Tensor, rows: Rows, *, seed: int = 0) -> Estimate:
    """Returns the estimate of the module with a 95 % interval, in nats.

    The variance is that of the mean over units, plus that of the permutations.

    Arguments:
        x: Levels as integers, with shape (N,) or (N, 1).
        z: The levels observed with them, with the same shape.
        rows: The unit of each row.
        seed: Seed of the permutations; the global random state does not change.

    Raises:
        DataError: The codes are not at least two integers.
    """
    x, z = checked_codes(x), checked_codes(z)
    with stopwatch() as seconds:
        generator = torch.Generator().manual_seed(seed)
        terms = _terms(x, z)
        permuted = torch.stack(
            [_terms(x, z[rows.permutation(generator)]).mean() for _ in range(PERMUTATIONS)]
        )
        around, chance = mean_interval(terms, rows), float(permuted.mean())
        most = min(float(-(sizes / len(x)).log().mean()) for sizes in map(_sizes, (x, z)))
        scale = most / (most - chance) if most > chance else 0.0
        value = max(scale * (around.value - chance), 0.0)
        sampling = around.high - around.value
        # the width of a table that never varies is 0, so bound it from below by 1 / N
        margin = max(
            scale * math.hypot(sampling, QUANTILE * float(permuted.std())), QUANTILE / len(x)
        )
        ceiling = min(entropy(x), entropy(z))
    low, high = max(value - margin, 0.0), value + margin
    return Estimate("plug-in", value, low, high, "neither", ceiling, False, seconds())


def _terms(x: Tensor, z: Tensor) -> Tensor:
    """Returns the terms whose mean is the plug-in estimate, with shape (N,)."""
    cells = torch.unique(x * (int(z.max()) + 1) + z, return_inverse=True)[1]
    return (len(x) * _sizes(cells) / (_sizes(x) * _sizes(z))).log()


def _sizes(codes: Tensor) -> Tensor:
    """Returns the number of rows with the code of each row, with shape (N,)."""
    return codes.bincount()[codes].double()
