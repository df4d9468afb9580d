r"""Mutual information of two discrete variables from the table of their counts, in nats.

With :math:`n_{xz}` rows in a cell of the table, :math:`n_x` and :math:`n_z` in its row and column,
and N rows in all, the plug-in estimate is the mutual information of the table itself,

.. math:: \hat I = \sum_{x,z} \frac{n_{xz}}{N} \ln \frac{N n_{xz}}{n_x n_z}.

It is too high, by :math:`(K_x - 1)(K_z - 1) / 2N` if every cell of a :math:`K_x \times K_z` table
has many rows, and by less or more in sparse tables. The excess is therefore measured on draws from
a model of the table, which mixes the table with independent levels,

.. math:: q(x, z) = (1 - \lambda) \frac{n_{xz}}{N} + \lambda \frac{n_x n_z}{N^2},

where :math:`\lambda` maximises the likelihood of each row under the table of the other rows. Its
mutual information is known, so the excess is subtracted:
:math:`I(q) + [\hat I(\text{rows}) - \text{mean}\, \hat I(\text{draws from } q)]`. If the best
:math:`\lambda` is 1, the draws are permutations of z.

Shapes: N rows, K occupied cells.
"""

__all__ = ["checked_codes", "entropy", "plug_in"]

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ...errors import DataError
from ...limits import check_seed
from ..report import Estimate, stopwatch

DRAWS = 60  # tables drawn from the model
UNCERTAINTY = 0.15  # standard error of the correction, as a share of it; measured
MAX_CELLS = 4  # for each row; larger tables are counted by sorting
SPARSE = 0.1  # nats; a larger correction causes a warning
QUANTILE = 1.959964  # of a 95 % interval
WEIGHTS = torch.cat([torch.tensor([1e-3, 3e-3]), torch.linspace(0.01, 1, 45)]).double()


class _Table(NamedTuple):
    """Counts of the occupied cells, and of the row and the column of each, with shapes (K,)."""

    cells: Tensor
    x: Tensor
    z: Tensor


def plug_in(x: Tensor, z: Tensor, *, seed: int = 0) -> Estimate:
    r"""Returns the bias-corrected plug-in estimate of the mutual information of two codes.

    .. math:: I(q) + \hat I - \frac{1}{R} \sum_{r=1}^{R} \hat I(\text{draw } r \text{ from } q)

    in nats, with the symbols of the module. The 95 % interval covers the sampling error and the
    uncertainty of the correction; neither the value nor its limits are below 0. The ceiling is
    :math:`\min(H(X), H(Z))`.

    Arguments:
        x: Levels as integers, with shape (N,) or (N, 1).
        z: The levels observed with them, with the same shape.
        seed: Seed of the draws from the model; the global random state does not change.

    Raises:
        DataError: The codes are not N >= 2 pairs of integers.
        ConfigError: `seed` is out of range.

    References:
        | On Information and Sufficiency (Kullback & Leibler, 1951)
        | Note on the bias of information estimates (Miller, 1955)

    >>> x = torch.arange(1000) % 4
    >>> round(plug_in(x, x // 2).value, 2)  # ln 2
    0.69
    """
    x, z = checked_codes(x), checked_codes(z)
    if len(x) != len(z):
        raise DataError(f"{len(x):,} levels of x, but {len(z):,} of z")
    with stopwatch() as seconds:
        generator = torch.Generator().manual_seed(check_seed(seed))
        table = _table(x, z)
        model, draws = _model_draws(x, z, _independence(table), table, generator)
        correction = model - float(draws.mean())
        value = _information(table) + correction
        # the width of a permuted table that never varies is 0, so bound it from below by 1 / N
        error = math.hypot(float(draws.std()), UNCERTAINTY * correction, 0.5 / len(x))
        ceiling = min(entropy(x), entropy(z))
    value, margin = min(max(value, 0.0), ceiling), QUANTILE * error
    warnings = []
    if abs(correction) > SPARSE:
        warnings.append(
            f"the table of {len(table.cells):,} occupied cells is sparse for {len(x):,} rows; the "
            f"value includes a correction of {correction:+.2f} nats"
        )
    return Estimate(
        "plug-in",
        value,
        max(value - margin, 0.0),
        value + margin,
        "neither",
        ceiling,
        False,
        seconds(),
        warnings,
    )


def entropy(codes: Tensor) -> float:
    r"""Returns the entropy of a discrete variable in nats, by the estimator of Grassberger.

    .. math:: \hat H = \ln N - \frac{1}{N} \sum_x n_x G(n_x), \qquad
        G(n) = \psi(n) + \frac{(-1)^n}{2} \Big[\psi\Big(\frac{n + 1}{2}\Big) -
        \psi\Big(\frac{n}{2}\Big)\Big]

    with the digamma function :math:`\psi`; at most :math:`\ln K` for K observed levels.

    Arguments:
        codes: Levels as integers, with shape (N,) or (N, 1).

    Raises:
        DataError: The codes are not at least two integers.

    References:
        | Entropy Estimates from Insufficient Samplings (Grassberger, 2003)

    >>> round(entropy(torch.arange(1000) % 2), 3)  # ln 2
    0.693
    """
    counts = torch.unique(checked_codes(codes), return_counts=True)[1].double()
    if len(counts) == 1:
        return 0.0
    rest = ((counts + 1) / 2).digamma() - (counts / 2).digamma()
    terms = counts * (counts.digamma() + torch.where(counts % 2 == 0, 0.5, -0.5) * rest)
    total = float(counts.sum())
    return min(max(math.log(total) - float(terms.sum()) / total, 0.0), math.log(len(counts)))


def checked_codes(codes: Tensor) -> Tensor:
    """Returns codes of shape (N,), numbered 0, 1, ... by level; DataError if there are none."""
    codes = codes[:, 0] if codes.ndim == 2 and codes.shape[1] == 1 else codes
    if codes.ndim != 1 or len(codes) < 2 or codes.is_floating_point() or codes.is_complex():
        raise DataError(
            f"codes of levels must be integers of shape (N,) with N >= 2, not {codes.dtype} of "
            f"shape {tuple(codes.shape)}"
        )
    numbered: Tensor = torch.unique(codes, return_inverse=True)[1]
    return numbered


def _table(x: Tensor, z: Tensor) -> _Table:
    levels = int(z.max()) + 1
    codes, size = x * levels + z, levels * (int(x.max()) + 1)
    if size <= MAX_CELLS * len(x):
        every = codes.bincount(minlength=size)
        cells = every.nonzero()[:, 0]
        counts = every[cells]
    else:
        cells, counts = torch.unique(codes, return_counts=True)
    of_x, of_z = x.bincount()[cells // levels], z.bincount()[cells % levels]
    return _Table(counts.double(), of_x.double(), of_z.double())


def _information(table: _Table) -> float:
    """Returns the plug-in estimate of a table."""
    total = table.cells.sum()
    ratio = (total * table.cells).log() - (table.x * table.z).log()
    return float((table.cells * ratio).sum() / total)


def _independence(table: _Table) -> float:
    """Returns the weight of independent levels with the largest leave-one-out likelihood."""
    total = table.cells.sum()
    # a level with one row is unknown without it, whatever the weight
    known = (table.x > 1) & (table.z > 1)
    if not known.any():
        return 1.0
    cells, of_x, of_z = (part[known] for part in table)
    joint = (cells - 1) / (total - 1)
    product = (of_x - 1) * (of_z - 1) / (total - 1) ** 2
    mixed = torch.lerp(joint[:, None], product[:, None], WEIGHTS)
    return float(WEIGHTS[(cells @ mixed.log()).argmax()])


def _model_draws(
    x: Tensor, z: Tensor, weight: float, table: _Table, generator: torch.Generator
) -> tuple[float, Tensor]:
    """Returns the information of the model, and plug-in estimates of draws from it (R,)."""
    count = len(x)
    joint, product = table.cells / count, table.x * table.z / count**2
    mixed = torch.lerp(joint, product, weight)
    # all empty cells have the log-ratio ln(weight)
    empty = weight * math.log(weight) * (1 - float(product.sum()))
    information = float((mixed * (mixed / product).log()).sum()) + empty
    values = []
    for _ in range(DRAWS):
        drawn = torch.rand(count, generator=generator) < weight
        independent = int(drawn.sum())
        rows = torch.randint(count, (count - independent,), generator=generator)
        # without replacement, so that no rare level is lost
        pair = [torch.randperm(count, generator=generator)[:independent] for _ in range(2)]
        sides = torch.cat([x[rows], x[pair[0]]]), torch.cat([z[rows], z[pair[1]]])
        values.append(_information(_table(*sides)))
    return information, torch.tensor(values, dtype=torch.float64)
