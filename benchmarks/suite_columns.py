"""Pairs with several columns: links, normals, Student t, mixtures and invertible maps.

Each function returns a draw with the truth, in nats. Invertible maps of x and of z do not change it.
"""

__all__ = [
    "Link",
    "Map",
    "cauchy_noise",
    "heavy",
    "linked",
    "margins",
    "mixture",
    "network",
    "normal_link",
    "normal_truth",
    "normals",
    "random_mixture",
    "rotation",
    "same",
    "scatter",
    "shared_scale",
    "sine_link",
    "square_link",
    "student",
]

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from scipy.special import digamma, gammaln, logsumexp
from scipy.stats import ortho_group

from suite_truths import (
    Draw,
    Floats,
    Pair,
    Random,
    Truth,
    exactly,
    noisy,
    quasi_normal,
    sampled,
)

Map = Callable[[Floats], Floats]
Link = tuple[Callable[[Floats, Random], Floats], Truth]  # from normal values to another column
SCALES = 48  # nodes of the logarithm of a common scale


def rotation(dim: int, seed: int) -> Floats:
    """Returns a random rotation."""
    turned: Floats = ortho_group.rvs(dim, random_state=seed)
    return turned


def network(dim: int, seed: int) -> Map:
    """Returns an invertible map: a rotation, a wavy monotone function, and another rotation."""
    first, second = rotation(dim, seed), rotation(dim, seed + 1)

    def mapped(t: Floats) -> Floats:
        t = 1.6 * (t @ first)
        return (t + 0.85 * np.sin(t)) @ second

    return mapped


def margins(*maps: Map) -> Map:
    """Returns a map of single columns; the maps are repeated in turn."""

    def mapped(t: Floats) -> Floats:
        return np.stack([maps[i % len(maps)](t[:, i]) for i in range(t.shape[1])], axis=1)

    return mapped


def same(t: Floats) -> Floats:
    """Returns its argument."""
    return t


def normal_link(rho: float) -> Link:
    """Returns a normal column of a given correlation."""

    def z(x: Floats, random: Random) -> Floats:
        return rho * x + math.sqrt(1 - rho**2) * random.standard_normal(len(x))

    return z, exactly(-0.5 * math.log1p(-(rho**2)))


def _curved(curved: Map, scale: float) -> Link:
    def truth(level: int) -> float:
        return noisy(curved(quasi_normal(18 + level, 1, level)[:, 0]), scale)

    return lambda x, random: curved(x) + scale * random.standard_normal(len(x)), truth


def square_link(scale: float) -> Link:
    """Returns the square with noise."""
    return _curved(np.square, scale)


def sine_link(speed: float, scale: float) -> Link:
    """Returns a sine wave with noise."""
    return _curved(lambda x: np.sin(speed * x), scale)


def linked(
    links: Sequence[Link], of_x: Map = same, of_z: Map = same, spare: int = 0
) -> tuple[Draw, Truth]:
    """Draws normal x, and z with one link from each column, then maps both.

    The last `spare` columns are independent.
    """

    def draw(rows: int, random: Random) -> Pair:
        x = random.standard_normal((rows, len(links) + spare))
        z = random.standard_normal((rows, len(links) + spare))
        for column, (link, _) in enumerate(links):
            z[:, column] = link(x[:, column], random)
        return of_x(x), of_z(z)

    return draw, lambda level: sum(truth(level) for _, truth in links)


def normal_truth(covariance: Floats, x_dim: int) -> float:
    """Returns I(x; z) of normals, from log-determinants."""
    x, z = covariance[:x_dim, :x_dim], covariance[x_dim:, x_dim:]
    logs = [float(np.linalg.slogdet(matrix)[1]) for matrix in (x, z, covariance)]
    return 0.5 * (logs[0] + logs[1] - logs[2])


def scatter(x_dim: int, z_dim: int, strength: float, seed: int) -> Floats:
    """Returns a random covariance with correlations everywhere."""
    dim = x_dim + z_dim
    mixing = np.random.default_rng(seed).standard_normal((dim, dim)) * strength / math.sqrt(dim)
    mixing += np.eye(dim)
    covariance: Floats = mixing @ mixing.T
    return covariance


def normals(
    covariance: Floats, x_dim: int, of_x: Map = same, of_z: Map = same
) -> tuple[Draw, Truth]:
    """Draws normals of a covariance, then maps them."""
    factor = np.linalg.cholesky(covariance)

    def draw(rows: int, random: Random) -> Pair:
        both = random.standard_normal((rows, len(factor))) @ factor.T
        return of_x(both[:, :x_dim]), of_z(both[:, x_dim:])

    return draw, exactly(normal_truth(covariance, x_dim))


def student(
    covariance: Floats, x_dim: int, dof: float, of_x: Map = same, of_z: Map = same
) -> tuple[Draw, Truth]:
    """Draws a multivariate Student t with a scatter matrix."""
    normal, truth = normals(covariance, x_dim)
    dim, half = len(covariance), 0.5 * dof

    def entropy(count: int) -> float:  # but for terms that cancel
        moved = half + 0.5 * count
        return float(gammaln(half) - gammaln(moved) + moved * (digamma(moved) - digamma(half)))

    tails = entropy(x_dim) + entropy(dim - x_dim) - entropy(dim)

    def draw(rows: int, random: Random) -> Pair:
        scale = np.sqrt(dof / random.chisquare(dof, (rows, 1)))
        x, z = normal(rows, random)
        return of_x(x * scale), of_z(z * scale)

    return draw, exactly(truth(0) + tails)


def cauchy_noise(scale: float) -> tuple[Draw, Truth]:
    """Draws Cauchy x with Cauchy noise."""

    def draw(rows: int, random: Random) -> Pair:
        x, noise = random.standard_cauchy((2, rows))
        return x, x + scale * noise

    return draw, exactly(math.log1p(1 / scale))


def shared_scale(x_dim: int, z_dim: int, spread: float) -> tuple[Draw, Truth]:
    """Draws independent normals with a common log-normal scale."""
    points, weights = np.polynomial.hermite_e.hermegauss(SCALES)
    log_weights, log_scales = np.log(weights / weights.sum()), spread * points

    def draw(rows: int, random: Random) -> Pair:
        scale = np.exp(spread * random.standard_normal((rows, 1)))
        return (
            scale * random.standard_normal((rows, x_dim)),
            scale * random.standard_normal((rows, z_dim)),
        )

    def log_density(squares: Floats, dim: int) -> Floats:
        logs = log_weights - dim * log_scales - 0.5 * squares[:, None] * np.exp(-2 * log_scales)
        density: Floats = logsumexp(logs, axis=1)
        return density

    def log_ratio(x: Floats, z: Floats) -> Floats:
        of_x, of_z = (np.square(side).sum(axis=1) for side in (x, z))
        joint = log_density(of_x + of_z, x_dim + z_dim)
        return joint - log_density(of_x, x_dim) - log_density(of_z, z_dim)

    return draw, sampled(draw, log_ratio, 2_000_000)


def heavy(log_x: Callable[[int, Random], Floats], scale: float) -> tuple[Draw, Truth]:
    """Draws x from its logarithm, and z = x times log-normal noise."""

    def draw(rows: int, random: Random) -> Pair:
        logs = log_x(rows, random)
        return np.exp(logs), np.exp(logs + scale * random.standard_normal(rows))

    def truth(level: int) -> float:
        return noisy(log_x(4_000_000 * (1 + level), np.random.default_rng(level)), scale)

    return draw, truth


def _log_densities(
    values: Floats, means: Floats, covariances: Floats, dof: float, part: slice
) -> Floats:
    """Returns the log-density of each component, with shape (N, K)."""
    found = []
    for mean, covariance in zip(means[:, part], covariances[:, part, part], strict=True):
        factor = np.linalg.cholesky(covariance)
        squares = np.square(np.linalg.solve(factor, (values - mean).T)).sum(axis=0)
        volume, dim = np.log(np.diag(factor)).sum(), len(mean)
        if math.isinf(dof):
            found.append(-0.5 * squares - volume - 0.5 * dim * math.log(2 * math.pi))
            continue
        constant = math.lgamma(0.5 * (dof + dim)) - math.lgamma(0.5 * dof)
        constant -= 0.5 * dim * math.log(dof * math.pi)
        found.append(constant - volume - 0.5 * (dof + dim) * np.log1p(squares / dof))
    return np.stack(found, axis=1)


def mixture(
    weights: Floats, means: Floats, covariances: Floats, x_dim: int, dof: float = math.inf
) -> tuple[Draw, Truth]:
    """Draws from a mixture of normals or Student t."""
    chances = weights / weights.sum()
    factors = np.linalg.cholesky(covariances)

    def components(rows: int, random: Random) -> Floats:
        chosen = random.choice(len(chances), rows, p=chances)
        noise = random.standard_normal((rows, means.shape[1], 1))
        if not math.isinf(dof):
            noise *= np.sqrt(dof / random.chisquare(dof, (rows, 1, 1)))
        both: Floats = means[chosen] + (factors[chosen] @ noise)[..., 0]
        return both

    def draw(rows: int, random: Random) -> Pair:
        both = components(rows, random)
        return both[:, :x_dim], both[:, x_dim:]

    def log_ratio(x: Floats, z: Floats) -> Floats:
        log_density = partial(_log_densities, means=means, covariances=covariances, dof=dof)
        sides = (
            (np.concatenate([x, z], axis=1), slice(None)),
            (x, slice(x_dim)),
            (z, slice(x_dim, None)),
        )
        joint, of_x, of_z = (
            logsumexp(log_density(values, part=part) + np.log(chances), axis=1)
            for values, part in sides
        )
        ratio: Floats = joint - of_x - of_z
        return ratio

    return draw, sampled(draw, log_ratio, 4_000_000)


def random_mixture(
    components: int,
    x_dim: int,
    z_dim: int,
    distance: float,
    seed: int,
    *,
    dependent: bool = True,
    dof: float = math.inf,
) -> tuple[Draw, Truth]:
    """Draws from a mixture of random clusters, with or without dependence inside them."""
    random, dim = np.random.default_rng(seed), x_dim + z_dim
    sizes = random.uniform(0.3, 1.1, (components, dim))
    covariances = np.stack([np.diag(np.square(row)) for row in sizes])
    if dependent:
        turned = [rotation(dim, 100 * seed + i) for i in range(components)]
        covariances = np.stack([r @ c @ r.T for r, c in zip(turned, covariances, strict=True)])
    means = distance * random.standard_normal((components, dim))
    return mixture(random.uniform(0.5, 1.5, components), means, covariances, x_dim, dof)
