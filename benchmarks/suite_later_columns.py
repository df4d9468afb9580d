"""Tasks with 4 to 25 columns that were added after the first run of the suite.

By then, tasks of this kind had been looked at while the estimate was improved. Those below had not:
they were fixed before the first measurement with them.
"""

__all__ = ["LATER_COLUMNS", "chained", "coupling", "curved_factors", "mixing", "windows"]

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import expit, ndtr, ndtri, stdtr, xlogy
from scipy.stats import norm

from suite_columns import Map, margins, normals, random_mixture, same, scatter, student
from suite_curves import function, growing_noise
from suite_numbers import Found, logit, mapped, of, pairs
from suite_truths import Floats, Pair, Random, Task, exactly, noisy_plane, quasi_normal

STEPS = 80  # after which a process is stationary
ROWS = 2_048  # draws in memory at a time, with the density of each node of the factors


def joined(*parts: Found) -> Found:
    """Returns independent pairs side by side; x of each pair may have one column or more."""

    def draw(rows: int, random: Random) -> Pair:
        sides = zip(*(draw(rows, random) for draw, _ in parts), strict=True)
        x, z = (np.column_stack(side) for side in sides)
        return x, z

    return draw, lambda level: sum(truth(level) for _, truth in parts)


def spare(columns: int) -> Found:
    """Draws normal columns of x that have nothing to do with z."""

    def draw(rows: int, random: Random) -> Pair:
        return random.standard_normal((rows, columns)), np.empty((rows, 0))

    return draw, exactly(0.0)


def plane(inputs: int, of_x: Map, scale: float) -> Found:
    """Draws normal x (N, inputs), and two functions of it (N, 2) with normal noise."""

    def draw(rows: int, random: Random) -> Pair:
        x = random.standard_normal((rows, inputs))
        return x, of_x(x) + scale * random.standard_normal((rows, 2))

    def truth(level: int) -> float:
        return noisy_plane(of_x(quasi_normal(20 + level, inputs, level)), scale, 16 + 8 * level)

    return draw, truth


def loadings(dim: int, factors: int, seed: int) -> Floats:
    """Returns the correlations of normals that depend on common factors."""
    random = np.random.default_rng(seed)
    weights = random.standard_normal((dim, factors))
    covariance = weights @ weights.T + np.diag(random.uniform(1.0, 6.0, dim))
    scale = np.sqrt(np.diag(covariance))
    correlations: Floats = covariance / np.outer(scale, scale)
    return correlations


def mixing(dim: int, strength: float, seed: int) -> Map:
    """Returns an invertible linear map of the columns."""
    factor = np.linalg.cholesky(scatter(dim, 0, strength, seed))
    return lambda t: t @ factor.T


def coupling(dim: int, size: float, seed: int) -> Map:
    """Returns an invertible map: each half is scaled and moved by functions of the other."""
    random, half = np.random.default_rng(seed), dim // 2
    shapes = ((dim - half, half), (half, dim - half))
    weights = [size * random.standard_normal((2, *shape)) / math.sqrt(half) for shape in shapes]
    offsets = [random.standard_normal((2, shape[1])) for shape in shapes]

    def turned(t: Floats, other: Floats, layer: int) -> Floats:
        scale, move = (
            np.tanh(other @ w + b) for w, b in zip(weights[layer], offsets[layer], strict=True)
        )
        moved: Floats = t * np.exp(0.5 * scale) + move
        return moved

    def mapped_(t: Floats) -> Floats:
        first = turned(t[:, :half], t[:, half:], 0)
        second = turned(t[:, half:], first, 1)
        return np.concatenate([first, second], axis=1)

    return mapped_


def scores(dof: float) -> Map:
    """Returns the normal scores of Student t columns."""
    return lambda t: -np.sign(t) * ndtri(stdtr(dof, -np.abs(t)))


def chained(*maps: Map) -> Map:
    """Returns maps one after the other."""

    def mapped_(t: Floats) -> Floats:
        for each in maps:
            t = each(t)
        return t

    return mapped_


def bent(size: float) -> Map:
    """Returns a map that adds the square of each column to the next one."""

    def mapped_(t: Floats) -> Floats:
        found = t.copy()
        found[:, 1:] += size * np.square(t[:, :-1])
        return found

    return mapped_


def curved_factors(dims: tuple[int, int], curves: Sequence[Map], seed: int) -> Found:
    """Draws columns that are curves of two common normal factors, with noise of different sizes."""
    random, dim = np.random.default_rng(seed), sum(dims)
    weights = random.standard_normal((2, dim))
    weights /= np.linalg.norm(weights, axis=0)
    noise = random.uniform(0.6, 1.2, dim)
    columns = margins(*curves)

    def means(factors: Floats) -> Floats:
        return columns(factors @ weights)

    def draw(rows: int, random: Random) -> Pair:
        both = means(random.standard_normal((rows, 2)))
        both += noise * random.standard_normal((rows, dim))
        return both[:, : dims[0]], both[:, dims[0] :]

    def truth(level: int) -> float:
        axis = np.linspace(-5.5, 5.5, 61 + 12 * level)
        grid = np.stack([side.ravel() for side in np.meshgrid(axis, axis)], axis=1)
        chances = norm.pdf(grid).prod(axis=1)
        grid, chances = grid[chances > 1e-8], chances[chances > 1e-8] / chances.sum()
        nodes, total = means(grid) / noise, 0.0
        normal = quasi_normal(17 + level, 2 + dim, level)
        for block in np.split(normal, len(normal) // ROWS):
            values = means(block[:, :2]) / noise + block[:, 2:]
            densities = []
            for part in (slice(dims[0]), slice(dims[0], None)):
                of_node = nodes[:, part]
                logs = values[:, part] @ of_node.T - 0.5 * np.square(of_node).sum(axis=1)
                densities.append(np.exp(logs - logs.max(axis=1, keepdims=True)))
            x, z = densities
            total += float((np.log((x * z) @ chances) - np.log(x @ chances)).sum())
            total -= float(np.log(z @ chances).sum())
        return total / len(normal)

    return draw, truth


def windows(past: int, future: int, drift: Map, scale: float) -> Found:
    """Draws the past and the future of a process of which each value depends on the last one."""

    def draw(rows: int, random: Random) -> Pair:
        values = [random.standard_normal(rows)]
        for _ in range(STEPS + past + future):
            values.append(drift(values[-1]) + scale * random.standard_normal(rows))
        both = np.stack(values[-past - future :], axis=1)
        return both[:, :past], both[:, past:]

    def truth(level: int) -> float:
        grid = np.linspace(-20 * scale, 20 * scale, 2_000 * (1 + level))
        step = float(grid[1] - grid[0])
        moves = norm.pdf(grid[None, :], drift(grid)[:, None], scale) * step
        chances = np.full(len(grid), 1 / len(grid))
        for _ in range(3 * STEPS):
            chances = chances @ moves
            chances /= chances.sum()
        density = chances / step
        entropy = -float(xlogy(density, density).sum()) * step
        return entropy - 0.5 * math.log(2 * math.pi * math.e * scale**2)

    return draw, truth


def products(x: Floats) -> Floats:
    """Returns a product with a sum, and a curve of the same three columns."""
    return np.stack([x[:, 0] * x[:, 1] + 0.7 * x[:, 2], x[:, 0] + np.sin(2 * x[:, 2])], axis=1)


def ratios(x: Floats) -> Floats:
    """Returns a bounded product, and a difference, of the same two columns."""
    return np.stack([np.tanh(x[:, 0]) * x[:, 1], np.abs(x[:, 0]) - 0.8 * x[:, 1]], axis=1)


def additive(x: Floats) -> Floats:
    """Returns a sum of curves of seven columns."""
    curves = (
        np.sin(1.5 * x[:, 0]),
        0.4 * x[:, 1] ** 2,
        0.8 * np.tanh(2 * x[:, 3]),
        0.7 * x[:, 4],
        -0.5 * np.abs(x[:, 6]),
        0.5 * np.exp(0.4 * x[:, 8]),
        -0.4 * x[:, 10],
    )
    total: Floats = np.sum(curves, axis=0)
    return total


def threshold(t: Floats) -> Floats:
    """Returns the next mean of a process that falls slowly and leaves negative values at once."""
    gate = expit(3 * t)
    mean: Floats = t * (0.9 * gate - 0.6 * (1 - gate))
    return mean


CURVES: tuple[Map, ...] = (
    lambda t: t + 0.3 * t**2,
    lambda t: np.tanh(2 * t),
    same,
    lambda t: np.sin(2 * t) + 0.3 * t,
)

LATER_COLUMNS: dict[str, Task] = {
    "8 x 5, products, sums and growing noise": of(
        "middle",
        4_000,
        mapped(
            joined(
                plane(3, products, 1.0),
                plane(2, ratios, 0.9),
                growing_noise(np.sin, lambda x: 0.4 + 0.2 * x**2),
                spare(2),
            ),
            mixing(8, 0.7, 201),
            mixing(5, 0.5, 202),
        ),
    ),
    "10 x 15, 3 factors, skewed margins": of(
        "middle",
        1_000,
        normals(
            loadings(25, 3, 203),
            10,
            margins(np.exp, same, lambda x: x**3, lambda x: logit(ndtr(x))),
            margins(np.sinh, lambda z: -np.log(ndtr(z)), same),
        ),
    ),
    "4 clusters, 5 x 3": of(
        "middle",
        2_000,
        mapped(random_mixture(4, 5, 3, 1.0, 204), margins(same, np.exp), margins(np.arctan, same)),
    ),
    "4 x 6, t copula, bent": of(
        "middle",
        4_000,
        student(
            scatter(4, 6, 0.7, 205),
            4,
            4.0,
            chained(scores(4.0), bent(0.4)),
            chained(scores(4.0), margins(same, np.exp, np.cbrt), bent(0.3)),
        ),
    ),
    "12 x 1, additive": of(
        "middle",
        10_000,
        mapped(
            function(12, additive, 0.7),
            chained(mixing(12, 0.5, 206), margins(same, np.exp, np.sinh)),
        ),
    ),
    "8 x 6, smooth maps": of(
        "middle",
        4_000,
        mapped(
            normals(pairs(8, 6, [0.85, 0.75, 0.6, 0.5]), 8),
            chained(mixing(8, 0.6, 207), coupling(8, 0.8, 208)),
            chained(coupling(6, 0.8, 209), mixing(6, 0.6, 210)),
        ),
    ),
    "12 x 8, curves of 2 factors": of("middle", 4_000, curved_factors((12, 8), CURVES, 211)),
    "6 x 4, past and future": of("middle", 10_000, windows(6, 4, threshold, 0.5)),
}
