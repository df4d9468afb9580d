r"""Probabilities of labels at every row, from classifiers fitted to other rows.

Shapes: N rows, X columns, C classes, M classifiers.
"""

__all__ = ["CHANCE_ROWS", "CrossFits", "folds_for", "log_ratios"]

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from .classifiers import MAX_FIT, Candidate, features_of
from .label_mixtures import calibrated, choose, mixture_weights
from .library_models import one_thread

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CHANCE_ROWS = 3.0  # choosing a classifier adds this number of nats, divided by that of the rows
LEAST_WEIGHT = 0.05  # of a classifier that counts
MANY_ROWS = 2_000
HALF_FOLDS = 2  # in which classifiers are also fitted to half of the rows


class CrossFits:
    """The probabilities of the classes at all rows, from classifiers fitted to other rows.

    Attributes:
        codes: The classes, with shape (N,).
        columns: The number X of columns.
        candidates: The kinds of classifiers that are mixed, those with the largest weights first.
        logs: Log-probabilities of the classes, not calibrated, with shape (N, C).
        probabilities: Calibrated probabilities of the classes, with shape (N, C).
        loss: The mean log-loss of these, in nats.
        growth: How much the loss fell when the classifiers got twice as many rows, in nats.
        flexible: The share of flexible classifiers in a mixture, 0 to 1. Half or more if there are
            several classifiers, none of which is right then.
        spaces: Sets of rows, with the space in which to find their neighbours.
    """

    def __init__(self, x: Tensor, codes: Ints, fold: Ints | None = None) -> None:
        """Fits the classifiers.

        Arguments:
            x: Numbers without ties, with shape (N, X), in random order or in random order of units.
            codes: The classes 0 to C - 1, with shape (N,).
            fold: The fold of each row from 0, with shape (N,); default: three or five random ones.
        """
        self.codes, self.columns = codes, x.shape[1]
        self._classes, count = int(codes.max()) + 1, len(codes)
        self._features = features_of(x)
        halved, choosing = HALF_FOLDS, 1
        if fold is None:
            fold = np.arange(count) % folds_for(count)
        else:  # there may be few units
            halved, choosing = int(fold.max()) + 1, max(1, int(fold.max()) // 2)
        held, train = np.flatnonzero(fold < choosing), np.flatnonzero(fold >= choosing)
        with one_thread():
            tried = choose(self._features, codes, self._classes, held, train)
            fits = [self._fit(candidate, fold, halved) for candidate in tried]
        single = [calibrated(logs, codes) for logs, _, _ in fits]
        self.logs, weights = _mixed(single, codes)
        self.probabilities = calibrated(self.logs, codes)
        self.loss = _loss(self.probabilities, codes)
        order = weights.argsort()[::-1]
        self.candidates = [tried[place] for place in order if weights[place] > LEAST_WEIGHT]
        self.spaces: list[tuple[Ints, Floats]] = fits[order[0]][2]
        slow = sum(weights[place] for place in order if tried[place].flexible)
        self.flexible = max(float(slow), 0.5 if len(self.candidates) > 1 else 0.0)
        some = np.flatnonzero(fold < halved)
        losses = []
        for logs in ([fit[0] for fit in fits], [fit[1] for fit in fits]):
            each = [calibrated(one[some], codes[some]) for one in logs]
            mixed = calibrated(_mixed(each, codes[some])[0], codes[some])
            losses.append(_loss(mixed, codes[some]))
        growth = losses[1] - losses[0]
        # at most what the classifiers have learnt beyond chance, which is little at independence
        learnt = float(log_ratios(self.probabilities, codes).mean()) - CHANCE_ROWS / count
        self.growth = max(min(growth, learnt), 0.0)

    def _fit(
        self, candidate: Candidate, fold: Ints, halved: int
    ) -> tuple[Floats, Floats, list[tuple[Ints, Floats]]]:
        """Returns log-probabilities from fits to all other rows, and to half of them, and spaces.

        Fits to half of the rows are made for the first folds, a number `halved`.
        """
        values, codes = self._features[candidate.features], self.codes
        logs = np.empty((len(codes), self._classes))
        of_half = np.empty_like(logs)
        spaces = []
        for number in range(int(fold.max()) + 1):
            inside = fold == number
            train = np.flatnonzero(~inside)[:MAX_FIT]
            classifier = candidate.fit(values[train], codes[train], self._classes)
            logs[inside] = classifier.log_posterior(values[inside])
            if number < halved:
                half = train[: len(train) // 2]
                other = candidate.fit(values[half], codes[half], self._classes)
                of_half[inside] = other.log_posterior(values[inside])
            spaces.append((np.flatnonzero(inside), classifier.reduce(values[inside])))
        if candidate.reduction == "none":
            spaces = [(np.arange(len(codes)), values)]
        return logs, of_half, spaces


def folds_for(count: int) -> int:
    """Returns the number of folds of N rows."""
    return 3 if count > MANY_ROWS else 5


def _mixed(probabilities: list[Floats], codes: Ints) -> tuple[Floats, Floats]:
    """Returns logs of the best mixture of probabilities (N, C), and its weights (M,)."""
    rows = np.arange(len(codes))
    weights = mixture_weights(np.stack([each[rows, codes] for each in probabilities], axis=1))
    mixed = sum(weight * each for weight, each in zip(weights, probabilities, strict=True))
    logs: Floats = np.log(np.maximum(mixed, 1e-300))
    return logs, weights


def _loss(probabilities: Floats, codes: Ints) -> float:
    """Returns the mean log-loss of all rows, in nats."""
    chosen = probabilities[np.arange(len(codes)), codes]
    return -float(np.log(np.maximum(chosen, 1e-300)).mean())


def log_ratios(probabilities: Floats, codes: Ints) -> Floats:
    """Returns ln p(c|x) - ln p(c) of rows, with the shares of their classes, (N,)."""
    chosen = np.maximum(probabilities[np.arange(len(codes)), codes], 1e-300)
    counts = np.bincount(codes)
    ratios: Floats = np.log(chosen) - np.log(counts[codes] / len(codes))
    return ratios
