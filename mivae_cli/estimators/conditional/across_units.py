r"""Conditional mutual information of rows that depend on each other, in nats.

Rows form units (`Rows`): groups, or blocks of a series. Two estimates allow for it.

*Mixture*: a `JointMixture` whose number of components predicts (x, z) given w best in other units.
With its log-ratios :math:`t_i` (`JointMixture.log_ratios`) in rows that it was fitted to, which are
too high, and those in units that were held out, :math:`t_i^-`, which are too low by about as much,

.. math:: \hat I = \frac{1}{2N} \sum_i (t_i + t_i^-).

*Nearest neighbours* of row i come from its :math:`a_i` admissible rows: those of other groups, or those
over L / 10 rows away in blocks of L rows. With the symbols of the module `neighbours`, counted in
admissible rows and row i,

.. math:: \hat I = \frac{1}{N} \sum_i [\psi(k_i) - \psi(n_{xw}(i)) - \psi(n_{zw}(i)) + \psi(n_w(i))]
    - I_0.

Rows of *other* units are close to each other as well. :math:`I_0`, the mean over permutations of x by
units (`Rows.permutation`), removes most of what this adds. It requires that x does not depend on w,
as what the regression of the module `residuals` leaves of it.

Intervals allow any dependence inside of a unit.

Shapes: N rows, D columns.
"""

__all__ = ["unit_mixture_interval", "unit_neighbour_interval", "unit_neighbour_terms"]

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import DataError
from ..intervals import Interval, mean_interval
from ..nearest_neighbours import INFLATION
from ..rows import Rows
from ..unit_neighbours import WINDOW, admissible_range, counts_outside, radius_outside
from .corrected import MAX_ROWS, best_components
from .joint_mixture import JointMixture
from .neighbours import APART, points_of
from .samples import Samples

Array = NDArray[np.float64]

FOLDS = 4
MAX_FIT = 4_000  # rows of a fit
PERMUTATIONS = 6


def unit_mixture_interval(samples: Samples, rows: Rows, seed: int) -> Interval:
    """Returns the estimate of a mixture with a 95 % interval, in nats.

    Arguments:
        samples: Samples whose continuous columns are normal scores.
        rows: The unit of each row.
        seed: Seed of folds and mixtures.

    Raises:
        DataError: There are fewer than two rows per continuous column.
    """
    if 2 * samples.dimensions >= len(samples):
        raise DataError(
            f"{len(samples):,} rows are too few for {samples.dimensions:,} columns; provide more "
            "rows, or select fewer columns"
        )
    folds = rows.folds(FOLDS, seed)
    order = torch.cat(folds)
    components = best_components(samples, order, len(folds[0]), seed)
    if samples.x.code.any() or samples.z.code.any():
        components = max(components, 2)  # codes of a single component depend on nothing
    held_out = torch.empty(len(samples), dtype=torch.float64)
    fitted, times = torch.zeros_like(held_out), torch.zeros_like(held_out)
    for number, fold in enumerate(folds):
        others = torch.cat([each for place, each in enumerate(folds) if place != number])
        chosen = others[:: -(-len(others) // MAX_FIT)]
        mixture = JointMixture.fit(samples.rows(chosen), components, seed)
        held_out[fold] = mixture.log_ratios(samples.rows(fold))
        fitted[chosen] += mixture.log_ratios(samples.rows(chosen))
        times[chosen] += 1
    fitted = torch.where(times > 0, fitted / times.clamp_min(1), held_out)
    interval = mean_interval((fitted + held_out) / 2, rows)
    apart = float((fitted - held_out).mean()) / 2
    margin = math.hypot(interval.high - interval.value, apart)
    return Interval(interval.value, interval.value - margin, interval.value + margin)


def unit_neighbour_interval(samples: Samples, rows: Rows, neighbours: int, seed: int) -> Interval:
    """Returns the estimate of nearest neighbours with a 95 % interval, in nats.

    Of more than 4,000 rows in more than three columns, a random subset is used. The arguments are
    those of `unit_neighbour_terms`, with a seed of the permutations.
    """
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.arange(len(samples))
    if samples.dimensions > 3 and len(samples) > MAX_ROWS:
        chosen = torch.randperm(len(samples), generator=generator)[:MAX_ROWS].sort().values
    used = rows.take(chosen)
    terms = unit_neighbour_terms(samples.rows(chosen), used, neighbours, chosen)
    chance = torch.stack(
        [
            unit_neighbour_terms(
                samples.permuted(rows.permutation(generator)).rows(chosen),
                used,
                neighbours,
                chosen,
            ).nanmean()
            for _ in range(PERMUTATIONS)
        ]
    )
    known = ~terms.isnan()
    if not known.any() or bool(chance.isnan().any()):
        raise DataError("no row has neighbours in other units; use fewer discrete columns")
    by_row, by_unit = mean_interval(terms[known]), mean_interval(terms[known], used.take(known))
    sampling = max(INFLATION * (by_row.high - by_row.value), by_unit.high - by_unit.value)
    noise = 1.96 * float(chance.std()) * math.sqrt(1 + 1 / PERMUTATIONS)
    value, margin = by_row.value - float(chance.mean()), math.hypot(sampling, noise)
    return Interval(value, value - margin, value + margin)


def unit_neighbour_terms(
    samples: Samples, rows: Rows, neighbours: int, position: Tensor
) -> Tensor:
    """Returns the terms of nearest neighbours in other units in nats, with shape (N,).

    NaN for rows with fewer than k admissible rows of the same codes.

    Arguments:
        samples: Samples whose continuous columns have comparable scales.
        rows: The unit of each row.
        neighbours: The number k of neighbours.
        position: The place of each row in the whole series, with shape (N,).
    """
    from scipy.special import digamma  # slow to import

    order, first, last = admissible_range(rows, position, rows.length // WINDOW)
    ordered = samples.rows(order)
    x, z, w = ordered.x, ordered.z, ordered.w
    joint = points_of([x, z, w])
    if joint.shape[1]:
        radius = radius_outside(joint, neighbours, first, last)
    else:
        radius = np.zeros(len(order))
    # the next smaller number, so that a radius of the k-th neighbour excludes it
    inside = np.nextafter(radius, 0)

    def count(points: Array) -> NDArray[np.int64]:
        if not points.shape[1]:
            return len(order) - (last - first) + 1
        return counts_outside(points, inside, first, last) + 1

    within = np.where(radius == 0, count(joint), neighbours)
    terms = digamma(within) + digamma(count(points_of([w])))
    terms -= digamma(count(points_of([x, w]))) + digamma(count(points_of([z, w])))
    found = torch.empty(len(order), dtype=torch.float64)
    found[order] = torch.from_numpy(np.where(radius < APART / 2, terms, math.nan))
    return found
