"""Pairs of many columns with known mutual information, in nats.

An embedding is a nonlinear map of a few factors into many columns plus a little noise. If the map
can be inverted, two embeddings share what their factors share.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from mivae_cli.estimators.samplers import (
    SAMPLERS,
    CorrelatedGaussian,
    Independent,
    Sampler,
    SparseGaussian,
    StudentT,
)

Floats = NDArray[np.float64]
Random = np.random.Generator
Pair = tuple[Floats, Floats]
Draw = Callable[[int, int], Pair]
Factors = Callable[[int, Random], Pair]


@dataclass(frozen=True)
class Task:
    """Pairs of embeddings."""

    name: str
    kind: str
    truth: float
    draw: Draw  # (rows, seed) -> x, z
    held_back: bool = False  # whether it was first tried after all choices were made


# Factors -------------------------------------------------------------------------------------


def correlated(rhos: list[float]) -> tuple[Factors, float]:
    """Returns pairs of normal factors with these correlations."""
    rho = np.array(rhos)

    def draw(rows: int, random: Random) -> Pair:
        u = random.standard_normal((rows, len(rho)))
        return u, rho * u + np.sqrt(1 - rho**2) * random.standard_normal(u.shape)

    return draw, float(-0.5 * np.log1p(-(rho**2)).sum())


def heavy(count: int, dof: int, rho: float) -> tuple[Factors, float]:
    """Returns pairs of factors that are Student t together, each pair with its own scale."""

    def draw(rows: int, random: Random) -> Pair:
        u = random.standard_normal((rows, count))
        v = rho * u + math.sqrt(1 - rho**2) * random.standard_normal(u.shape)
        scale = np.sqrt(dof / random.chisquare(dof, (rows, count)))
        return u * scale, v * scale

    of_tails = StudentT(1, 1, dof=dof).mutual_information
    return draw, count * (of_tails - 0.5 * math.log1p(-(rho**2)))


def clusters(
    levels: int, kept: float, count: int = 3, spread: float = 0.15
) -> tuple[Factors, float]:
    """Returns points around centres; a share `kept` of z is in the same cluster as x."""

    def draw(rows: int, random: Random) -> Pair:
        centres = 1.5 * random.standard_normal((2, levels, count))
        of_u = random.integers(levels, size=rows)
        moved = random.random(rows) >= kept
        of_v = np.where(moved, (of_u + random.integers(1, levels, size=rows)) % levels, of_u)
        noise = spread * random.standard_normal((2, rows, count))
        return centres[0][of_u] + noise[0], centres[1][of_v] + noise[1]

    lost = (1 - kept) * math.log(levels - 1) - (1 - kept) * math.log(1 - kept)
    return draw, math.log(levels) - lost + kept * math.log(kept)


def even(rhos: list[float]) -> tuple[Factors, float]:
    """Returns factors of which only the magnitude of u tells something about v."""
    draw_pairs, truth = correlated(rhos)

    def draw(rows: int, random: Random) -> Pair:
        scores, v = draw_pairs(rows, random)
        magnitude = ndtri(0.5 + 0.5 * ndtr(scores))
        return magnitude * random.choice([-1.0, 1.0], scores.shape), v

    return draw, truth


# Maps ----------------------------------------------------------------------------------------


def mapped(kind: str, factors: Floats, columns: int, random: Random) -> Floats:
    """Returns a random map of factors (rows, factors) to columns, without noise."""
    weights = random.standard_normal((factors.shape[1], columns))
    offsets = random.standard_normal(columns)
    match kind:
        case "none":
            return factors
        case "linear":
            return factors @ weights
        case "sine":
            return np.sin(0.7 * factors @ weights + 2 * np.pi * random.random(columns))
        case "fast sine":
            return np.sin(1.1 * factors @ weights + 2 * np.pi * random.random(columns))
        case "tanh":
            return np.tanh(factors @ weights + offsets)
        case "relu":
            return np.maximum(factors @ weights + offsets, 0)
        case "squares":
            return 0.5 * (factors @ weights + offsets) ** 2
        case _:  # two layers
            hidden = np.tanh(factors @ random.standard_normal((factors.shape[1], 48)) + 0.5)
            return np.tanh(hidden @ random.standard_normal((48, columns)) / 4)


def embedded(
    factors: tuple[Factors, float],
    maps: tuple[str, str],
    columns: tuple[int, int],
    noise: float = 0.05,
    private: int = 0,
) -> tuple[Draw, float]:
    """Returns embeddings of factors, and of `private` factors of each that are independent."""

    def draw(rows: int, seed: int) -> Pair:
        random = np.random.default_rng(seed)
        out = []
        for values, kind, size in zip(factors[0](rows, random), maps, columns, strict=True):
            own = random.standard_normal((rows, private))
            image = mapped(kind, np.concatenate([values, own], axis=1), size, random)
            level = noise * image.std() if kind != "none" else 0.0
            out.append(image + level * random.standard_normal(image.shape))
        return out[0], out[1]

    return draw, factors[1]


def sampled(sampler: Sampler) -> tuple[Draw, float]:
    """Returns the pairs of a sampler."""

    def draw(rows: int, seed: int) -> Pair:
        x, z = sampler.draw(rows, seed)
        return x.numpy(), z.numpy()

    return draw, sampler.mutual_information


def tasks() -> list[Task]:
    """Returns all tasks."""
    three, none = correlated([0.8] * 3), correlated([0.0] * 3)
    found = {
        "embeddings": {
            "sines, 64 and 64": embedded(three, ("sine", "sine"), (64, 64)),
            "sines, 16 and 8": embedded(three, ("sine", "sine"), (16, 8)),
            "sines, 512 and 512": embedded(three, ("sine", "sine"), (512, 512)),
            "tanh, 128 and 32": embedded(correlated([0.9, 0.6]), ("tanh", "tanh"), (128, 32)),
            "relu, 32 and 100": embedded(correlated([0.7] * 5), ("relu", "relu"), (32, 100)),
            "linear and sine, 40 and 80": embedded(three, ("linear", "sine"), (40, 80)),
            "clusters, 64 and 64": embedded(clusters(8, 0.8), ("sine", "tanh"), (64, 64)),
            "heavy tails, 48 and 48": embedded(heavy(2, 2, 0.6), ("linear", "tanh"), (48, 48)),
            "unequal factors, 64 and 64": embedded(
                correlated([0.95, 0.7, 0.4]), ("sine", "sine"), (64, 64)
            ),
            "private factors, 64 and 64": embedded(
                correlated([0.8, 0.8]), ("sine", "tanh"), (64, 64), private=2
            ),
            "magnitudes, 64 and 64": embedded(even([0.8, 0.8]), ("sine", "sine"), (64, 64)),
        },
        "few columns": {
            "sines, 64 and 3 numbers": embedded(three, ("sine", "none"), (64, 3)),
            "relu, 256 and 1 number": embedded(correlated([0.9]), ("relu", "none"), (256, 1)),
        },
        "independent": {
            "sines, 64 and 64": embedded(none, ("sine", "sine"), (64, 64)),
            "relu, 16 and 8": embedded(none, ("relu", "relu"), (16, 8)),
        },
        "Gaussian": {
            "dense, 50 and 50": sampled(SAMPLERS["dense"]),
            "2 pairs of 25 and 25": sampled(SparseGaussian(25, 25, pairs=2, correlation=0.8)),
            "20 pairs, 2 nats": sampled(CorrelatedGaussian.of_information(20, 2.0)),
            "20 pairs, 6 nats": sampled(CorrelatedGaussian.of_information(20, 6.0)),
        },
    }
    held_back = {
        "embeddings": {
            "squares, 96 and 24": embedded(
                correlated([0.85] * 2), ("squares", "squares"), (96, 24)
            ),
            "networks, 200 and 50": embedded(
                correlated([0.8] * 4), ("network", "network"), (200, 50)
            ),
            "fast sines, 128 and 128": embedded(three, ("fast sine", "fast sine"), (128, 128)),
            "network and relu, 12 and 300": embedded(
                correlated([0.9, 0.5]), ("network", "relu"), (12, 300)
            ),
            "1 factor, 24 and 24": embedded(correlated([0.97]), ("sine", "network"), (24, 24)),
            "6 factors, 100 and 100": embedded(
                correlated([0.65] * 6), ("tanh", "sine"), (100, 100)
            ),
            "4 clusters, 32 and 500": embedded(
                clusters(4, 0.9, 2), ("network", "relu"), (32, 500)
            ),
            "heavy tails, 30 and 60": embedded(heavy(3, 3, 0.5), ("relu", "linear"), (30, 60)),
            "private factors, 80 and 40": embedded(
                correlated([0.9, 0.7, 0.5]), ("network", "relu"), (80, 40), private=3
            ),
            "magnitudes, 100 and 20": embedded(even([0.9]), ("tanh", "network"), (100, 20)),
            "more noise, 128 and 128": embedded(
                three, ("network", "sine"), (128, 128), noise=0.15
            ),
        },
        "few columns": {
            "networks, 100 and 2 numbers": embedded(
                correlated([0.7, 0.9]), ("network", "none"), (100, 2)
            ),
            "sines, 30 and 1 number": embedded(
                correlated([0.8]), ("sine", "none"), (30, 1), private=2
            ),
        },
        "independent": {
            "networks, 128 and 32": embedded(none, ("network", "network"), (128, 32)),
            "tanh, 300 and 2 numbers": embedded(correlated([0.0] * 2), ("tanh", "none"), (300, 2)),
            "normals, 20 and 20": sampled(Independent(20, 20)),
        },
        "Gaussian": {
            "5 pairs of 100 and 30": sampled(SparseGaussian(100, 30, pairs=5, correlation=0.6)),
            "20 pairs, 10 nats": sampled(CorrelatedGaussian.of_information(20, 10.0)),
        },
    }
    return [
        Task(name, kind, truth, draw, group is held_back)
        for group in (found, held_back)
        for kind, members in group.items()
        for name, (draw, truth) in members.items()
    ]
