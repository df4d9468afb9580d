r"""Classifiers of a label from numbers.

A classifier first maps x to features: standardised coordinates, or normal scores of their ranks.
If x has many columns it may then reduce them, to the columns that tell most about the label one at
a time or beside another one, or to discriminant directions (`label_reductions`). All is fitted on
the rows that train the classifier.

Shapes: N rows, X columns, F features, C classes.
"""

__all__ = [
    "MAX_FIT",
    "MIXTURE_DIMENSIONS",
    "Candidate",
    "Classifier",
    "candidates",
    "features_of",
]

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..gaussian_ratio import NormalScores
from ..nearest_neighbours import standardised
from .class_densities import fit_class_densities
from .label_reductions import column_scores, directions, pair_scores
from .library_models import fit_boosted_trees, fit_neighbours, fit_networks
from .logistic import fit_logistic, fit_noisy_logistic

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Features = Literal["standard", "rank"]
Reduction = Literal["none", "columns", "pairs", "shrunk directions", "directions"]

FULL_DIMENSIONS = 64  # with more columns, only normals and logistic regression use all of them
NORMAL_DIMENSIONS = 256  # likewise, only logistic regression
MIXTURE_DIMENSIONS = 30  # in which mixtures and Student t are tried
QUADRATIC_DIMENSIONS = 16
QUADRATIC_WEIGHTS = 2_000  # of squares and products, at most
LOCAL_DIMENSIONS = 5  # in which neighbours are near enough to count their labels
COLUMNS = (1, 2, 4, 8)  # numbers of columns selected one at a time
PAIRED = (2, 4, 8)  # numbers of columns selected beside another one
TREE_COLUMNS = 32  # likewise, for trees if there are many columns
COMPONENTS = (2, 4, 8, 16)  # of each class
SELECTED_COMPONENTS = (2, 4, 8)  # likewise, in selected columns
NEIGHBOURS = (10, 40)
NOISE = 0.2  # share of labels that ignore x
NETWORK_ROWS = 500  # with fewer rows, neural networks are not tried
MAX_FIT = 8_000  # rows


class Posterior(Protocol):
    """A fitted model of the label."""

    def log_posterior(self, x: Floats) -> Floats:
        """Returns the log-probability of each class, from (N, F) to (N, C)."""
        ...


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
        reduction: What the model sees: all columns, those that tell most one at a time or beside
            another one, or discriminant directions with a strongly or weakly shrunk covariance.
        number: The number of selected columns, or 0.
        model: Fits a model to rows (N, R) and classes (N,) of a number C of classes.
        name: A description of the model.
        flexible: Whether the model adapts to any function, so that its loss falls slowly.
    """

    features: Features
    reduction: Reduction
    number: int
    model: Callable[[Floats, Ints, int], Posterior]
    name: str
    flexible: bool = False

    @property
    def space(self) -> tuple[Features, Reduction, int]:
        """What the model sees."""
        return self.features, self.reduction, self.number

    def map(self, features: Floats, codes: Ints, classes: int) -> Floats | None:
        """Returns the reduction (F, R) fitted to rows (N, F) of the classes (N,), if any."""
        if self.reduction == "none":
            return None
        if self.reduction in ("columns", "pairs"):
            score = pair_scores if self.reduction == "pairs" else column_scores
            best = score(features, codes, classes).argsort()[::-1][: self.number]
            return np.eye(features.shape[1])[:, np.sort(best)]
        return directions(features, codes, classes, weakly=self.reduction == "directions")

    def fit(self, features: Floats, codes: Ints, classes: int) -> Classifier:
        """Returns the classifier fitted to features (N, F) of rows of the classes (N,)."""
        if len(features) > MAX_FIT:  # rows are in random order
            features, codes = features[:MAX_FIT], codes[:MAX_FIT]
        return self.fit_mapped(self.map(features, codes, classes), features, codes, classes)

    def fit_mapped(
        self, kept: Floats | None, features: Floats, codes: Ints, classes: int
    ) -> Classifier:
        """Returns the classifier with a given reduction (F, R)."""
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
    spaces: list[tuple[Reduction, int]] = [("none", 0)]
    spaces += [("columns", number) for number in COLUMNS if number < columns]
    spaces += [("pairs", number) for number in PAIRED if number < columns]
    if columns > MIXTURE_DIMENSIONS:
        spaces += [("shrunk directions", 0), ("directions", 0)]
    kinds: list[Features] = ["standard", "rank"]
    found = []
    for features in kinds:
        for reduction, number in spaces:
            space = columns if reduction == "none" else number
            models = _of_few(number, classes)
            if reduction == "none":
                models = _of_all_columns(columns, classes)
            for name, fit in models:
                found.append(Candidate(features, reduction, number, fit, name))
            for name, fit in _flexible(space, rows, classes, number > 0):
                found.append(Candidate(features, reduction, number, fit, name, flexible=True))
    if columns <= FULL_DIMENSIONS:
        found.append(Candidate("rank", "none", 0, fit_boosted_trees, "boosted trees", True))
        if rows >= NETWORK_ROWS:
            found.append(Candidate("rank", "none", 0, fit_networks, "neural networks", True))
    else:
        trees = Candidate("rank", "pairs", TREE_COLUMNS, fit_boosted_trees, "boosted trees", True)
        found.append(trees)
    return found


_Fit = Callable[[Floats, Ints, int], Posterior]
_Models = list[tuple[str, _Fit]]
_LOGISTIC: _Models = [
    ("logistic regression", lambda x, c, n: fit_logistic(x, c, n, 3.0)),
    ("penalised logistic regression", lambda x, c, n: fit_logistic(x, c, n, 30.0)),
    ("strongly penalised logistic regression", lambda x, c, n: fit_logistic(x, c, n, 300.0)),
]
_NOISY: _Models = [
    ("logistic regression with noise", lambda x, c, n: fit_noisy_logistic(x, c, n, 3.0, NOISE))
]
_QUADRATIC: _Models = [
    (
        "quadratic logistic regression",
        lambda x, c, n: fit_logistic(x, c, n, 10.0, quadratic=True),
    ),
    (
        "quadratic logistic regression with noise",
        lambda x, c, n: fit_noisy_logistic(x, c, n, 10.0, NOISE, quadratic=True),
    ),
]
_NORMALS: _Models = [
    ("a normal per class", fit_class_densities),
    ("linear discriminants", lambda x, c, n: fit_class_densities(x, c, n, shared=True)),
    ("a shrunk normal per class", lambda x, c, n: fit_class_densities(x, c, n, shrinkage=15.0)),
    (
        "a lightly shrunk normal per class",
        lambda x, c, n: fit_class_densities(x, c, n, shrinkage=0.6),
    ),
    ("a diagonal normal per class", lambda x, c, n: fit_class_densities(x, c, n, diagonal=True)),
]
_STUDENT: _Models = [
    ("a Student t per class", lambda x, c, n: fit_class_densities(x, c, n, dof=2.0)),
]


def _of_all_columns(columns: int, classes: int) -> _Models:
    """Returns the models of all columns with a fixed form, simplest first."""
    if columns > NORMAL_DIMENSIONS:
        return _LOGISTIC
    if columns > MIXTURE_DIMENSIONS:
        return _LOGISTIC + _NOISY + _NORMALS
    found = _LOGISTIC[:2] + _NOISY + _NORMALS + _STUDENT
    if columns <= QUADRATIC_DIMENSIONS and columns**2 * classes <= QUADRATIC_WEIGHTS:
        found = found + _QUADRATIC
    return found


def _of_few(number: int, classes: int) -> _Models:
    """Returns the models of a number of selected columns, or of directions for 0, likewise."""
    if number == 0:
        return _LOGISTIC[:2] + _NORMALS[:2] + _STUDENT
    quadratic = number >= 4 and number**2 * classes <= QUADRATIC_WEIGHTS
    return _LOGISTIC[:1] + _NORMALS[:1] + (_QUADRATIC[:1] if quadratic else [])


def _flexible(columns: int, rows: int, classes: int, selected: bool) -> _Models:
    """Returns models of a number of columns, or of directions for 0, that adapt to anything."""
    found: _Models = []
    if columns > MIXTURE_DIMENSIONS:
        return found
    if not selected:
        student = lambda x, c, n: fit_class_densities(x, c, n, 3, dof=2.0)
        found.append(("three Student t per class", student))
    if 0 < columns <= LOCAL_DIMENSIONS:
        for number in NEIGHBOURS:
            nearby = lambda x, c, n, k=number: fit_neighbours(x, c, n, k)
            found.append((f"the labels of {number} neighbours", nearby))
    for number in SELECTED_COMPONENTS if selected else COMPONENTS:
        if 10 * number * classes <= rows:
            fit = lambda x, c, n, k=number: fit_class_densities(x, c, n, k)
            found.append((f"{number} normals per class", fit))
    return found
