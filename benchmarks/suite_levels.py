"""Pairs with codes, zeros and ties.

Each function returns a draw with the truth, in nats.
"""

__all__ = [
    "banded",
    "channel_of_letters",
    "counts",
    "degrees",
    "dirichlet",
    "flags",
    "number_and_label",
    "rain",
    "rounded",
    "scale_of_five",
    "table_of",
    "tobit",
    "two_columns",
    "zipf",
]

import math
from itertools import pairwise

import numpy as np
from scipy.special import entr, gammaln, ndtr, ndtri, xlogy
from scipy.stats import norm

from suite_truths import (
    REACH,
    Draw,
    Floats,
    Pair,
    Random,
    Truth,
    channel,
    exactly,
    noisy,
    quasi_normal,
)

Found = tuple[Draw, Truth]


def table_truth(chances: Floats) -> float:
    """Returns the mutual information of a table of probabilities."""
    margins = sum(float(entr(chances.sum(axis=axis)).sum()) for axis in (0, 1))
    return margins - float(entr(chances).sum())


def table_of(chances: Floats) -> Found:
    """Draws codes from a table of probabilities."""
    chances = chances / chances.sum()

    def draw(rows: int, random: Random) -> Pair:
        return np.divmod(random.choice(chances.size, rows, p=chances.ravel()), chances.shape[1])

    return draw, exactly(table_truth(chances))


def dirichlet(x_levels: int, z_levels: int, concentration: float, seed: int) -> Found:
    """Draws codes from a random table."""
    random = np.random.default_rng(seed)
    return table_of(
        random.dirichlet(np.full(x_levels * z_levels, concentration)).reshape(x_levels, z_levels)
    )


def zipf(x_levels: int, z_levels: int, strength: float, seed: int) -> Found:
    """Draws codes from a table with Zipf margins and a weak dependence."""
    random = np.random.default_rng(seed)
    product = np.outer(1 / (1 + np.arange(x_levels)), 1 / (1 + np.arange(z_levels)))
    return table_of(product * np.exp(strength * random.standard_normal(product.shape)))


def banded(levels: int, width: float) -> Found:
    """Draws ordered codes that are near each other."""
    code = np.arange(levels)
    return table_of(np.exp(-np.abs(code[:, None] - code) / width))


def two_columns(seed: int) -> Found:
    """Draws two columns of codes on each side, with 3, 4, 2 and 5 levels."""
    inner, truth = dirichlet(12, 10, 0.7, seed)

    def draw(rows: int, random: Random) -> Pair:
        x, z = inner(rows, random)
        return np.stack(np.divmod(x, 4), axis=1), np.stack(np.divmod(z, 5), axis=1)

    return draw, truth


def channel_of_letters(errors: float) -> Found:
    """Draws one of three letters, and the letter that arrives, as strings."""
    table = np.full((3, 3), errors / 6)
    np.fill_diagonal(table, (1 - errors) / 3)
    inner, truth = table_of(table)

    def draw(rows: int, random: Random) -> Pair:
        x, z = inner(rows, random)
        letters = np.array(["a", "b", "c"])
        return letters[x], letters[z]

    return draw, truth


def rain(both: float, only_one: float, rho: float) -> Found:
    """Draws x and z that are often 0, otherwise log-normal and correlated."""
    chances = np.array([[1 - both - 2 * only_one, only_one], [only_one, both]])
    inner, truth = table_of(chances)

    def draw(rows: int, random: Random) -> Pair:
        first, second = inner(rows, random)
        x, noise = random.standard_normal((2, rows))
        z = rho * x + math.sqrt(1 - rho**2) * noise
        return first * np.exp(x), second * np.exp(0.5 * z)

    return draw, exactly(truth(0) - 0.5 * both * math.log1p(-(rho**2)))


def number_and_label(shifts: Floats, rho: float, scale: float) -> Found:
    """Draws a number and a label, and z that depends on both."""

    def draw(rows: int, random: Random) -> Pair:
        g, label = random.standard_normal(rows), random.integers(len(shifts), size=rows)
        z = shifts[label] + rho * g + scale * random.standard_normal(rows)
        return np.stack([g, label.astype(float)], axis=1), z

    def truth(level: int) -> float:
        signal = rho * quasi_normal(18 + level, 1, level)[:, 0]
        return noisy((shifts[:, None] + signal).ravel(), scale)

    return draw, truth


def flags(agree: float, rhos: tuple[float, float]) -> Found:
    """Draws a flag and a number on each side; the correlation depends on the flag of x.

    The margins of the numbers are the same for all flags, so that the truth is the sum of what
    the flags share and of what the numbers share, averaged over flags.
    """
    table = 0.5 * np.array([[agree, 1 - agree], [1 - agree, agree]])
    inner, truth = table_of(table)
    strengths = np.asarray(rhos)

    def draw(rows: int, random: Random) -> Pair:
        first, second = inner(rows, random)
        x, noise = random.standard_normal((2, rows))
        rho = np.where(first == second, strengths[first], 0.0)
        z = rho * x + np.sqrt(1 - rho**2) * noise
        return np.stack([first, x], axis=1), np.stack([second, z], axis=1)

    shared = -0.25 * agree * float(np.log1p(-(strengths**2)).sum())
    return draw, exactly(truth(0) + shared)


def counts(offset: float, slope: float) -> Found:
    """Draws normal x, and Poisson counts whose logarithmic mean depends on it."""

    def draw(rows: int, random: Random) -> Pair:
        x = random.standard_normal(rows)
        return x, random.poisson(np.exp(offset + slope * x)).astype(float)

    def truth(level: int) -> float:
        def density(z: Floats, x: Floats) -> Floats:
            log_mean = offset + slope * x
            chances: Floats = np.exp(z * log_mean - np.exp(log_mean) - gammaln(z + 1))
            return chances

        x = np.linspace(-7, 7, 1_000 * (1 + level))
        weights = norm.pdf(x) / norm.pdf(x).sum()
        return channel(density, (x, weights), np.arange(3_000.0 * (1 + level)), counts=True)

    return draw, truth


def tobit(slope: float, scale: float) -> Found:
    """Draws normal x, and a noisy function of it that is cut off at 0."""

    def draw(rows: int, random: Random) -> Pair:
        x, noise = random.standard_normal((2, rows))
        return x, np.maximum(slope * x + scale * noise, 0)

    def truth(level: int) -> float:
        size = 1_000 * (1 + level)
        x = np.linspace(-REACH, REACH, size)
        weights = norm.pdf(x) / norm.pdf(x).sum()
        z = np.linspace(0, REACH * (slope + scale), 4 * size)
        above = channel(lambda z, x: norm.pdf(z, slope * x, scale), (x, weights), z)
        at_zero = ndtr(-slope * x / scale)
        mean = float(weights @ at_zero)
        return above + float(weights @ xlogy(at_zero, at_zero)) - float(xlogy(mean, mean))

    return draw, truth


def cells_of(rho: float, x_edges: Floats, z_edges: Floats) -> Floats:
    """Returns the probabilities of the cells of a grid under correlated normals."""
    points, weights = np.polynomial.legendre.leggauss(24)
    bounds = np.concatenate([[-REACH], x_edges, [REACH]])
    table = []
    for low, high in pairwise(bounds):
        x = 0.5 * (low + high) + 0.5 * (high - low) * points
        below = ndtr((z_edges[:, None] - rho * x) / math.sqrt(1 - rho**2))
        below = np.concatenate([np.zeros((1, len(x))), below, np.ones((1, len(x)))])
        table.append(np.diff(below, axis=0) @ (norm.pdf(x) * weights) * 0.5 * (high - low))
    chances = np.stack(table)
    shares: Floats = chances / chances.sum()
    return shares


def rounded(rho: float, steps: tuple[float, float]) -> Found:
    """Draws correlated normals that are rounded to multiples of a step."""

    def draw(rows: int, random: Random) -> Pair:
        x, noise = random.standard_normal((2, rows))
        z = rho * x + math.sqrt(1 - rho**2) * noise
        return np.round(x / steps[0]) * steps[0], np.round(z / steps[1]) * steps[1]

    x_edges, z_edges = (
        np.asarray((np.arange(-round(7 / step), round(7 / step)) + 0.5) * step, dtype=np.float64)
        for step in steps
    )
    return draw, exactly(table_truth(cells_of(rho, x_edges, z_edges)))


def degrees(rho: float, levels: int) -> Found:
    """Draws correlated percentages that are rounded to whole numbers."""

    def draw(rows: int, random: Random) -> Pair:
        x, noise = random.standard_normal((2, rows))
        z = rho * x + math.sqrt(1 - rho**2) * noise
        return np.round(levels * ndtr(x)), np.round(levels * ndtr(z))

    edges = ndtri((np.arange(levels) + 0.5) / levels)
    return draw, exactly(table_truth(cells_of(rho, edges, edges)))


def scale_of_five(rho: float) -> Found:
    """Draws answers from 1 to 5, and a number correlated with the opinion behind them."""
    edges = np.array([-1.3, -0.4, 0.5, 1.2])

    def draw(rows: int, random: Random) -> Pair:
        x, noise = random.standard_normal((2, rows))
        z = rho * x + math.sqrt(1 - rho**2) * noise
        return 1 + np.searchsorted(edges, x), np.exp(z)

    def truth(level: int) -> float:
        z = np.linspace(-REACH, REACH, 20_000 * (1 + level))
        weights = norm.pdf(z) / norm.pdf(z).sum()
        bounds = ndtr((edges[:, None] - rho * z) / math.sqrt(1 - rho**2))
        ends = np.zeros((1, len(z))), np.ones((1, len(z)))
        given = np.diff(np.concatenate([ends[0], bounds, ends[1]]), axis=0)
        margin = given @ weights
        return float(entr(margin).sum() - entr(given).sum(axis=0) @ weights)

    return draw, truth
