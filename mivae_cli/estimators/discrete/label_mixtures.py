r"""Convex mixtures of the classifiers that predict held-out labels best.

The probabilities of single classifiers are calibrated, and the weights of

.. math:: p(c \mid x) = \sum_m w_m\, p_m(c \mid x)

have the smallest loss of held-out rows. Shapes: N rows, C classes, M classifiers.
"""

__all__ = ["calibrated", "choose", "mixture_weights"]

import math

import numpy as np
from numpy.typing import NDArray

from .classifiers import Candidate, Features, candidates

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TEMPERATURES = np.exp(np.linspace(-1.5, 1.5, 37))
MARGINS = np.array([0, 1e-4, 1e-3, 0.01, 0.03, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 1])
FEW_TEMPERATURES = np.exp(np.array([-1.0, -0.5, -0.25, 0.0, 0.25, 0.7, 1.2]))
FEW_MARGINS = np.array([0.001, 0.01, 0.05, 0.15, 0.3, 0.5])
MEMBERS = 4  # classifiers of a mixture
TRIED_WEIGHTS = (0.15, 0.3, 0.5)  # of a further classifier
GAIN = 0.0015  # nats; a further classifier must lower the held-out loss by more
GAIN_ROWS = 3.0  # likewise, divided by the number of held-out rows
HOPELESS = 0.25  # share of what the best classifier tells
ITERATIONS = 60
MAX_ROWS = 3_500  # to which candidates are fitted
MAX_HELD = 2_500


def choose(
    features: dict[Features, Floats], codes: Ints, classes: int, held: Ints, train: Ints
) -> list[Candidate]:
    """Returns the classifiers to mix, best first.

    Arguments:
        features: The features of all rows, with shape (N, F).
        codes: The classes of all rows, with shape (N,).
        classes: The number C of classes.
        held: The numbers of the rows that are held out, in random order.
        train: The numbers of the other rows, in random order.
    """
    found = _tried(features, codes, classes, held[:MAX_HELD], train[:MAX_ROWS])
    loss, best, mixed = found[0]
    chosen = [best]
    least = max(GAIN, GAIN_ROWS / len(mixed))
    while len(chosen) < MEMBERS:
        trials = [
            (-float(np.log((1 - weight) * mixed + weight * other).mean()), number, weight)
            for number, (_, _, other) in enumerate(found)
            for weight in TRIED_WEIGHTS
        ]
        smaller, number, weight = min(trials)
        if smaller > loss - least:
            break
        loss, mixed = smaller, (1 - weight) * mixed + weight * found[number][2]
        chosen.append(found[number][1])
    # the simplest that predicts well keeps a flexible one in check that was best by chance
    chosen += [each for _, each, _ in found if not each.flexible][:1]
    return list(dict.fromkeys(chosen))


def _tried(
    features: dict[Features, Floats], codes: Ints, classes: int, held: Ints, train: Ints
) -> list[tuple[float, Candidate, Floats]]:
    """Returns held-out losses in nats with the classifiers, smallest first.

    The third entry has the probabilities of the held-out labels, roughly calibrated, (N,).
    """
    found: list[tuple[float, Candidate, Floats]] = []
    patience: dict[tuple[str, str, int], tuple[float, int]] = {}
    shares = np.bincount(codes[held]) / len(held)
    alone = smallest_of_all = -float((shares * np.log(np.maximum(shares, 1e-300))).sum())
    maps: dict[tuple[str, str, int], Floats | None] = {}
    for candidate in candidates(features["standard"].shape[1], len(train), classes):
        key, values = candidate.space, features[candidate.features]
        if key not in maps:
            maps[key] = candidate.map(values[train], codes[train], classes)
        if candidate.reduction == "pairs":
            same = maps.get((candidate.features, "columns", candidate.number))
            mapped = maps[key]
            if same is not None and mapped is not None and np.array_equal(same, mapped):
                continue
        smallest, worse = patience.get(key, (math.inf, 0))
        limit = smallest_of_all + HOPELESS * (alone - smallest_of_all) + GAIN
        if (
            candidate.name.endswith(" per class")
            and candidate.flexible
            and (worse > 1 or smallest > limit)
        ):
            continue  # more components did not help twice, or simpler models are far from the best
        classifier = candidate.fit_mapped(maps[key], values[train], codes[train], classes)
        logs = classifier.log_posterior(values[held])
        likelihood = _few_calibrated(logs, codes[held])
        loss = -float(np.log(likelihood).mean())
        smallest_of_all = min(loss, smallest_of_all)
        more = candidate.flexible and loss > smallest
        patience[key] = min(loss, smallest), worse + 1 if more else 0
        found.append((loss, candidate, likelihood))
    return sorted(found, key=lambda each: each[0])


def mixture_weights(likelihoods: Floats) -> Floats:
    """Returns weights (M,) with the smallest loss, for the probabilities (N, M) of the labels."""
    weights = np.full(likelihoods.shape[1], 1 / likelihoods.shape[1])
    for _ in range(ITERATIONS):  # of expectation maximisation
        shares = likelihoods * weights
        shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1e-300)
        weights = shares.mean(axis=0)
    return weights


def calibrated(logs: Floats, codes: Ints) -> Floats:
    """Returns probabilities sharpened or flattened, and mixed with those of the label alone.

    Chooses the exponent and the share of the mixture with the smallest loss. The share 1 is the
    classifier that ignores x, so that the bound is not negative.
    """
    from scipy.special import log_softmax  # slow to import

    margin = np.bincount(codes, minlength=logs.shape[1]) / len(codes)
    temperature, share = _fitted(logs, codes, TEMPERATURES, MARGINS)
    found: Floats = np.exp(log_softmax(logs * temperature, axis=1))
    mixed: Floats = (1 - share) * found + share * margin
    return mixed


def _few_calibrated(logs: Floats, codes: Ints) -> Floats:
    """Returns roughly calibrated probabilities of the labels, (N,)."""
    from scipy.special import log_softmax  # slow to import

    counts = np.bincount(codes, minlength=logs.shape[1]) + 0.5
    margin = counts / counts.sum()
    temperature, share = _fitted(logs, codes, FEW_TEMPERATURES, FEW_MARGINS)
    found = np.exp(log_softmax(logs * temperature, axis=1)[np.arange(len(codes)), codes])
    mixed: Floats = (1 - share) * found + share * margin[codes]
    return mixed


def _fitted(
    logs: Floats, codes: Ints, temperatures: Floats, margins: Floats
) -> tuple[float, float]:
    """Returns the exponent and the share of the label alone with the smallest loss."""
    rows = np.arange(len(codes))
    counts = np.bincount(codes, minlength=logs.shape[1])
    alone = counts[codes] / len(codes)
    trials = []
    for temperature in temperatures:
        scaled = logs * temperature
        scaled -= scaled.max(axis=1, keepdims=True)
        found = np.exp(scaled[rows, codes]) / np.exp(scaled).sum(axis=1)
        mixed = found[:, None] * (1 - margins) + alone[:, None] * margins
        losses = -np.log(np.maximum(mixed, 1e-300)).mean(axis=0)
        place = int(losses.argmin())
        trials.append((float(losses[place]), float(temperature), float(margins[place])))
    _, temperature, share = min(trials)
    return temperature, share
