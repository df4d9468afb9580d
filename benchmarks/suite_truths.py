"""Tasks of known mutual information, and the integrals that give it, in nats.

The truth of a task is a function of a level: level 1 uses a finer grid, or more and other draws, than
level 0. The difference shows the error, which must be below 0.002.

Shapes: N rows, X and Z columns.
"""

__all__ = [
    "Draw",
    "Floats",
    "Nodes",
    "Pair",
    "Random",
    "Task",
    "Truth",
    "channel",
    "copula",
    "curve",
    "exactly",
    "mean_ratio",
    "nodes",
    "noisy",
    "noisy_plane",
    "quasi_normal",
    "sampled",
]

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.special import expit, ndtr, ndtri, xlogy
from scipy.stats import norm, qmc

Floats = NDArray[np.float64]
Random = np.random.Generator
Pair = tuple[NDArray[Any], NDArray[Any]]
Draw = Callable[[int, Random], Pair]  # N rows of x and z
Truth = Callable[[int], float]
Nodes = tuple[Floats, Floats]  # values and their probabilities

BLOCK = 256  # nodes of x in memory at a time
DRAWN = 100_000  # draws in memory at a time
BINS = 60  # of a signal, in a standard deviation of its noise
REACH = 9.0  # standard deviations of a normal that an integral covers


@dataclass(frozen=True)
class Task:
    """Pairs of known mutual information.

    Attributes:
        kind: The kind of data, for the summary.
        rows: The number of rows drawn.
        draw: Draws N rows of x and z, each with shape (N,) or (N, columns).
        truth: I(x; z) in nats, at a level of accuracy.
        labels: The variables of labels or codes only: "", "x", "z" or "xz".
        later: Whether it was added after the first run of the suite.
    """

    kind: str
    rows: int
    draw: Draw
    truth: Truth
    labels: str = ""
    later: bool = False


def exactly(nats: float) -> Truth:
    """Returns a truth in closed form."""
    return lambda _level: float(nats)


def sampled(draw: Draw, log_ratio: Callable[[Floats, Floats], Floats], draws: int) -> Truth:
    """Returns the mean log-ratio of draws as a truth."""
    return lambda level: mean_ratio(draw, log_ratio, draws * (1 + level), 77 + level)


def mean_ratio(
    draw: Draw, log_ratio: Callable[[Floats, Floats], Floats], draws: int, seed: int
) -> float:
    """Returns the mean of log p(x, z) / p(x) p(z) over draws."""
    random, total = np.random.default_rng(seed), 0.0
    blocks = max(1, draws // DRAWN)
    for _ in range(blocks):
        total += float(log_ratio(*draw(DRAWN, random)).mean())
    return total / blocks


def quasi_normal(power: int, dim: int, seed: int) -> Floats:
    """Returns 2^power evenly spread normal vectors, with shape (2^power, dim)."""
    uniform = qmc.Sobol(dim, seed=seed).random_base2(power)
    normals: Floats = ndtri(np.clip(uniform, 1e-12, 1 - 1e-12))
    return normals


def nodes(quantile: Callable[[Floats], Floats], count: int = 1_000) -> Nodes:
    """Returns values of a distribution with their probabilities, tails included."""
    t = np.linspace(-25, 25, count)
    u: Floats = expit(t)
    weights = u * expit(-t)
    return quantile(u), weights / weights.sum()


def channel(
    density: Callable[[Floats, Floats], Floats], x: Nodes, z: Floats, counts: bool = False
) -> float:
    """Returns I(x; z) of a density p(z | x), by the trapezoid rule on a grid of z.

    `density` takes z of shape (1, L) and x of shape (K, 1). If z is a count, its probabilities are
    summed.
    """
    widths = np.ones(len(z))
    if not counts:
        widths = 0.5 * np.diff(z, prepend=z[0]) + 0.5 * np.diff(z, append=z[-1])
    margin, given = np.zeros(len(z)), 0.0
    for start in range(0, len(x[0]), BLOCK):
        values, weights = (part[start : start + BLOCK] for part in x)
        chances = density(z[None, :], values[:, None])
        margin += weights @ chances
        given += float(weights @ xlogy(chances, chances) @ widths)
    return given - float(xlogy(margin, margin) @ widths)


def noisy(signal: Floats, scale: float) -> float:
    """Returns I(s; s + e) of a signal, given as many equally likely values, and normal noise."""
    step = scale / BINS
    low = float(signal.min()) - REACH * scale
    size = int((float(signal.max()) + REACH * scale - low) / step) + 2
    place, share = np.divmod((signal - low) / step, 1)
    at = place.astype(np.int64)
    mass = np.bincount(at, 1 - share, size) + np.bincount(at + 1, share, size)
    reach = int(REACH * BINS)
    kernel = norm.pdf(np.arange(-reach, reach + 1) * step, scale=scale)
    length = 1 << (size + len(kernel)).bit_length()
    spectrum = np.fft.rfft(mass / len(signal), length) * np.fft.rfft(kernel, length)
    density = np.maximum(np.fft.irfft(spectrum, length), 0)
    entropy = -float(xlogy(density, density).sum()) * step
    return entropy - 0.5 * math.log(2 * math.pi * math.e * scale**2)


def noisy_plane(signal: Floats, scale: float, bins: int) -> float:
    """Returns I(s; s + e) of a signal (N, 2), given as equally likely values, and normal noise."""
    step = scale / bins
    low = signal.min(axis=0) - REACH * scale
    sizes = ((signal.max(axis=0) + REACH * scale - low) / step).astype(np.int64) + 2
    at, share = np.divmod((signal - low) / step, 1)
    cells, mass = at.astype(np.int64), np.zeros(sizes.prod())
    for corner in ((0, 0), (0, 1), (1, 0), (1, 1)):
        weights = np.where(np.array(corner) == 1, share, 1 - share).prod(axis=1)
        places = (cells + corner) @ np.array([sizes[1], 1])
        mass += np.bincount(places, weights, len(mass))
    # the bins spread each value by step^2 / 6 already
    spread = math.sqrt(bins**2 - 1 / 6)
    density = gaussian_filter(mass.reshape(sizes), spread, mode="constant", truncate=REACH)
    density /= len(signal) * step**2
    entropy = -float(xlogy(density, density).sum()) * step**2
    return entropy - math.log(2 * math.pi * math.e * scale**2)


def curve(x: Floats, z: Floats, scale: float, level: int = 0) -> float:
    """Returns I of noisy points on a curve, given as many equally likely points."""
    step = scale / (4 * (1 + level))
    grids = [np.arange(side.min() - 7 * scale, side.max() + 7 * scale, step) for side in (x, z)]
    of_x, of_z = (
        norm.pdf(grid[None, :], side[:, None], scale)
        for grid, side in zip(grids, (x, z), strict=True)
    )
    joint = of_x.T @ of_z / len(x)
    margins = of_x.mean(axis=0), of_z.mean(axis=0)
    both = float(xlogy(joint, joint).sum()) * step**2
    return both - sum(float(xlogy(margin, margin).sum()) * step for margin in margins)


def copula(log_density: Callable[[Floats, Floats], Floats], level: int = 0) -> float:
    """Returns the mutual information of a copula, integrated over normal scores."""
    score = np.linspace(-8, 8, 1_200 * (1 + level))
    weights = norm.pdf(score) * (score[1] - score[0])
    u = ndtr(score)
    logs = log_density(u[:, None], u[None, :])
    return float(weights @ (np.exp(logs) * logs) @ weights)
