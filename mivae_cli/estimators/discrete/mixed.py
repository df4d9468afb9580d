r"""Mutual information of variables with atoms, or with both numbers and levels, in nats.

The estimator of Gao, Kannan, Oh & Viswanath. With the distance :math:`\rho_i` from pair i to its
k-th nearest other pair, in the maximum norm over x and z,

.. math:: \hat I = \psi(N) + \frac{1}{N} \sum_i [\psi(\tilde k_i) - \psi(m_{x,i}) -
    \psi(m_{z,i})],

where :math:`\tilde k_i` is k, or the number of copies of pair i if :math:`\rho_i = 0`, and
:math:`m_{x,i}` and :math:`m_{z,i}` are the numbers of rows closer to row i than :math:`\rho_i`, or
equal to it if :math:`\rho_i = 0`; all include row i. Repeated values therefore need no noise.

Columns of numbers are standardised. Rows with different levels of a discrete column differ by
`LEVEL_DISTANCE` standard deviations.

Shapes: N rows.
"""

__all__ = ["has_atoms", "mixed", "mixed_terms"]

import math

import torch
from torch import Tensor

from ...errors import DataError
from ...limits import check_seed
from ..nearest_neighbours import INFLATION, check_neighbours, standardised
from ..report import Estimate, stopwatch
from ..variables import Variable
from .plug_in import QUANTILE, entropy

LEVEL_DISTANCE = 2.0
BLOCK = 2**20  # distances in memory at a time
MAX_ROWS = 10_000  # the time is quadratic in the number of rows
MAX_TIED = 0.1  # share of rows that repeat an earlier value of their column


def has_atoms(variable: Variable) -> bool:
    """Returns whether over 10 % of a column of numbers repeat, as in counts and with many zeros."""
    columns = variable.continuous.T
    return any(1 - len(column.unique()) / len(column) > MAX_TIED for column in columns)


def mixed(x: Variable, z: Variable, neighbours: int = 5, *, seed: int = 0) -> Estimate:
    """Returns the estimate of Gao et al. with a 95 % interval of its sampling error, in nats.

    Of more than 10,000 rows, a random subset of 10,000 is used. The ceiling is the entropy of a
    side without columns of numbers.

    Arguments:
        x: N rows of numbers, of levels, or of both.
        z: The rows observed with them.
        neighbours: The number k of neighbours.
        seed: Seed of the subset; the global random state does not change.

    Raises:
        DataError: The numbers of rows differ.
        ConfigError: `neighbours` or `seed` is out of range.

    References:
        | Estimating Mutual Information for Discrete-Continuous Mixtures (Gao et al., 2017)
    """
    if len(x) != len(z):
        raise DataError(f"{len(x):,} rows of x, but {len(z):,} of z")
    neighbours = check_neighbours(neighbours, len(x))
    generator = torch.Generator().manual_seed(check_seed(seed))
    chosen = torch.randperm(len(x), generator=generator)[:MAX_ROWS]
    with stopwatch() as seconds:
        terms = mixed_terms(x.rows(chosen), z.rows(chosen), neighbours)
    value = float(terms.mean())
    margin = INFLATION * QUANTILE * float(terms.std()) / math.sqrt(len(terms))
    warnings = []
    if len(chosen) < len(x):
        warnings.append(f"uses {len(chosen):,} of {len(x):,} rows, because its time is quadratic")
    discrete = [side.joint_code() for side in (x, z) if side.kind == "discrete"]
    ceiling = min((entropy(codes) for codes in discrete), default=None)
    return Estimate(
        "mixed",
        value,
        value - margin,
        value + margin,
        "neither",
        ceiling,
        False,
        seconds(),
        warnings,
    )


def mixed_terms(x: Variable, z: Variable, neighbours: int) -> Tensor:
    """Returns the terms whose mean is the estimate, with shape (N,)."""
    count = len(x)
    numbers = [standardised(side.continuous).T.contiguous() for side in (x, z)]
    codes = [side.codes.T.contiguous() for side in (x, z)]
    terms = torch.empty(count, dtype=torch.float64)
    for rows in torch.arange(count).split(max(1, BLOCK // count)):
        apart = [_distances(*side, rows) for side in zip(numbers, codes, strict=True)]
        joint = torch.maximum(*apart)
        # the nearest is the row itself, at distance 0
        radius = joint.topk(neighbours + 1, dim=1, largest=False).values[:, -1:]
        atom = radius == 0
        copies = (joint == 0).sum(dim=1)
        near = torch.where(atom[:, 0], copies, neighbours).double()
        total = near.digamma()
        for side in apart:
            closer = torch.where(atom, side == 0, side < radius).sum(dim=1)
            total -= closer.double().digamma()
        terms[rows] = total
    return terms + torch.tensor(count, dtype=torch.float64).digamma()


def _distances(numbers: Tensor, codes: Tensor, rows: Tensor) -> Tensor:
    """Returns the maximum-norm distances from R rows to all N, with shape (R, N)."""
    count = numbers.shape[1] if len(numbers) else codes.shape[1]
    largest = torch.zeros(len(rows), count, dtype=torch.float64)
    for column in numbers:
        torch.maximum(largest, (column[rows, None] - column).abs_(), out=largest)
    for levels in codes:
        differ = levels[rows, None] != levels
        largest = torch.where(differ, largest.clamp(min=LEVEL_DISTANCE), largest)
    return largest
