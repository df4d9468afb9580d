"""Embeddings: many columns that are functions of few shared factors.

Each function returns a draw with the truth, in nats. Maps without noise are invertible, so that they
keep the mutual information of the factors. Small noise of the features takes away a little of it,
which a first-order term accounts for.
"""

__all__ = ["clusters", "factor_model", "features", "hidden", "to_factors"]

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import logsumexp

from suite_columns import Link, linked, network, normal_truth
from suite_truths import Draw, Floats, Pair, Random, Truth, exactly, sampled

Found = tuple[Draw, Truth]
Curve = tuple[Callable[[Floats], Floats], Callable[[Floats], Floats]]  # a function, its slope

WAVE: Curve = (np.sin, np.cos)
TANH: Curve = (np.tanh, lambda t: 1 / np.square(np.cosh(t)))
FOLD: Curve = (np.abs, np.sign)
SPOTS = 400  # places at which the slope of the features is measured


class Features:
    """D features of k factors with noise: f(s W + b) + noise."""

    def __init__(
        self, curve: Curve, factors: int, dim: int, scale: float, seed: int, size: float
    ) -> None:
        random = np.random.default_rng(seed)
        self.curve, self.scale = curve, scale
        self.weights = size * random.standard_normal((factors, dim))
        self.offsets = random.uniform(-math.pi, math.pi, dim)

    def __call__(self, factors: Floats, random: Random) -> Floats:
        """Returns the features (N, D) of factors (N, k)."""
        found = self.curve[0](factors @ self.weights + self.offsets)
        noisy: Floats = found + self.scale * random.standard_normal(found.shape)
        return noisy

    def lost(self) -> float:
        """Returns the mean variance of the factors given the features, summed over factors."""
        factors = np.random.default_rng(3).standard_normal((SPOTS, len(self.weights)))
        slopes = self.curve[1](factors @ self.weights + self.offsets)
        information = np.einsum("nd,id,jd->nij", slopes**2, self.weights, self.weights)
        inverse = np.linalg.inv(information / self.scale**2)
        return float(np.trace(inverse, axis1=1, axis2=2).mean())


def features(x: Features, z: Features | None, rho: float) -> Found:
    """Draws features of factors with correlation rho; without `z`, the factors themselves."""
    count = len(x.weights)
    lost = x.lost() + (0.0 if z is None else z.lost())
    whole = -0.5 * count * math.log1p(-(rho**2))
    # the derivative of -ln(1 - r^2) / 2 as noise of variance v changes r^2 to r^2 / (1 + v)
    truth = whole - 0.5 * rho**2 / (1 - rho**2) * lost

    def draw(rows: int, random: Random) -> Pair:
        u = random.standard_normal((rows, count))
        v = rho * u + math.sqrt(1 - rho**2) * random.standard_normal((rows, count))
        return x(u, random), v if z is None else z(v, random)

    return draw, exactly(truth)


def to_factors(x: Features, rho: float, target: int) -> Found:
    """Draws features, and a noisy copy of one of the factors."""
    draw_all, _ = features(x, None, rho)
    lost = x.lost() / len(x.weights)
    truth = -0.5 * math.log1p(-(rho**2)) - 0.5 * rho**2 / (1 - rho**2) * lost

    def draw(rows: int, random: Random) -> Pair:
        found, factors = draw_all(rows, random)
        return found, factors[:, target]

    return draw, exactly(truth)


def hidden(links: Sequence[Link], dims: tuple[int, int], noise: float, seed: int) -> Found:
    """Draws links, adds columns of small independent noise, and mixes all by invertible maps."""
    maps = [network(dim, seed + 10 * i) for i, dim in enumerate(dims)]
    inner, truth = linked(links)

    def draw(rows: int, random: Random) -> Pair:
        sides = inner(rows, random)
        spare = [noise * random.standard_normal((rows, dim - len(links))) for dim in dims]
        x, z = (
            mapped(np.concatenate([side, rest], axis=1))
            for mapped, side, rest in zip(maps, sides, spare, strict=True)
        )
        return x, z

    return draw, truth


def factor_model(dims: tuple[int, int], factors: int, scale: float, seed: int) -> Found:
    """Draws two linear embeddings of the same normal factors, with noise."""
    random = np.random.default_rng(seed)
    loadings = [random.standard_normal((factors, dim)) / math.sqrt(dim) for dim in dims]
    both = np.concatenate(loadings, axis=1)
    covariance = both.T @ both + scale**2 * np.eye(sum(dims))

    def draw(rows: int, random: Random) -> Pair:
        shared = random.standard_normal((rows, factors))
        x, z = (
            shared @ loading + scale * random.standard_normal((rows, dim))
            for loading, dim in zip(loadings, dims, strict=True)
        )
        return x, z

    return draw, exactly(normal_truth(covariance, dims[0]))


def clusters(dims: tuple[int, int], count: int, agree: float, distance: float, seed: int) -> Found:
    """Draws clusters of embeddings; both sides have the same cluster in a share of the rows."""
    random = np.random.default_rng(seed)
    centres = [distance * random.standard_normal((count, dim)) for dim in dims]
    table = np.full((count, count), (1 - agree) / (count - 1) / count)
    np.fill_diagonal(table, agree / count)

    def draw(rows: int, random: Random) -> Pair:
        cells = random.choice(count**2, rows, p=table.ravel())
        x, z = (
            centre[chosen] + random.standard_normal((rows, dim))
            for centre, chosen, dim in zip(centres, np.divmod(cells, count), dims, strict=True)
        )
        return x, z

    def log_ratio(x: Floats, z: Floats) -> Floats:
        of_x, of_z = (
            side @ centre.T - 0.5 * np.square(centre).sum(axis=1)
            for side, centre in zip((x, z), centres, strict=True)
        )
        joint = logsumexp(of_x[:, :, None] + of_z[:, None, :] + np.log(table), axis=(1, 2))
        even = 2 * math.log(count)
        ratio: Floats = joint - logsumexp(of_x, axis=1) - logsumexp(of_z, axis=1) + even
        return ratio

    return draw, sampled(draw, log_ratio, 200_000)
