r"""Probabilities of labels at every row, from classifiers fitted to other rows.

Shapes: N rows, X columns, C classes.
"""

__all__ = ["CrossFits", "calibrated", "folds_for", "log_ratios"]

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from .classifiers import MAX_FIT, choose, features_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TEMPERATURES = np.exp(np.linspace(-1.5, 0.5, 41))
MARGINS = np.array([0, 1e-4, 1e-3, 0.01, 0.03, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 1])


class CrossFits:
    """The probabilities of the classes at all rows, from classifiers fitted to other rows.

    Attributes:
        codes: The classes, with shape (N,).
        logs: Log-probabilities of the classes, not calibrated, with shape (N, C).
        candidate: The kind of classifier.
        probabilities: Calibrated probabilities of the classes, with shape (N, C).
        growth: How much the loss fell when the classifiers got twice as many rows, in nats.
        spaces: Sets of rows, with the space in which to find their neighbours.
    """

    def __init__(self, x: Tensor, codes: Ints, fold: Ints | None = None) -> None:
        """Fits the classifiers.

        Arguments:
            x: Numbers without ties, with shape (N, X), in random order or in random order of units.
            codes: The classes 0 to C - 1, with shape (N,).
            fold: The fold of each row from 0, with shape (N,); default: two or five random ones.
        """
        self.codes, self.columns = codes, x.shape[1]
        classes, count = int(codes.max()) + 1, len(codes)
        features = features_of(x)
        self.candidate, _ = choose(features, codes, classes)
        values = features[self.candidate.features]
        reduced = self.candidate.reduction != 0
        if fold is None:
            fold = np.arange(count) % folds_for(count)
        self.spaces: list[tuple[Ints, Floats]] = []
        logs, of_half = np.empty((count, classes)), np.empty((count, classes))
        for number in range(int(fold.max()) + 1):
            inside = fold == number
            classifier = self.candidate.fit(values[~inside], codes[~inside], classes)
            logs[inside] = classifier.log_posterior(values[inside])
            half = np.flatnonzero(~inside)
            half = half[: min(len(half), MAX_FIT) // 2]
            other = self.candidate.fit(values[half], codes[half], classes)
            of_half[inside] = other.log_posterior(values[inside])
            if reduced:
                self.spaces.append((np.flatnonzero(inside), classifier.reduce(values[inside])))
        if not reduced:
            self.spaces.append((np.arange(count), values))
        self.logs, self.probabilities = logs, calibrated(logs, codes)
        self.loss = _loss(self.probabilities, codes)
        growth = _loss(calibrated(of_half, codes), codes) - self.loss
        # at most what the classifier has learnt, so that chance adds little at independence
        learnt = float(log_ratios(self.probabilities, codes).mean())
        self.growth = max(min(growth, learnt), 0.0)


def folds_for(count: int) -> int:
    """Returns the number of folds of N rows: the classifiers use at most 5,000 of them."""
    return 2 if count > MAX_FIT else 5


def _loss(probabilities: Floats, codes: Ints) -> float:
    """Returns the mean log-loss of all rows, in nats."""
    chosen = probabilities[np.arange(len(codes)), codes]
    return -float(np.log(np.maximum(chosen, 1e-300)).mean())


def calibrated(logs: Floats, codes: Ints) -> Floats:
    """Returns probabilities sharpened or flattened, and mixed with those of the label alone.

    Chooses the exponent and the share of the mixture with the smallest loss. The share 1 is the
    classifier that ignores x, so that the bound is not negative.
    """
    from scipy.special import log_softmax  # slow to import

    count, rows = len(codes), np.arange(len(codes))
    margin = np.bincount(codes, minlength=logs.shape[1]) / count

    def loss(chosen: Floats, share: float) -> float:
        mixed = (1 - share) * np.exp(chosen) + share * margin[codes]
        return -float(np.log(np.maximum(mixed, 1e-300)).mean())

    trials = [
        (loss(chosen, share), temperature, share)
        for temperature in TEMPERATURES
        for chosen in [log_softmax(logs * temperature, axis=1)[rows, codes]]
        for share in MARGINS
    ]
    _, temperature, share = min(trials)
    calibrated: Floats = np.exp(log_softmax(logs * temperature, axis=1))
    mixed: Floats = (1 - share) * calibrated + share * margin
    return mixed


def log_ratios(probabilities: Floats, codes: Ints) -> Floats:
    """Returns ln p(c|x) - ln p(c) of rows, with the shares of their classes, (N,)."""
    chosen = np.maximum(probabilities[np.arange(len(codes)), codes], 1e-300)
    counts = np.bincount(codes)
    ratios: Floats = np.log(chosen) - np.log(counts[codes] / len(codes))
    return ratios
