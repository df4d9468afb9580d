r"""Classifiers of a label from numbers, chosen on held-out rows.

A classifier first maps x to features: standardised coordinates, or normal scores of their ranks.
If x has many columns it then reduces them, either to the columns that tell most about the label
one at a time, or to the directions in which the classes differ most relative to their shrunk
covariance (linear discriminant analysis). Both are fitted on the rows that train the classifier.

Shapes: N rows, X columns, F features, C classes.
"""

__all__ = [
    "FULL_DIMENSIONS",
    "MAX_FIT",
    "Candidate",
    "Classifier",
    "candidates",
    "choose",
    "features_of",
]

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..gaussian_ratio import NormalScores
from ..nearest_neighbours import standardised
from .class_densities import fit_class_densities
from .logistic import fit_logistic

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Features = Literal["standard", "rank"]

FULL_DIMENSIONS = 30  # with more columns, only penalised logistic regression uses all of them
COLUMNS = (1, 2, 4, 8)  # numbers of selected columns
MAX_DIRECTIONS = 10
WEAK = 0.01  # share of the identity in a weakly shrunk covariance
COMPONENTS = (2, 4, 8, 16)
LOCAL_DIMENSIONS = 5  # in which neighbours are near enough to count their labels
NEIGHBOURS = (10, 40)
BINS = 10  # of a column, to measure what it tells about the label
MAX_FIT = 5_000  # rows
MAX_VALID = 3_000


class Posterior(Protocol):
    """A fitted model of the label."""

    def log_posterior(self, x: Floats) -> Floats:
        """Returns the log-probability of each class, from (N, F) to (N, C)."""
        ...


class Nearby:
    """Counts the labels of the k nearest training rows, and adds one label in all for chance."""

    def __init__(self, x: Floats, codes: Ints, classes: int, number: int) -> None:
        from scipy.spatial import cKDTree  # slow to import

        self.tree, self.number, self.codes = cKDTree(x), min(number, len(x)), codes
        self.margin = (np.bincount(codes, minlength=classes) + 0.5) / (len(codes) + 0.5 * classes)

    def log_posterior(self, x: Floats) -> Floats:
        """Returns the log-probability of each class, from (N, F) to (N, C)."""
        rows = self.tree.query(x, np.arange(1, self.number + 1))[1]
        classes = len(self.margin)
        places = np.arange(len(x))[:, None] * classes + self.codes[rows]
        counts = np.bincount(places.ravel(), minlength=len(x) * classes).reshape(-1, classes)
        posterior: Floats = np.log((counts + self.margin) / (self.number + 1))
        return posterior


@dataclass(frozen=True, eq=False)
class Classifier:
    """A fitted classifier: a linear map of the features (F, R), and a model in its space."""

    map: Floats | None
    model: Posterior

    def reduce(self, features: Floats) -> Floats:
        """Returns the space in which the model works, from (N, F) to (N, R)."""
        return features if self.map is None else features @ self.map

    def log_posterior(self, features: Floats) -> Floats:
        """Returns the log-probability of each class, from (N, F) to (N, C)."""
        return self.model.log_posterior(self.reduce(features))


@dataclass(frozen=True)
class Candidate:
    """A kind of classifier.

    Attributes:
        features: The features.
        reduction: The number of selected columns, or 0 for all columns, or -1 for discriminant
            directions with a strongly shrunk covariance, or -2 with a weakly shrunk one.
        model: Fits a model to rows (N, R) and classes (N,) of a number C of classes.
        name: A description.
    """

    features: Features
    reduction: int
    model: Callable[[Floats, Ints, int], Posterior]
    name: str

    def fit(self, features: Floats, codes: Ints, classes: int) -> Classifier:
        """Returns the classifier fitted to features (N, F) of rows of the classes (N,)."""
        if len(features) > MAX_FIT:  # rows are in random order
            features, codes = features[:MAX_FIT], codes[:MAX_FIT]
        kept: Floats | None = None
        if self.reduction > 0:
            best = _column_scores(features, codes, classes).argsort()[::-1][: self.reduction]
            kept = np.eye(features.shape[1])[:, best]
        elif self.reduction < 0:
            kept = _directions(features, codes, classes, weakly=self.reduction == -2)
        space = features if kept is None else features @ kept
        return Classifier(kept, self.model(space, codes, classes))


def features_of(x: Tensor) -> dict[Features, Floats]:
    """Returns the features of x (N, X), each with shape (N, X)."""
    return {
        "standard": standardised(x).numpy(),
        "rank": NormalScores.of(x)(x).double().numpy(),
    }


def candidates(columns: int, rows: int, classes: int) -> list[Candidate]:
    """Returns the classifiers to try for a number of columns, of rows, and of classes."""
    reductions = [0] if columns <= FULL_DIMENSIONS else [0, -1, -2]
    reductions += [number for number in COLUMNS if number < columns]
    kinds: list[Features] = ["standard", "rank"]
    found = []
    for features in kinds:
        for reduction in reductions:
            space = reduction or columns  # -1: directions, of which there may be many
            local = 0 < space <= LOCAL_DIMENSIONS
            wide = reduction == 0 and columns > FULL_DIMENSIONS
            models = _models(rows, classes, selected=reduction > 0, local=local)
            models = _PENALISED if wide else models
            found += [Candidate(features, reduction, fit, name) for name, fit in models]
    return found


_Fit = Callable[[Floats, Ints, int], Posterior]
_PENALISED: list[tuple[str, _Fit]] = [
    ("lightly penalised logistic regression", lambda x, c, n: fit_logistic(x, c, n, 3.0)),
    ("penalised logistic regression", lambda x, c, n: fit_logistic(x, c, n, 30.0)),
    ("strongly penalised logistic regression", lambda x, c, n: fit_logistic(x, c, n, 300.0)),
]


def _models(rows: int, classes: int, selected: bool, local: bool) -> list[tuple[str, _Fit]]:
    """Returns the models to try, simplest first; fewer for selected columns."""
    found: list[tuple[str, _Fit]] = [
        ("logistic regression", lambda x, c, n: fit_logistic(x, c, n, 3.0)),
        ("a normal per class", lambda x, c, n: fit_class_densities(x, c, n)),
    ]
    if not selected:
        found += [
            _PENALISED[1],
            ("linear discriminants", lambda x, c, n: fit_class_densities(x, c, n, shared=True)),
            (
                "a shrunk normal per class",
                lambda x, c, n: fit_class_densities(x, c, n, shrinkage=15.0),
            ),
            ("a Student t per class", lambda x, c, n: fit_class_densities(x, c, n, dof=2.0)),
            (
                "three Student t per class",
                lambda x, c, n: fit_class_densities(x, c, n, 3, dof=2.0),
            ),
        ]
    if local:
        for number in NEIGHBOURS:
            nearby = lambda x, c, n, k=number: Nearby(x, c, n, k)
            found.append((f"the labels of {number} neighbours", nearby))
    for number in COMPONENTS:
        if 10 * number * classes <= rows:
            fit = lambda x, c, n, k=number: fit_class_densities(x, c, n, k)
            found.append((f"{number} normals per class", fit))
    return found


def choose(features: dict[Features, Floats], codes: Ints, classes: int) -> tuple[Candidate, float]:
    """Returns the candidate with the smallest held-out loss, and this loss in nats.

    The first part of the rows is held out, so rows must be in random order.
    """
    count = len(codes)
    held = min(max(count // 4, min(100, count // 3)), MAX_VALID)
    rows = min(count - held, MAX_FIT)
    best: tuple[Candidate, float] | None = None
    patience: dict[tuple[Features, int], tuple[float, int]] = {}
    for candidate in candidates(features["standard"].shape[1], rows, classes):
        key = candidate.features, candidate.reduction
        smallest, worse = patience.get(key, (math.inf, 0))
        if worse > 1 and candidate.name.endswith("normals per class"):
            continue  # more components did not help twice
        values = features[candidate.features]
        classifier = candidate.fit(values[held:], codes[held:], classes)
        logs = classifier.log_posterior(values[:held])[np.arange(held), codes[:held]]
        loss = -float(np.logaddexp(logs + math.log(0.999), math.log(0.001 / classes)).mean())
        patience[key] = min(loss, smallest), worse + 1 if loss > smallest else 0
        if best is None or loss < best[1]:
            best = candidate, loss
    assert best is not None
    return best


def _column_scores(features: Floats, codes: Ints, classes: int) -> Floats:
    """Returns the plug-in mutual information of each binned column and the label, (F,)."""
    count, bins = len(features), min(BINS, max(2, len(features) // 50))
    ranks = features.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    places = ranks * bins // count
    margin = np.bincount(codes, minlength=classes) / count
    scores = []
    for column in places.T:
        table = np.bincount(column * classes + codes, minlength=bins * classes)
        joint = table.reshape(bins, classes) / count
        ratio = joint / np.maximum(joint.sum(axis=1, keepdims=True) * margin, 1e-300)
        scores.append(float((joint * np.log(np.where(joint > 0, ratio, 1.0))).sum()))
    return np.array(scores)


def _directions(features: Floats, codes: Ints, classes: int, weakly: bool) -> Floats:
    """Returns discriminant directions (F, R), scaled to unit shrunk variance within classes."""
    count, dim = features.shape
    sizes = np.bincount(codes, minlength=classes)
    sums = np.zeros((classes, dim))
    np.add.at(sums, codes, features)
    means = sums / np.maximum(sizes, 1)[:, None]
    within = features - means[codes]
    covariance = within.T @ within / count
    # oracle approximating shrinkage towards a multiple of the identity (Chen et al., 2010)
    mean_variance = float(np.trace(covariance)) / dim
    squares = float(np.square(covariance).sum())
    trace = dim * mean_variance
    spread = (count + 1 - 2 / dim) * (squares - trace**2 / dim)
    shrink = 1.0 if spread <= 0 else min(1.0, ((1 - 2 / dim) * squares + trace**2) / spread)
    shrink = min(shrink, WEAK) if weakly else shrink
    shrunk = (1 - shrink) * covariance
    shrunk += max(shrink * mean_variance, 1e-9) * np.eye(dim)
    whiten = np.linalg.inv(np.linalg.cholesky(shrunk))
    centred = (means - features.mean(axis=0)) @ whiten.T * np.sqrt(sizes / count)[:, None]
    rank = max(1, min(classes - 1, dim, MAX_DIRECTIONS))
    directions: Floats = whiten.T @ np.linalg.svd(centred, full_matrices=False)[2][:rank].T
    return directions
