"""The tasks of the suite, by kind: pairs of known mutual information from 1 to 512 columns.

Tasks that were added after the first run of the suite are marked as `later`.
"""

__all__ = ["KINDS", "TASKS"]

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from suite_columns import normal_link, normals, random_mixture, square_link
from suite_embeddings import (
    FOLD,
    TANH,
    WAVE,
    Features,
    clusters,
    factor_model,
    features,
    hidden,
    to_factors,
)
from suite_labels import (
    exclusive_or,
    groups,
    laplace_classes,
    logistic,
    normal_classes,
    rings,
)
from suite_later_columns import LATER_COLUMNS
from suite_later_labels import LATER_LABELS
from suite_levels import (
    banded,
    channel_of_letters,
    counts,
    degrees,
    dirichlet,
    flags,
    number_and_label,
    rain,
    rounded,
    scale_of_five,
    tobit,
    two_columns,
    zipf,
)
from suite_numbers import NUMBERS, decaying, mapped, of, pairs
from suite_truths import Draw, Pair, Random, Task, Truth, exactly

Found = tuple[Draw, Truth]
Side = Callable[[int, Random], NDArray[Any]]  # N rows of x or of z


def independent(x: Side, z: Side) -> Found:
    """Draws x and z independently."""

    def draw(rows: int, random: Random) -> Pair:
        return x(rows, random), z(rows, random)

    return draw, exactly(0.0)


def side(found: Found, which: int = 0) -> Side:
    """Returns the draw of x or z alone."""
    return lambda rows, random: found[0](rows, random)[which]


TASKS: dict[str, Task] = NUMBERS | {
    # ---- embeddings
    "16 x 16, hidden factors": of(
        "embedding", 1_000, hidden([normal_link(0.9), normal_link(0.8)], (16, 16), 0.2, 51)
    ),
    "64 x 32, tanh": of(
        "embedding",
        2_000,
        features(Features(TANH, 4, 64, 0.05, 61, 0.6), Features(TANH, 4, 32, 0.05, 62, 0.6), 0.75),
    ),
    "128 x 128, waves": of(
        "embedding",
        4_000,
        features(Features(WAVE, 2, 128, 0.1, 63, 1.0), Features(WAVE, 2, 128, 0.1, 64, 1.0), 0.9),
    ),
    "512 x 256, folds": of(
        "embedding",
        1_000,
        features(Features(FOLD, 3, 512, 0.2, 65, 1.0), Features(FOLD, 3, 256, 0.2, 66, 1.0), 0.85),
    ),
    "256 x 256, factor model": of("embedding", 4_000, factor_model((256, 256), 5, 0.4, 67)),
    "32 columns and 3 factors": of(
        "embedding", 1_000, features(Features(WAVE, 3, 32, 0.05, 68, 0.8), None, 0.8)
    ),
    "100 columns and a number": of(
        "embedding", 1_000, to_factors(Features(TANH, 3, 100, 0.1, 69, 0.8), 0.9, 1)
    ),
    "64 x 64, curved links": of(
        "embedding", 4_000, hidden([square_link(0.5), normal_link(0.7)], (64, 64), 0.1, 71)
    ),
    "48 x 48, 8 clusters": of("embedding", 2_000, clusters((48, 48), 8, 0.8, 0.9, 81)),
    # ---- labels
    "binary label of a number": of("label", 500, logistic(1, 2.0, 0.5), "z"),
    "binary, 16 columns": of("label", 1_000, groups(2, 16, 1.8, 91, (0.6, 1.4)), "z"),
    "10 classes, 8 columns": of("label", 4_000, groups(10, 8, 2.8, 92), "z"),
    "10 classes, 32 columns": of("label", 10_000, groups(10, 32, 2.6, 93, (0.8, 1.2)), "z"),
    "3 rings": of("label", 2_000, rings(np.array([0.6, 1.3, 2.0]), 0.3), "z"),
    "4 Laplace classes, 3 columns": of("label", 1_000, laplace_classes(4, 3, 1.3, 94), "z"),
    "rare label, 4 columns": of(
        "label",
        4_000,
        normal_classes(
            np.array([0.95, 0.05]),
            np.array([[0.0] * 4, [1.2, 0.8, 0.0, -0.8]]),
            np.stack([np.eye(4), 0.7 * np.eye(4)]),
        ),
        "z",
    ),
    "same sign, 5 columns, errors": of("label", 4_000, exclusive_or(5, 0.1), "z"),
    # ---- codes
    "3 x 4 levels": of("codes", 300, dirichlet(3, 4, 1.5, 101), "xz"),
    "20 x 20 levels, banded": of("codes", 2_000, banded(20, 1.5), "xz"),
    "2 + 2 columns": of("codes", 4_000, two_columns(102), "xz"),
    "letters": of("codes", 100, channel_of_letters(0.3), "xz"),
    "40 x 6 levels, Zipf": of("codes", 1_000, zipf(40, 6, 0.4, 103), "xz"),
    # ---- numbers with levels, zeros or ties
    "rain": of("mixed", 2_000, rain(0.3, 0.1, 0.8)),
    "number and label": of("mixed", 1_000, number_and_label(np.array([-1.5, 0.0, 2.0]), 0.8, 0.6)),
    "counts": of("mixed", 4_000, counts(2.5, 0.9)),
    "cut off at 0": of("mixed", 1_000, tobit(1.0, 0.5)),
    "flags and numbers": of("mixed", 4_000, flags(0.8, (0.9, 0.3))),
    "rounded normals": of("ties", 4_000, rounded(0.85, (0.1, 0.25))),
    "bounded margins": of(
        "ties",
        1_000,
        mapped(
            normals(pairs(1, 1, [0.8]), 1),
            lambda x: np.sin(0.5 * np.pi * ndtr(x)) ** 2,
            lambda z: ndtr(z) ** 3,
        ),
    ),
    "scale of five": of("ties", 500, scale_of_five(0.7), "x"),
    "percentages": of("ties", 2_000, degrees(0.9, 100)),
    # ---- independent
    "null: 1 x 1, 100 rows": of(
        "null", 100, independent(lambda n, r: r.standard_normal(n), lambda n, r: r.random(n))
    ),
    "null: Cauchy and normal": of(
        "null",
        1_000,
        independent(lambda n, r: r.standard_cauchy(n), lambda n, r: r.standard_normal(n)),
    ),
    "null: 20 x 20": of(
        "null",
        1_000,
        independent(
            side(normals(decaying(40, 0.6), 20)), lambda n, r: r.exponential(size=(n, 20))
        ),
    ),
    "null: 3 x 3 Pareto": of(
        "null",
        4_000,
        independent(lambda n, r: r.pareto(1.1, (n, 3)), lambda n, r: r.pareto(1.1, (n, 3))),
    ),
    "null: 6 labels, 8 columns": of(
        "null",
        500,
        independent(side(groups(3, 8, 2.0, 95)), lambda n, r: r.integers(6, size=n)),
        "z",
    ),
    "null: 2 x 2 mixtures": of(
        "null",
        10_000,
        independent(
            side(random_mixture(4, 2, 2, 2.0, 28)), side(random_mixture(3, 2, 2, 2.0, 29), 1)
        ),
    ),
    "null: 128 x 128": of(
        "null",
        1_000,
        independent(
            side(factor_model((128, 128), 4, 0.3, 111)),
            side(factor_model((128, 128), 6, 0.3, 112)),
        ),
    ),
    "null: 8 x 8 levels": of(
        "null",
        200,
        independent(lambda n, r: r.integers(8, size=n), lambda n, r: r.integers(8, size=n)),
        "xz",
    ),
}
TASKS |= {name: replace(t, later=True) for name, t in (LATER_COLUMNS | LATER_LABELS).items()}

KINDS = tuple(dict.fromkeys(task.kind for task in TASKS.values()))
