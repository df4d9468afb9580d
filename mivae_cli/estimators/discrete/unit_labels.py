r"""Mutual information of a label and numbers whose rows depend on each other, in nats.

The estimate is that of `labels`, with units (`Rows`) in place of rows. Whole units are held out from
the classifiers. Neighbours come from other units: with :math:`N_i` admissible rows, :math:`n_i` of
them with the label of row i, the k-th nearest of these at the distance :math:`r_i`, and
:math:`m_i - 1` admissible rows of any label closer than that,

.. math:: \hat I_\text{Ross} = \frac{1}{N} \sum_i [\psi(k) + \psi(N_i + 1) - \psi(n_i + 1) -
    \psi(m_i)].

Admissible rows are those of other groups, or those more than L rows away in blocks of L rows.

Rows of one unit have similar x and similar labels, so that the label seems to depend on x even if
it does not. What both parts give for labels permuted by units (`Rows.permutation`), beyond what they
give for labels in random order, is therefore subtracted. The spread over these permutations is part
of the standard error. The errors of what is added to the classifier count twice.

Shapes: N rows, X columns, C classes.
"""

__all__ = ["ross_terms_across_units", "unit_label_estimates", "unit_ross"]

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import DataError
from ..intervals import mean_interval
from ..nearest_neighbours import INFLATION, standardised, untied
from ..report import Estimate, Recommendation, stopwatch
from ..rows import Rows
from ..unit_neighbours import admissible_range, counts_outside, radius_outside
from .cross_fits import CrossFits, folds_for, log_ratios
from .label_mixtures import calibrated
from .labels import (
    FAR_DIMENSIONS,
    DiscreteEstimates,
    correction_errors,
    described,
    growth_of,
    label_estimate,
    remarks,
    share_of,
)
from .plug_in import QUANTILE, checked_codes, entropy

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FEW_UNITS = 2.0  # how often the errors of what is added count
DRAWS = 3  # of new labels, from the classifier
PERMUTATIONS = 20  # by units, for the classifier
NEIGHBOUR_PERMUTATIONS = 6  # likewise for neighbours
MAX_ROWS, MAX_FAR_ROWS = 6_000, 3_000  # in which neighbours are found; in many dimensions


class _Neighbours(NamedTuple):
    """What neighbours see, in nats."""

    value: float  # the estimate of Ross, without that of permuted labels
    gain: float  # beyond the classifier
    noise: float  # standard error of both


def unit_label_estimates(
    x: Tensor, label: Tensor, rows: Rows, neighbours: int = 3, *, seed: int = 0
) -> DiscreteEstimates:
    """Returns the estimates of the module, in nats.

    Arguments:
        x: Finite numbers, with shape (N, X); no column is constant.
        label: Levels as integers, with shape (N,) or (N, 1), N >= 50.
        rows: The unit of each row.
        neighbours: The number k of neighbours.
        seed: Seed of folds, draws and permutations; the global random state does not change.

    Raises:
        DataError: The rows do not match, or there are fewer than 50.
    """
    codes = checked_codes(label)
    if x.ndim != 2 or len(x) != len(codes):
        raise DataError(f"{len(codes):,} labels, but numbers of shape {tuple(x.shape)}")
    if len(codes) < 50:
        raise DataError(f"{len(codes)} rows are too few; provide at least 50")
    limit = entropy(codes)
    generator = torch.Generator().manual_seed(seed)
    permuted = [codes[rows.permutation(generator)].numpy() for _ in range(PERMUTATIONS)]
    with stopwatch() as seconds:
        fold = torch.empty(len(codes), dtype=torch.int64)
        for number, part in enumerate(rows.folds(folds_for(len(codes)), seed)):
            fold[part] = number
        order = _by_unit(rows, generator)
        values = untied(x.double()[order])
        fits = CrossFits(values, codes[order].numpy(), fold[order].numpy())
        permuted = [each[order.numpy()] for each in permuted]
        gains = np.array([_gain(fits.logs, each) for each in permuted])
        terms = torch.from_numpy(log_ratios(fits.probabilities, fits.codes))
        interval = mean_interval(terms, rows.take(order))
        sampling = (interval.high - interval.value) / QUANTILE
        error = math.hypot(sampling, float(gains.std(ddof=1)))
        value = limit - fits.loss - float(gains.mean())
    bound = label_estimate("classifier", value, error, error, "lower", limit, seconds())
    with stopwatch() as more:
        some = permuted[:NEIGHBOUR_PERMUTATIONS]
        found = _neighbours(fits, some, rows.take(order), order, neighbours, seed)
    plain = Estimate(
        "ross",
        found.value,
        found.value - QUANTILE * math.hypot(found.noise, sampling),
        found.value + QUANTILE * math.hypot(found.noise, sampling),
        "neither",
        limit,
        False,
        more(),
    )
    growth = growth_of(fits)
    gain = max(found.gain - growth, 0.0)
    share = share_of(gain, found.noise)
    low, high = correction_errors(fits, value, gain, share, found.noise)
    corrected = label_estimate(
        "corrected-ross",
        value + growth + share * gain,
        math.hypot(error, FEW_UNITS * low),
        math.hypot(error, FEW_UNITS * high),
        "neither",
        limit,
        seconds() + more(),
    )
    reason = (
        f"the bound of {described(fits)} held out by {rows.kind}, with what more rows and "
        "neighbours from other units would add"
    )
    warnings, notes = remarks(codes, fits)
    return DiscreteEstimates(
        Recommendation.of(corrected, reason),
        [corrected, bound, plain],
        limit,
        corrected.value / limit if limit > 0 else None,
        warnings,
        notes,
    )


def unit_ross(
    x: Tensor, label: Tensor, rows: Rows, neighbours: int = 3, *, seed: int = 0
) -> Estimate:
    """Returns the estimate of Ross from neighbours in other units alone, without that of chance.

    Of more than 6,000 rows, the first units of a random order are used. The arguments are those
    of `unit_label_estimates`.
    """
    codes, generator = checked_codes(label), torch.Generator().manual_seed(seed)
    order = _by_unit(rows, generator)[:MAX_ROWS]
    points, of_rows = untied(standardised(x.double()[order])), rows.take(order)

    def terms(labels: Tensor) -> Tensor:
        return ross_terms_across_units(points, labels[order], neighbours, of_rows, order)

    with stopwatch() as seconds:
        found = terms(codes)
        chance = torch.stack(
            [
                terms(codes[rows.permutation(generator)]).mean()
                for _ in range(NEIGHBOUR_PERMUTATIONS)
            ]
        )
        value = float(found.mean() - chance.mean())
        noise = float(chance.std()) * math.sqrt(1 + 1 / len(chance))
        by_row = mean_interval(found)
        sampling = INFLATION * (by_row.high - by_row.value) / QUANTILE
        if len(found) == len(order):
            by_unit = mean_interval(found, of_rows)
            sampling = max(sampling, (by_unit.high - by_unit.value) / QUANTILE)
        margin = QUANTILE * math.hypot(noise, sampling)
    low, high = value - margin, value + margin
    limit = entropy(codes)
    return Estimate("ross", value, low, high, "neither", limit, False, seconds())


def ross_terms_across_units(
    x: Tensor, codes: Tensor, neighbours: int, rows: Rows, position: Tensor
) -> Tensor:
    """Returns the terms of the estimate of Ross from neighbours in other units, in nats.

    Rows whose label has fewer than k admissible rows are left out.

    Arguments:
        x: Numbers in comparable units without ties, with shape (N, X).
        codes: The labels, with shape (N,).
        neighbours: The number k of neighbours.
        rows: The unit of each row.
        position: The place of each row in the whole series, with shape (N,).
    """
    from scipy.special import digamma  # slow to import

    order, first, last = admissible_range(rows, position, rows.length)
    points, labels = x[order].double().numpy(), codes[order].numpy()
    count = len(points)
    radius, same = np.full(count, -1.0), np.zeros(count, np.int64)
    for label in np.unique(labels):
        chosen = np.flatnonzero(labels == label)
        start, stop = np.searchsorted(chosen, first[chosen]), np.searchsorted(chosen, last[chosen])
        same[chosen] = len(chosen) - (stop - start)
        enough = same[chosen] >= neighbours
        if enough.any():
            found = radius_outside(points[chosen], neighbours, start, stop, enough)
            radius[chosen[enough]] = found
    kept = radius >= 0
    if not kept.any():
        raise DataError(f"no label occurs in {neighbours} rows of other units")
    inside = np.nextafter(np.maximum(radius, 0), -1).clip(min=0)
    closer = counts_outside(points, inside, first, last)
    terms = digamma(neighbours) + digamma(count - (last - first) + 1)
    terms = terms - digamma(same + 1) - digamma(closer + 1)
    ordered = torch.full((count,), math.nan, dtype=torch.float64)
    ordered[order] = torch.from_numpy(np.where(kept, terms, math.nan))
    return ordered[~ordered.isnan()]


def _gain(logs: Floats, codes: Ints) -> float:
    """Returns what calibration alone gains for labels that the classifiers were not fitted to."""
    return float(log_ratios(calibrated(logs, codes), codes).mean())


def _by_unit(rows: Rows, generator: torch.Generator) -> Tensor:
    """Returns the numbers of all rows, whole units in random order, with shape (N,)."""
    unit = rows.unit.unique(return_inverse=True)[1]
    place = torch.randperm(int(unit.max()) + 1, generator=generator)
    return place[unit].argsort(stable=True)


def _neighbours(
    fits: CrossFits, permuted: list[Ints], rows: Rows, position: Tensor, neighbours: int, seed: int
) -> _Neighbours:
    """Returns what neighbours from other units see, in the spaces of the classifiers."""
    random = np.random.default_rng(seed)
    plain, beyond = 0.0, 0.0
    drawn, chance = np.zeros(DRAWS), np.zeros(len(permuted))
    shuffled = np.zeros(DRAWS)
    for numbers, space in fits.spaces:
        far = space.shape[1] > FAR_DIMENSIONS
        limit = (MAX_FAR_ROWS if far else MAX_ROWS) // len(fits.spaces)
        kept = numbers[:limit]
        points = torch.from_numpy(np.ascontiguousarray(space[:limit]))
        chances, chosen = fits.probabilities[kept], torch.from_numpy(kept)
        of_rows, place = rows.take(chosen), position[chosen]
        weight = 1 / len(fits.spaces)

        def ross(
            labels: Ints,
            points: Tensor = points,
            of_rows: Rows = of_rows,
            place: Tensor = place,
        ) -> float:
            codes = torch.from_numpy(labels)
            return float(ross_terms_across_units(points, codes, neighbours, of_rows, place).mean())

        codes = fits.codes[kept]
        found = ross(codes)
        plain += weight * found
        beyond += weight * (found - float(log_ratios(chances, codes).mean()))
        cumulative = chances.cumsum(axis=1)
        for draw in range(DRAWS):
            uniform = random.random((len(chances), 1)) * cumulative[:, -1:]
            labels = (cumulative < uniform).sum(axis=1)
            drawn[draw] += weight * (ross(labels) - float(log_ratios(chances, labels).mean()))
            shuffled[draw] += weight * ross(random.permutation(codes))
        for number, labels in enumerate(permuted):
            chance[number] += weight * ross(labels[kept])
    noise = math.hypot(
        float(chance.std(ddof=1)) * math.sqrt(1 + 1 / len(chance)),
        float(drawn.std(ddof=1)) / math.sqrt(DRAWS),
    )
    dependence = float(chance.mean() - shuffled.mean())
    gain = beyond - float(drawn.mean()) - dependence
    return _Neighbours(plain - float(chance.mean()), gain, noise)
