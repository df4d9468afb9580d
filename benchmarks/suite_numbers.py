"""Tasks of the suite with numbers in at most 25 columns on each side, by kind.

They were fixed before the first measurement, and differ from the tasks on which the recommended
estimate was developed and its intervals calibrated.
"""

__all__ = ["NUMBERS", "decaying", "mapped", "of", "pairs"]

import numpy as np
from scipy.special import ndtr

from suite_columns import (
    Map,
    cauchy_noise,
    heavy,
    linked,
    margins,
    mixture,
    network,
    normal_link,
    normals,
    random_mixture,
    rotation,
    same,
    scatter,
    shared_scale,
    sine_link,
    square_link,
    student,
)
from suite_curves import (
    angle_twice,
    checkerboard,
    clayton,
    cross,
    frank,
    function,
    growing_noise,
    gumbel,
    laplace_noise,
    noisy_cube,
    one_sided_noise,
    path,
    roll,
    uniform_function,
    volatility,
)
from suite_truths import Draw, Floats, Pair, Random, Task, Truth

Found = tuple[Draw, Truth]


def of(kind: str, rows: int, found: Found, labels: str = "") -> Task:
    """Returns a task of a draw and its truth."""
    return Task(kind, rows, *found, labels)


def mapped(found: Found, of_x: Map = same, of_z: Map = same) -> Found:
    """Maps x and z; the maps must be invertible."""
    draw, truth = found

    def drawn(rows: int, random: Random) -> Pair:
        x, z = draw(rows, random)
        return of_x(x), of_z(z)

    return drawn, truth


def pairs(x_dim: int, z_dim: int, rhos: list[float]) -> Floats:
    """Returns the covariance of normals of which some pairs are correlated."""
    covariance = np.eye(x_dim + z_dim)
    for place, rho in enumerate(rhos):
        covariance[place, x_dim + place] = covariance[x_dim + place, place] = rho
    return covariance


def equal(x_dim: int, z_dim: int, rho: float) -> Floats:
    """Returns the covariance of normals that are all equally correlated."""
    dim = x_dim + z_dim
    covariance: Floats = rho + (1 - rho) * np.eye(dim)
    return covariance


def decaying(dim: int, rho: float) -> Floats:
    """Returns the covariance of successive values of an autoregressive process."""
    place = np.arange(dim)
    covariance: Floats = rho ** np.abs(place[:, None] - place)
    return covariance


def turned(dim: int, seed: int) -> Map:
    """Returns a rotation of the columns."""
    matrix = rotation(dim, seed)
    return lambda t: t @ matrix


def twisted(speed: float) -> Map:
    """Returns a map that turns the first two columns by an angle that depends on the third."""

    def twist(t: Floats) -> Floats:
        angle = speed * t[:, 2]
        plane = [
            np.cos(angle) * t[:, 0] - np.sin(angle) * t[:, 1],
            np.sin(angle) * t[:, 0] + np.cos(angle) * t[:, 1],
        ]
        return np.column_stack([*plane, t[:, 2:]])

    return twist


def polar(t: Floats) -> Floats:
    """Returns two normal columns as radius and angle of a point."""
    radius, angle = np.exp(0.5 * t[:, 0]), 2 * np.pi * ndtr(t[:, 1])
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def exponential(u: Floats) -> Floats:
    """Returns quantiles of the exponential distribution."""
    return -np.log1p(-u)


def logit(u: Floats) -> Floats:
    """Returns quantiles of the logistic distribution."""
    return np.log(u / (1 - u))


def weibull(u: Floats) -> Floats:
    """Returns quantiles of a Weibull distribution."""
    return exponential(u) ** (1 / 1.6)


def pareto(u: Floats) -> Floats:
    """Returns quantiles of a Pareto distribution with infinite variance."""
    return (1 - u) ** (-1 / 1.4)


def sines(x: Floats) -> Floats:
    """Returns a wave of the first columns of x."""
    return np.abs(x[:, 0]) + np.sin(2 * x[:, 1])


OPPOSITE = np.zeros((2, 4, 4))
OPPOSITE[0], OPPOSITE[1] = pairs(2, 2, [0.9, 0.85]), pairs(2, 2, [-0.9, -0.85])

NUMBERS: dict[str, Task] = {
    # ---- few columns, smooth
    "log-normal and logistic margins": of(
        "smooth",
        1_000,
        mapped(normals(pairs(1, 1, [0.45]), 1), np.exp, lambda z: logit(ndtr(z))),
    ),
    "Frank copula, Weibull margins": of("smooth", 2_000, frank(5.0, weibull, weibull)),
    "Gumbel copula": of("smooth", 10_000, gumbel(1.8, exponential, logit)),
    "noise that grows": of(
        "smooth",
        4_000,
        growing_noise(lambda x: np.tanh(1.5 * x), lambda x: 0.2 + 0.3 * np.abs(x)),
    ),
    "square": of("smooth", 2_000, function(1, lambda x: x[:, 0] ** 2 - x[:, 0], 0.8)),
    "Laplace noise": of("smooth", 4_000, laplace_noise(0.7)),
    "product and sum of 3 columns": of(
        "smooth", 4_000, function(3, lambda x: x[:, 0] * x[:, 1] + 0.5 * x[:, 2], 0.5)
    ),
    "curves of 2 columns": of("smooth", 10_000, function(2, sines, 0.4)),
    "3 x 3, three links": of(
        "smooth",
        4_000,
        linked([normal_link(0.6), square_link(0.8), sine_link(1.5, 0.5)], of_x=turned(3, 4)),
    ),
    "2 x 2, polar": of("smooth", 4_000, mapped(normals(pairs(2, 2, [0.7, 0.5]), 2), polar)),
    # ---- strong
    "normals, correlation 0.9935": of("strong", 250, normals(pairs(1, 1, [0.9935]), 1)),
    "correlation 0.9997, skewed": of(
        "strong", 2_000, mapped(normals(pairs(1, 1, [0.9997]), 1), np.exp, np.sinh)
    ),
    "2 x 2, correlations 0.985 and 0.996": of(
        "strong",
        1_000,
        mapped(normals(pairs(2, 2, [0.985, 0.996]), 2), turned(2, 1), turned(2, 2)),
    ),
    "exponential curve, noise 0.02": of(
        "strong", 4_000, uniform_function(-2, 2, lambda x: np.exp(x / 2), 0.02)
    ),
    "one-sided noise": of("strong", 4_000, one_sided_noise(0.05)),
    "cube with noise, turned": of("strong", 4_000, noisy_cube(0.04, 3)),
    "4 x 4, correlation 0.97": of(
        "strong", 1_000, mapped(normals(pairs(4, 4, [0.97] * 4), 4), turned(4, 5), turned(4, 6))
    ),
    # ---- 4 to 25 columns
    "normals 7 x 6, dense": of("middle", 1_000, normals(scatter(7, 6, 1.0, 11), 7)),
    "normals 20 x 5, correlation 0.35": of("middle", 4_000, normals(equal(20, 5, 0.35), 20)),
    "process 16 x 4, stretched": of(
        "middle", 2_000, mapped(normals(decaying(20, 0.85), 16), np.sinh, np.exp)
    ),
    "normals 12 x 12, 3 pairs": of("middle", 4_000, normals(pairs(12, 12, [0.8, 0.7, 0.6]), 12)),
    "normals 25 x 25, 5 pairs": of(
        "middle", 10_000, mapped(normals(pairs(25, 25, [0.75] * 5), 25), turned(25, 7))
    ),
    "normals 6 x 6, odd margins": of(
        "middle",
        4_000,
        normals(
            scatter(6, 6, 1.2, 12),
            6,
            margins(np.exp, np.cbrt, np.sinh),
            margins(np.arctan, np.exp),
        ),
    ),
    "5 x 5, five links": of(
        "middle",
        10_000,
        linked(
            [
                square_link(0.7),
                sine_link(2.0, 0.5),
                normal_link(0.7),
                normal_link(-0.5),
                square_link(1.0),
            ],
            of_x=turned(5, 8),
        ),
    ),
    "3 of 10 columns": of(
        "middle",
        4_000,
        function(10, lambda x: x[:, 2] * x[:, 5] + np.sin(2 * x[:, 7]), 0.5),
    ),
    "4 x 4, twisted": of(
        "middle",
        4_000,
        mapped(normals(pairs(4, 4, [0.8, 0.8, 0.6]), 4), twisted(0.7), twisted(-0.5)),
    ),
    "12 x 12, mixed by networks": of(
        "middle",
        4_000,
        mapped(normals(pairs(12, 12, [0.9, 0.8]), 12), network(12, 31), network(12, 41)),
    ),
    # ---- heavy tails
    "Student t, 1.5 degrees": of("heavy", 1_000, student(pairs(1, 1, [0.7]), 1, 1.5)),
    "Student t 3 x 2, 2 degrees": of("heavy", 4_000, student(scatter(3, 2, 0.9, 13), 3, 2.0)),
    "Student t 6 x 6, 3 degrees": of(
        "heavy", 4_000, student(pairs(6, 6, [0.6, 0.5, 0.4]), 6, 3.0)
    ),
    "Cauchy plus Cauchy": of("heavy", 2_000, cauchy_noise(0.6)),
    "Pareto times noise": of("heavy", 1_000, heavy(lambda n, r: r.exponential(1 / 1.2, n), 0.6)),
    "volatility": of("heavy", 4_000, volatility(0.9)),
    "2 x 2, common log-normal scale": of("heavy", 4_000, shared_scale(2, 2, 1.0)),
    "bivariate Pareto": of("heavy", 10_000, clayton(1.2, pareto, pareto)),
    # ---- mixtures
    "3 clusters, 1 x 1": of("mixture", 1_000, random_mixture(3, 1, 1, 1.6, 21)),
    "4 round clusters, 2 x 1": of(
        "mixture", 4_000, random_mixture(4, 2, 1, 1.5, 22, dependent=False)
    ),
    "opposite correlations, 2 x 2": of(
        "mixture", 4_000, mixture(np.array([0.6, 0.4]), np.zeros((2, 4)), OPPOSITE, 2)
    ),
    "5 clusters, 3 x 2": of("mixture", 10_000, random_mixture(5, 3, 2, 1.3, 23)),
    "6 round clusters, 5 x 5": of(
        "mixture", 4_000, random_mixture(6, 5, 5, 0.8, 24, dependent=False)
    ),
    "3 clusters, 6 x 4": of("mixture", 10_000, random_mixture(3, 6, 4, 0.9, 25)),
    "3 Student clusters, 2 x 2": of("mixture", 4_000, random_mixture(3, 2, 2, 1.8, 26, dof=3.0)),
    # ---- 100 to 500 rows
    "normals, 100 rows": of("small", 100, normals(pairs(1, 1, [0.6]), 1)),
    "normals 3 x 3, 200 rows": of("small", 200, normals(pairs(3, 3, [0.5, 0.5, 0.4]), 3)),
    "square, 200 rows": of("small", 200, function(1, lambda x: x[:, 0] ** 2, 0.4)),
    "Student t, 150 rows": of("small", 150, student(pairs(1, 1, [0.5]), 1, 2.0)),
    "3 clusters, 300 rows": of("small", 300, random_mixture(3, 1, 1, 2.0, 27, dependent=False)),
    "normals 5 x 5, 300 rows": of("small", 300, normals(scatter(5, 5, 1.0, 14), 5)),
    "volatility, 200 rows": of("small", 200, volatility(0.6)),
    "sine, 400 rows": of("small", 400, uniform_function(-2, 2, lambda x: np.sin(4 * x), 0.35)),
    # ---- 50,000 and 100,000 rows
    "Gumbel copula, 100,000 rows": of("large", 100_000, gumbel(2.4, logit, weibull)),
    "3 x 3, three links, 50,000 rows": of(
        "large",
        50_000,
        linked([normal_link(0.8), square_link(0.6), normal_link(0.4)], of_x=turned(3, 9)),
    ),
    "Student t 2 x 2, 50,000 rows": of("large", 50_000, student(scatter(2, 2, 0.8, 15), 2, 2.5)),
    "normals 10 x 10, 50,000 rows": of("large", 50_000, normals(scatter(10, 10, 0.9, 16), 10)),
    # ---- shapes
    "half circle": of(
        "shape", 2_000, path(lambda t: (np.cos(np.pi * t), np.sin(np.pi * t)), 0.12)
    ),
    "spiral": of(
        "shape",
        4_000,
        path(
            lambda t: ((0.4 + t) * np.cos(5 * np.pi * t), (0.4 + t) * np.sin(5 * np.pi * t)),
            0.07,
        ),
    ),
    "sine, two periods": of(
        "shape", 4_000, uniform_function(0, 1, lambda x: np.sin(4 * np.pi * x), 0.25)
    ),
    "checkerboard": of("shape", 4_000, checkerboard(6)),
    "rolled sheet, 3 x 2": of("shape", 4_000, roll(0.9, (0.8, 0.6))),
    "crossing lines": of("shape", 1_000, cross(1.0, 0.25)),
    "angle and twice the angle": of("shape", 4_000, angle_twice(0.15)),
}
