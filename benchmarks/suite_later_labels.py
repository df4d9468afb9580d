"""Tasks with a label that were added after the first run of the suite.

By then, tasks of this kind had been looked at while the estimate was improved. Those below had not:
they were fixed before the first measurement with them.
"""

__all__ = ["LATER_LABELS", "chosen_by", "given_class"]

import math
from collections.abc import Callable

import numpy as np
from scipy.special import entr, gammaln, log_softmax, logsumexp, ndtr, softmax

from suite_columns import Map, margins, rotation, same
from suite_labels import normal_classes
from suite_later_columns import chained, coupling, mixing
from suite_numbers import Found, decaying, logit, of
from suite_truths import Floats, Pair, Random, Task, quasi_normal

BLOCK = 100_000  # draws in memory at a time
Numbers = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


def with_errors(chances: Floats, errors: float) -> Floats:
    """Returns the chances of C labels if a share of them is replaced by any label."""
    changed: Floats = (1 - errors) * chances + errors / chances.shape[1]
    return changed


def drawn_label(chances: Floats, random: Random) -> Numbers:
    """Draws a label from each row of chances."""
    steps = chances[:, :-1].cumsum(axis=1)
    found: Numbers = (random.random((len(chances), 1)) > steps).sum(axis=1)
    return found


def chosen_by(logits: Map, dim: int, of_x: Map = same, errors: float = 0.0) -> Found:
    """Draws normal columns, and a label whose chances are functions of them, then maps the columns."""

    def chances(x: Floats) -> Floats:
        return with_errors(softmax(logits(x), axis=1), errors)

    def draw(rows: int, random: Random) -> Pair:
        x = random.standard_normal((rows, dim))
        return of_x(x), drawn_label(chances(x), random)

    def truth(level: int) -> float:
        given = chances(quasi_normal(18 + level, dim, level))
        return float(entr(given.mean(axis=0)).sum() - entr(given).sum(axis=1).mean())

    return draw, truth


def given_class(
    priors: Floats,
    draw_given: Callable[[Numbers, Random], Floats],
    log_density: Map,
    of_x: Map = same,
    errors: float = 0.0,
) -> Found:
    """Draws a label and numbers given the label, then replaces some labels and maps the numbers.

    Arguments:
        priors: The probabilities of the C labels.
        draw_given: Draws one row for each label.
        log_density: Returns the log-density of rows given each label, up to a common term, with
            shape (N, C).
        of_x: An invertible map.
        errors: The share of labels that are replaced by any label.
    """
    count, log_priors = len(priors), np.log(priors)

    def rows_of(rows: int, random: Random) -> tuple[Floats, Numbers]:
        label = random.choice(count, rows, p=priors)
        return draw_given(label, random), label

    def draw(rows: int, random: Random) -> Pair:
        x, label = rows_of(rows, random)
        wrong = random.random(rows) < errors
        return of_x(x), np.where(wrong, random.integers(count, size=rows), label)

    def truth(level: int) -> float:
        random, uncertain, blocks = np.random.default_rng(31 + level), 0.0, 10 * (1 + level)
        for _ in range(blocks):
            x, _ = rows_of(BLOCK, random)
            chances = np.exp(log_softmax(log_density(x) + log_priors, axis=1))
            uncertain += float(entr(with_errors(chances, errors)).sum(axis=1).mean()) / blocks
        return float(entr(with_errors(priors[None], errors)).sum()) - uncertain

    return draw, truth


def clustered(count: int, clusters: int, dim: int, distance: float, seed: int) -> Found:
    """Draws classes of several round clusters each, of different widths."""
    random = np.random.default_rng(seed)
    centres = distance * random.standard_normal((count, clusters, dim))
    widths = random.uniform(0.4, 1.0, (count, clusters, 1))

    def draw_given(label: Numbers, random: Random) -> Floats:
        which = random.integers(clusters, size=len(label))
        noise = random.standard_normal((len(label), dim))
        drawn: Floats = centres[label, which] + widths[label, which] * noise
        return drawn

    def log_density(x: Floats) -> Floats:
        moved = (x[:, None, None] - centres) / widths
        logs = -0.5 * np.square(moved).sum(axis=3) - dim * np.log(widths[..., 0])
        density: Floats = logsumexp(logs, axis=2)
        return density

    return given_class(np.full(count, 1 / count), draw_given, log_density)


def linear_classes(
    priors: Floats, covariance: Floats, distance: float, seed: int, errors: float = 0.0
) -> Found:
    """Draws normal classes of a common covariance."""
    factor, random = np.linalg.cholesky(covariance), np.random.default_rng(seed)
    dim = len(factor)
    centres = distance * random.standard_normal((len(priors), dim)) / math.sqrt(dim)
    inverse = np.linalg.inv(factor)

    def draw_given(label: Numbers, random: Random) -> Floats:
        drawn: Floats = (centres[label] + random.standard_normal((len(label), dim))) @ factor.T
        return drawn

    def log_density(x: Floats) -> Floats:
        density: Floats = (x @ inverse.T) @ centres.T - 0.5 * np.square(centres).sum(axis=1)
        return density

    return given_class(priors, draw_given, log_density, errors=errors)


def gamma_classes(priors: Floats, shapes: Floats, scales: Floats) -> Found:
    """Draws classes of independent gamma columns; `shapes` and `scales` are (C, D)."""

    def draw_given(label: Numbers, random: Random) -> Floats:
        return random.gamma(shapes[label], scales[label])

    def log_density(x: Floats) -> Floats:
        constant = (gammaln(shapes) + shapes * np.log(scales)).sum(axis=1)
        density: Floats = np.log(x) @ (shapes - 1).T - x @ (1 / scales).T - constant
        return density

    return given_class(priors, draw_given, log_density)


def latent_classes(
    count: int, dims: tuple[int, int], distance: float, of_x: Map, seed: int
) -> Found:
    """Draws classes in the first of a number of normal columns, then maps the columns."""
    centres = distance * np.random.default_rng(seed).standard_normal((count, dims[0]))

    def draw_given(label: Numbers, random: Random) -> Floats:
        drawn = random.standard_normal((len(label), dims[1]))
        drawn[:, : dims[0]] += centres[label]
        return drawn

    def log_density(x: Floats) -> Floats:
        density: Floats = x[:, : dims[0]] @ centres.T - 0.5 * np.square(centres).sum(axis=1)
        return density

    return given_class(np.full(count, 1 / count), draw_given, log_density, of_x)


def few_of_many(x: Floats) -> Floats:
    """Returns the log-odds of a label that depends on four columns."""
    score = 1.2 * x[:, 0] - 0.9 * x[:, 3] + 0.7 * x[:, 7] - 0.6 * x[:, 12] - 0.8
    return np.stack([np.zeros(len(x)), score], axis=1)


def interactions(x: Floats) -> Floats:
    """Returns the logits of four labels with products and curves of columns."""
    logits = [
        np.zeros(len(x)),
        1.5 * x[:, 0] * x[:, 1] + 0.5 * x[:, 2],
        1.2 * x[:, 2] - 1.2 * np.abs(x[:, 3]) + 0.8,
        1.5 * np.sin(2 * x[:, 4]) - x[:, 0] - 0.3,
    ]
    return np.stack(logits, axis=1)


def several_lines(seed: int) -> Map:
    """Returns the logits of a multinomial model of five labels and twelve columns."""
    random = np.random.default_rng(seed)
    slopes, offsets = 0.7 * random.standard_normal((12, 5)), 0.7 * random.standard_normal(5)
    slopes[[2, 5, 9]] = 0
    return lambda x: x @ slopes + offsets


def quadratic(seed: int) -> Found:
    """Draws three normal classes of ten columns with different covariances."""
    random, covariances = np.random.default_rng(seed), []
    for each in range(3):
        turned = rotation(10, 70 * seed + each)
        covariances.append(turned @ np.diag(random.uniform(0.6, 1.5, 10) ** 2) @ turned.T)
    means = 0.3 * random.standard_normal((3, 10))
    return normal_classes(np.array([0.5, 0.3, 0.2]), means, np.stack(covariances))


SIZES = 1 / np.arange(1, 41) ** 0.7  # of forty labels

LATER_LABELS: dict[str, Task] = {
    "binary, 4 of 20 skewed columns": of(
        "label",
        1_000,
        chosen_by(few_of_many, 20, chained(mixing(20, 0.5, 301), margins(np.exp, same))),
        "z",
    ),
    "5 classes, 12 columns, multinomial": of(
        "label",
        3_000,
        chosen_by(
            several_lines(302), 12, margins(same, np.sinh, lambda x: logit(ndtr(x)), np.exp)
        ),
        "z",
    ),
    "3 classes, 10 columns, quadratic": of("label", 2_000, quadratic(303), "z"),
    "7 classes of clusters, 2 columns": of("label", 1_500, clustered(7, 3, 2, 1.8, 304), "z"),
    "4 classes, 8 columns, interactions": of(
        "label", 10_000, chosen_by(interactions, 8, mixing(8, 0.4, 305), 0.05), "z"
    ),
    "40 classes, 64 columns, errors": of(
        "label",
        10_000,
        linear_classes(SIZES / SIZES.sum(), decaying(64, 0.5), 3.5, 306, 0.1),
        "z",
    ),
    "binary, 4 gamma columns": of(
        "label",
        300,
        gamma_classes(
            np.array([0.7, 0.3]),
            np.array([[1.5, 2.0, 1.0, 3.0], [2.5, 2.0, 1.3, 2.0]]),
            np.array([[1.0, 1.0, 2.0, 0.5], [1.0, 1.6, 1.4, 0.7]]),
        ),
        "z",
    ),
    "12 classes, 4 factors in 24 columns": of(
        "label",
        4_000,
        latent_classes(
            12, (4, 24), 1.3, chained(mixing(24, 0.6, 307), coupling(24, 0.7, 308)), 309
        ),
        "z",
    ),
}
