"""Pairs of few columns with curved dependence: copulas, noisy functions and shapes.

Each function returns a draw with the truth, in nats.
"""

__all__ = [
    "angle_twice",
    "checkerboard",
    "clayton",
    "cross",
    "frank",
    "function",
    "growing_noise",
    "gumbel",
    "laplace_noise",
    "noisy_cube",
    "one_sided_noise",
    "path",
    "roll",
    "uniform_function",
    "volatility",
]

import math
from collections.abc import Callable

import numpy as np
from scipy.special import ndtr
from scipy.stats import norm

from suite_columns import normal_link, rotation
from suite_truths import (
    Draw,
    Floats,
    Pair,
    Random,
    Truth,
    channel,
    copula,
    curve,
    exactly,
    nodes,
    noisy,
    quasi_normal,
    sampled,
)

Found = tuple[Draw, Truth]
Quantile = Callable[[Floats], Floats]
ANGLES = 240  # nodes of an angle


def function(inputs: int, of_x: Callable[[Floats], Floats], scale: float) -> Found:
    """Draws normal x (N, inputs), and a function of it with normal noise."""

    def draw(rows: int, random: Random) -> Pair:
        x = random.standard_normal((rows, inputs))
        return x, of_x(x) + scale * random.standard_normal(rows)

    return draw, lambda level: noisy(of_x(quasi_normal(20 + level, inputs, level)), scale)


def uniform_function(low: float, high: float, of_x: Quantile, scale: float) -> Found:
    """Draws uniform x, and a function of it with normal noise."""

    def draw(rows: int, random: Random) -> Pair:
        x = random.uniform(low, high, rows)
        return x, of_x(x) + scale * random.standard_normal(rows)

    def truth(level: int) -> float:
        count = 1_000_000 * (1 + level)
        return noisy(of_x(low + (high - low) * (np.arange(count) + 0.5) / count), scale)

    return draw, truth


def noisy_cube(scale: float, seed: int) -> Found:
    """Draws uniform points of a cube, and turned copies with noise."""
    inner, truth = uniform_function(0, 1, lambda x: x, scale)
    matrix = rotation(3, seed)

    def draw(rows: int, random: Random) -> Pair:
        sides = [inner(rows, random) for _ in range(3)]
        x, z = (np.stack(side, axis=1) for side in zip(*sides, strict=True))
        return x, z @ matrix

    return draw, lambda level: 3 * truth(level)


def growing_noise(mean: Quantile, spread: Quantile) -> Found:
    """Draws normal x, and z whose mean and noise depend on it."""

    def draw(rows: int, random: Random) -> Pair:
        x = random.standard_normal(rows)
        return x, mean(x) + spread(x) * random.standard_normal(rows)

    def truth(level: int) -> float:
        count = 1_000 * (1 + level)
        z = 0.02 * np.sinh(np.linspace(-9, 9, 6 * count))
        return channel(lambda z, x: norm.pdf(z, mean(x), spread(x)), nodes(norm.ppf, count), z)

    return draw, truth


def volatility(size: float) -> Found:
    """Draws x, and noise whose scale is exp(size x)."""
    return growing_noise(np.zeros_like, lambda x: np.exp(size * x))


def laplace_noise(scale: float) -> Found:
    """Draws exponential x with Laplace noise."""

    def draw(rows: int, random: Random) -> Pair:
        x = random.exponential(size=rows)
        return x, x + random.laplace(scale=scale, size=rows)

    def truth(level: int) -> float:
        count = 1_000 * (1 + level)
        z = np.linspace(-25 * scale, 25 + 25 * scale, 12 * count)
        return channel(
            lambda z, x: np.exp(-np.abs(z - x) / scale) / (2 * scale),
            nodes(lambda u: -np.log1p(-u), count),
            z,
        )

    return draw, truth


def one_sided_noise(scale: float) -> Found:
    """Draws uniform x with exponential noise, whose density has an edge."""

    def draw(rows: int, random: Random) -> Pair:
        x = random.random(rows)
        return x, x + random.exponential(scale, rows)

    def truth(level: int) -> float:
        z = np.linspace(0, 1 + 40 * scale, 400_000 * (1 + level))
        density = (np.exp(-np.maximum(z - 1, 0) / scale) - np.exp(-z / scale)) / 1.0
        positive = np.maximum(density, 1e-300)
        entropy = -float(np.trapezoid(density * np.log(positive), z))
        return entropy - 1 - math.log(scale)

    return draw, truth


def clayton(theta: float, of_u: Quantile, of_v: Quantile) -> Found:
    """Draws from a Clayton copula; `of_u` and `of_v` are the quantiles of the margins."""

    def draw(rows: int, random: Random) -> Pair:
        frailty = random.gamma(1 / theta, size=(rows, 1))
        u = (1 + random.exponential(size=(rows, 2)) / frailty) ** (-1 / theta)
        return of_u(u[:, 0]), of_v(u[:, 1])

    def log_density(u: Floats, v: Floats) -> Floats:
        total = u**-theta + v**-theta - 1
        density: Floats = math.log1p(theta) - (1 + theta) * np.log(u * v)
        return density - (2 + 1 / theta) * np.log(total)

    return draw, lambda level: copula(log_density, level)


def frank(theta: float, of_u: Quantile, of_v: Quantile) -> Found:
    """Draws from a Frank copula."""
    full = -math.expm1(-theta)

    def draw(rows: int, random: Random) -> Pair:
        u, share = random.random((2, rows))
        decay = np.exp(-theta * u)
        v = -np.log1p(-share * full / (decay * (1 - share) + share)) / theta
        return of_u(u), of_v(v)

    def log_density(u: Floats, v: Floats) -> Floats:
        rest = full - np.expm1(-theta * u) * np.expm1(-theta * v)
        density: Floats = math.log(theta * full) - theta * (u + v) - 2 * np.log(rest)
        return density

    return draw, lambda level: copula(log_density, level)


def gumbel(theta: float, of_u: Quantile, of_v: Quantile) -> Found:
    """Draws from a Gumbel copula, with a positive stable frailty (Chambers et al., 1976)."""
    alpha = 1 / theta

    def draw(rows: int, random: Random) -> Pair:
        angle, wait = math.pi * random.random(rows), random.exponential(size=rows)
        frailty = np.sin(alpha * angle) / np.sin(angle) ** theta
        frailty *= (np.sin((1 - alpha) * angle) / wait) ** (theta - 1)
        u = np.exp(-((random.exponential(size=(2, rows)) / frailty) ** alpha))
        return of_u(u[0]), of_v(u[1])

    def log_density(u: Floats, v: Floats) -> Floats:
        a, b = -np.log(u), -np.log(v)
        power = a**theta + b**theta
        root = power**alpha
        density: Floats = a + b - root + (theta - 1) * np.log(a * b)
        return density + (alpha - 2) * np.log(power) + np.log(root + theta - 1)

    return draw, lambda level: copula(log_density, level)


def path(of_t: Callable[[Floats], tuple[Floats, Floats]], scale: float) -> Found:
    """Draws noisy points of a curve, given as x and z of t in [0, 1]."""

    def draw(rows: int, random: Random) -> Pair:
        x, z = of_t(random.random(rows))
        return (
            x + scale * random.standard_normal(rows),
            z + scale * random.standard_normal(rows),
        )

    def truth(level: int) -> float:
        count = 3_000 * (1 + level)
        x, z = of_t((np.arange(count) + 0.5) / count)
        return curve(x, z, scale, level)

    return draw, truth


def cross(slope: float, scale: float) -> Found:
    """Draws points around two crossing lines, z = slope x and z = -slope x."""

    def draw(rows: int, random: Random) -> Pair:
        x, noise = random.standard_normal((2, rows))
        sign = random.choice([-1.0, 1.0], rows)
        return x, sign * slope * x + scale * noise

    def truth(level: int) -> float:
        count = 1_000 * (1 + level)

        def density(z: Floats, x: Floats) -> Floats:
            lines: Floats = norm.pdf(z, slope * x, scale) + norm.pdf(z, -slope * x, scale)
            return 0.5 * lines

        return channel(density, nodes(norm.ppf, count), np.linspace(-9, 9, 6 * count) * slope)

    return draw, truth


def checkerboard(cells: int) -> Found:
    """Draws uniform points on the cells of one colour; the board has an even number each way."""

    def draw(rows: int, random: Random) -> Pair:
        column = random.integers(cells, size=rows)
        row = 2 * random.integers(cells // 2, size=rows) + column % 2
        x, z = random.random((2, rows))
        return (column + x) / cells, (row + z) / cells

    return draw, exactly(math.log(2))


def roll(turns: float, rhos: tuple[float, float]) -> Found:
    """Draws two normal links, and rolls up x as a sheet in three dimensions."""
    links = [normal_link(rho) for rho in rhos]

    def draw(rows: int, random: Random) -> Pair:
        x = random.standard_normal((rows, 2))
        z = np.stack([link(x[:, i], random) for i, (link, _) in enumerate(links)], axis=1)
        angle = math.pi * (1 + 2 * turns * ndtr(x[:, 0]))
        sheet = [angle * np.cos(angle), angle * np.sin(angle), 3 * x[:, 1]]
        return np.stack(sheet, axis=1), z

    return draw, lambda level: sum(truth(level) for _, truth in links)


def angle_twice(scale: float) -> Found:
    """Draws a noisy point on a circle, and a noisy point at twice its angle."""
    angles = 2 * math.pi * np.arange(ANGLES) / ANGLES
    circles = np.stack([np.cos(angles), np.sin(angles)])
    doubled = np.stack([np.cos(2 * angles), np.sin(2 * angles)])

    def draw(rows: int, random: Random) -> Pair:
        t = 2 * math.pi * random.random(rows)
        noise = scale * random.standard_normal((4, rows))
        x, z = (np.stack([np.cos(k * t), np.sin(k * t)], axis=1) for k in (1, 2))
        return x + noise[:2].T, z + noise[2:].T

    def log_ratio(x: Floats, z: Floats) -> Floats:
        # the squares of points and circles cancel, because all circles have radius 1
        of_x, of_z = (np.exp((p @ c - 1) / scale**2) for p, c in ((x, circles), (z, doubled)))
        joint = (of_x * of_z).mean(axis=1)
        ratio: Floats = np.log(joint) - np.log(of_x.mean(axis=1)) - np.log(of_z.mean(axis=1))
        return ratio

    return draw, sampled(draw, log_ratio, 2_000_000)
