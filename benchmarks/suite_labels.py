"""Labels and the numbers that depend on them.

Each function returns a draw with the truth, in nats.
"""

__all__ = [
    "classes",
    "exclusive_or",
    "groups",
    "laplace_classes",
    "logistic",
    "normal_classes",
    "rings",
]

import math
from collections.abc import Callable

import numpy as np
from scipy.special import entr, expit, i0e, log_softmax
from scipy.stats import norm

from suite_columns import rotation
from suite_truths import REACH, Draw, Floats, Pair, Random, Truth, exactly

Found = tuple[Draw, Truth]
LABELLED = 250_000  # draws in memory at a time, to measure the entropy of labels given numbers


def classes(
    priors: Floats,
    draw_class: Callable[[int, int, Random], Floats],
    log_density: Callable[[Floats], Floats],
) -> Found:
    """Draws labels, and numbers given the label.

    Arguments:
        priors: The probabilities of the C labels.
        draw_class: Draws N rows of a label.
        log_density: Returns the log-density of rows given each label, up to a common term, with
            shape (N, C).
    """

    def draw(rows: int, random: Random) -> Pair:
        label = random.choice(len(priors), rows, p=priors)
        drawn = [draw_class(each, rows, random) for each in range(len(priors))]
        return np.choose(label[:, None], drawn), label

    def truth(level: int) -> float:
        random, uncertain = np.random.default_rng(21 + level), 0.0
        blocks = 4 * (1 + level)
        for _ in range(blocks):
            x, _ = draw(LABELLED, random)
            chances = log_softmax(log_density(x) + np.log(priors), axis=1)
            uncertain -= float((np.exp(chances) * chances).sum(axis=1).mean()) / blocks
        return float(entr(priors).sum()) - uncertain

    return draw, truth


def normal_classes(priors: Floats, means: Floats, covariances: Floats) -> Found:
    """Draws labels and normals."""
    factors = np.linalg.cholesky(covariances)
    inverses = np.linalg.inv(factors)
    volumes = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)

    def draw_class(label: int, rows: int, random: Random) -> Floats:
        normals = random.standard_normal((rows, means.shape[1]))
        drawn: Floats = means[label] + normals @ factors[label].T
        return drawn

    def log_density(x: Floats) -> Floats:
        squares = [
            np.square((x - mean) @ inverse.T).sum(axis=1)
            for mean, inverse in zip(means, inverses, strict=True)
        ]
        density: Floats = -0.5 * np.stack(squares, axis=1) - volumes
        return density

    return classes(priors, draw_class, log_density)


def groups(
    count: int, dim: int, distance: float, seed: int, spread: tuple[float, float] = (1.0, 1.0)
) -> Found:
    """Draws equally likely normal classes with random centres and widths."""
    random = np.random.default_rng(seed)
    means = distance * random.standard_normal((count, dim)) / math.sqrt(dim)
    covariances = []
    for each in range(count):
        turned = rotation(dim, 50 * seed + each)
        covariances.append(turned @ np.diag(random.uniform(*spread, dim) ** 2) @ turned.T)
    return normal_classes(np.full(count, 1 / count), means, np.stack(covariances))


def laplace_classes(count: int, dim: int, distance: float, seed: int) -> Found:
    """Draws equally likely classes of Laplace distributions."""
    means = distance * np.random.default_rng(seed).standard_normal((count, dim))
    return classes(
        np.full(count, 1 / count),
        lambda label, rows, random: means[label] + random.laplace(size=(rows, dim)),
        lambda x: -np.abs(x[:, None] - means).sum(axis=2),
    )


def rings(radii: Floats, scale: float) -> Found:
    """Draws labels of concentric rings with noise."""

    def draw_class(label: int, rows: int, random: Random) -> Floats:
        angle = 2 * math.pi * random.random(rows)
        ring = radii[label] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        drawn: Floats = ring + scale * random.standard_normal((rows, 2))
        return drawn

    def log_density(x: Floats) -> Floats:
        r = np.linalg.norm(x, axis=1)[:, None]
        density: Floats = np.log(i0e(r * radii / scale**2)) - 0.5 * ((r - radii) / scale) ** 2
        return density

    return classes(np.full(len(radii), 1 / len(radii)), draw_class, log_density)


def logistic(dim: int, slope: float, offset: float) -> Found:
    """Draws normal x (N, dim), and a label whose odds depend on their sum."""

    def draw(rows: int, random: Random) -> Pair:
        x = random.standard_normal((rows, dim))
        chance = expit(offset + slope * x.sum(axis=1) / math.sqrt(dim))
        return x, (random.random(rows) < chance).astype(np.int64)

    def truth(level: int) -> float:
        s = np.linspace(-REACH, REACH, 20_000 * (1 + level))
        weights = norm.pdf(s) / norm.pdf(s).sum()
        chance = expit(offset + slope * s)
        mean = float(weights @ chance)
        uncertain = float(weights @ (entr(chance) + entr(1 - chance)))
        return float(entr(mean) + entr(1 - mean)) - uncertain

    return draw, truth


def exclusive_or(dim: int, flips: float) -> Found:
    """Draws a label: whether two of the columns have the same sign, with errors."""

    def draw(rows: int, random: Random) -> Pair:
        x = random.standard_normal((rows, dim))
        label = (x[:, 0] * x[:, 1] > 0) ^ (random.random(rows) < flips)
        return x, label.astype(np.int64)

    return draw, exactly(math.log(2) - float(entr(flips) + entr(1 - flips)))
