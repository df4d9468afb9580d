r"""The pointwise log-ratio of every row, from models fitted to other rows.

.. math:: i(x, z) = \log \frac{q(x, z)}{q(x) \, q(z)},

in nats; its mean is the mutual information. A row with a large value is typical of the dependence,
one with a negative value contradicts it. Rows are divided into folds by units; each fold is scored
by a model fitted to the other folds.

Shapes: N rows, M rows that are scored, X and Z coordinates.
"""

__all__ = [
    "Fit",
    "cross_fitted",
    "label_ratios",
    "neighbour_ratios",
    "pointwise_ratios",
    "write_pairs_pointwise",
    "write_pointwise",
]

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..choices import Discrete
from ..storage.files import atomic_file
from .io.checks import check_variables
from .io.pairs import Pairs
from .rows import Rows
from .variables import Variable

FOLDS = 5

LogRatios = Callable[[Tensor, Tensor], Tensor]  # of pairs (M, X) and (M, Z), with shape (M,)
Fit = Callable[[Tensor, Tensor], LogRatios]


def cross_fitted(
    fit: Fit, x: Tensor, z: Tensor, rows: Rows | None = None, *, folds: int = FOLDS, seed: int = 0
) -> Tensor:
    """Returns the log-ratio of every row in nats, from a fit to other rows, with shape (N,).

    Arguments:
        fit: Fits a model to pairs, and returns the function of its log-ratios.
        x: Samples, with shape (N, X).
        z: The samples drawn with them, with shape (N, Z).
        rows: Which rows depend on each other; default: none.
        folds: The number of folds, at least 2.
        seed: Seed of the folds.
    """
    rows = Rows.independent(len(x)) if rows is None else rows
    found = torch.empty(len(x), dtype=torch.float64)
    for held_out in rows.folds(folds, seed):
        others = torch.ones(len(x), dtype=torch.bool)
        others[held_out] = False
        found[held_out] = fit(x[others], z[others])(x[held_out], z[held_out]).double()
    return found


def neighbour_ratios(neighbours: int = 10) -> Fit:
    r"""Returns a fit whose log-ratios come from the k nearest of N fitted rows.

    .. math:: \psi(k) + \psi(N + 1) - \psi(n_x + 1) - \psi(n_z + 1)

    with the numbers :math:`n_x, n_z` of fitted rows closer than the k-th, in maximum norm. The mean
    is the estimate of Kraskov, Stögbauer & Grassberger (2004). Columns are compared in units of
    their standard deviation.
    """
    from scipy.spatial import cKDTree
    from scipy.special import digamma

    def fit(x: Tensor, z: Tensor) -> LogRatios:
        sides = [side.double().numpy() for side in (x, z)]
        scales = [np.where(side.std(axis=0) > 0, side.std(axis=0), 1) for side in sides]
        fitted = [side / scale for side, scale in zip(sides, scales, strict=True)]
        trees = [cKDTree(side) for side in (*fitted, np.concatenate(fitted, axis=1))]

        def log_ratios(x: Tensor, z: Tensor) -> Tensor:
            near = [
                side.double().numpy() / scale for side, scale in zip((x, z), scales, strict=True)
            ]
            apart = trees[2].query(np.concatenate(near, axis=1), [neighbours], p=np.inf)[0][:, 0]
            radius = np.nextafter(apart, 0)
            terms = digamma(neighbours) + digamma(len(fitted[0]) + 1) - np.zeros(len(radius))
            for tree, side in zip(trees, near, strict=False):
                count = tree.query_ball_point(side, radius, p=np.inf, return_length=True)
                terms -= digamma(np.asarray(count) + 1)
            return torch.from_numpy(terms)

        return log_ratios

    return fit


def label_ratios(discrete: bool = False) -> Fit:
    r"""Returns a fit of :math:`\log p(c \mid x) / p(c)` for labels c, in place of z.

    .. math:: p(c \mid x) = \frac{k_c + p(c)}{k + 1}

    where :math:`k_c` of k fitted rows near x have the label c: the :math:`\sqrt N` nearest ones, or
    all with the same x if x is discrete. Labels are codes 0, 1, ... with shape (N, 1).
    """
    from scipy.spatial import cKDTree

    def fit(x: Tensor, z: Tensor) -> LogRatios:
        sides, labels = x.double().numpy(), z[:, 0].long().numpy()
        scale = np.where(sides.std(axis=0) > 0, sides.std(axis=0), 1)
        tree, near = cKDTree(sides / scale), max(1, math.isqrt(len(sides)))

        def log_ratios(x: Tensor, z: Tensor) -> Tensor:
            points, codes = x.double().numpy() / scale, z[:, 0].long().numpy()
            counts = np.bincount(labels, minlength=int(codes.max()) + 1)
            prior = (counts[codes] + 1) / (len(labels) + len(counts))
            if discrete:
                found = tree.query_ball_point(points, 1e-9)
            else:
                found = tree.query(points, range(1, near + 1))[1]
            same = [
                int((labels[rows] == code).sum()) for rows, code in zip(found, codes, strict=True)
            ]
            sizes = np.array([len(rows) for rows in found])
            return torch.from_numpy(np.log((np.array(same) + prior) / (sizes + 1) / prior))

        return log_ratios

    return fit


def pointwise_ratios(x: Variable, z: Variable, rows: Rows | None = None, seed: int = 0) -> Tensor:
    """Returns the cross-fitted log-ratio of every row in nats, with shape (N,).

    Uses nearest neighbours; for a discrete variable, the probabilities of its labels.
    """
    if z.kind != "discrete" and x.kind == "discrete":
        x, z = z, x
    if z.kind == "discrete":
        label = z.joint_code()[:, None]
        if x.kind == "discrete":
            return cross_fitted(
                label_ratios(discrete=True), x.joint_code()[:, None], label, rows, seed=seed
            )
        return cross_fitted(label_ratios(), x.numbers(), label, rows, seed=seed)
    return cross_fitted(neighbour_ratios(), x.numbers(), z.numbers(), rows, seed=seed)


def write_pairs_pointwise(
    path: Path,
    pairs: Pairs,
    *,
    blocks: int | None = None,
    discrete: Discrete = "auto",
    drop_missing: bool = False,
    seed: int = 0,
) -> None:
    """Writes the log-ratio of each row of a file of pairs, with the columns of x and z as numbers.

    Raises:
        DataError: The samples are not rows of finite numbers and labels.
        ConfigError: The file cannot be written.
    """
    sample = check_variables(
        pairs.x, pairs.z, groups=pairs.groups, discrete=discrete, drop_missing=drop_missing
    )
    rows = Rows.of_sample(sample.rows, sample.groups, blocks)
    columns: dict[str, Sequence[object]] = {}
    for variable in (sample.x, sample.z):
        sides = [*variable.continuous.T.tolist(), *variable.codes.T.tolist()]
        for name, values in zip(variable.columns, sides, strict=True):
            columns[name if name not in columns else f"{variable.name} {name}"] = values
    ratios = pointwise_ratios(sample.x, sample.z, rows, seed)
    write_pointwise(path, ratios, columns, (sample.rows + 1).tolist())


def write_pointwise(
    path: Path,
    log_ratios: Sequence[float] | Tensor,
    columns: Mapping[str, Sequence[object]],
    numbers: Sequence[int] | None = None,
) -> None:
    """Writes a CSV file with the row number, the log-ratio in nats and the columns of each row.

    Arguments:
        path: The file; an existing one is replaced once the new one is complete.
        log_ratios: The log-ratio of each row.
        columns: The values of further columns by name.
        numbers: The number of each row in the input, from 1; default: 1 to N.

    Raises:
        ConfigError: The file cannot be written.
    """
    ratios = [float(value) for value in log_ratios]
    numbers = range(1, len(ratios) + 1) if numbers is None else numbers
    with atomic_file(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["row", "log_ratio", *columns])
        writer.writerows(zip(numbers, ratios, *columns.values(), strict=True))
