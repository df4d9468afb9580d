r"""Classifiers of scikit-learn with a column for every class.

Probabilities are mixed with the shares of the classes, as if one further row had told nothing:

.. math:: p(c \mid x) = \frac{n \hat p(c \mid x) + p(c)}{n + 1},

with n training rows, or k neighbours. A class without training rows has its share, which is
half a row.

Shapes: N rows, D coordinates, C classes.
"""

__all__ = [
    "LibraryModel",
    "fit_boosted_trees",
    "fit_library",
    "fit_neighbours",
    "fit_networks",
    "one_thread",
]

import math
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TREES = 100  # at most, for each class
TREES_OF_CLASSES = 400  # likewise, of all classes together
FEWEST_TREES = 15  # likewise, for each of many classes or with few rows
PATIENCE = 10  # steps of boosting without a smaller held-out loss
HELD_OUT = 0.2  # share of the rows
MIN_HELD_OUT = 20  # with fewer rows, boosting has a fixed number of steps
NETWORKS = 2
STEPS = 300  # of Adam, for each network
MIN_EPOCHS, MAX_EPOCHS = 8, 50
MIN_BATCH, MAX_BATCH = 32, 200
LARGEST = 5.0  # standard deviations of an input of a network


def one_thread() -> AbstractContextManager[Any]:
    """Returns a context in which linear algebra and trees use one thread: the models are small."""
    import sklearn.ensemble  # noqa: F401 - slow to import; loads the libraries that are limited
    from threadpoolctl import threadpool_limits

    context: AbstractContextManager[Any] = threadpool_limits(1)
    return context


class LibraryModel:
    """The average of fitted models.

    Attributes:
        models: Fitted models of the classes that occur; none if only one does.
        margin: The share of each class, with shape (C,), from half a row more for each.
        seen: The classes that occur, ascending.
        rows: The number n of the module.
    """

    def __init__(self, models: Sequence[Any], margin: Floats, seen: Ints, rows: int) -> None:
        self.models, self.margin, self.seen, self.rows = models, margin, seen, rows

    def log_posterior(self, x: Floats) -> Floats:
        """Returns the log-probability of each class, from (N, D) to (N, C)."""
        found = np.tile(self.margin, (len(x), 1))
        if self.models:
            mean = sum(model.predict_proba(x) for model in self.models) / len(self.models)
            found[:, self.seen] = self.margin[self.seen].sum() * mean
        posterior: Floats = np.log((self.rows * found + self.margin) / (self.rows + 1))
        return posterior


def fit_library(
    models: Sequence[Any],
    x: Floats,
    codes: Ints,
    classes: int,
    rows: int | None = None,
    **more: Floats | Ints,
) -> LibraryModel:
    """Returns models of scikit-learn fitted to rows (N, D) of the classes (N,), from 0 to C - 1.

    Arguments:
        models: Models, not fitted.
        x: The rows.
        codes: The classes.
        classes: The number C of classes.
        rows: The number n of the module; default: N.
        more: Further arguments of `fit` of the models.
    """
    counts = np.bincount(codes, minlength=classes) + 0.5
    margin: Floats = np.divide(counts, counts.sum(), dtype=np.float64)
    seen = np.unique(codes)
    with warnings.catch_warnings():  # few steps, many classes: held-out rows judge the result
        warnings.simplefilter("ignore", UserWarning)
        fitted = [model.fit(x, codes, **more) for model in models] if len(seen) > 1 else []
    return LibraryModel(fitted, margin, seen, rows or len(x))


def fit_neighbours(x: Floats, codes: Ints, classes: int, number: int) -> LibraryModel:
    """Returns the shares of the classes among a number of nearest rows."""
    from sklearn.neighbors import KNeighborsClassifier  # slow to import

    number = min(number, len(x))
    return fit_library([KNeighborsClassifier(number)], x, codes, classes, number)


def fit_boosted_trees(x: Floats, codes: Ints, classes: int, seed: int = 0) -> LibraryModel:
    """Returns gradient-boosted trees; the first rows, or units, decide when boosting stops."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # slow to import

    held = int(HELD_OUT * len(x))
    valid = np.flatnonzero(np.isin(codes[:held], codes[held:]))
    stops = len(valid) >= MIN_HELD_OUT
    most = max(FEWEST_TREES, min(TREES, TREES_OF_CLASSES // classes))
    model = HistGradientBoostingClassifier(
        learning_rate=0.2,
        max_iter=most if stops else FEWEST_TREES,
        max_leaf_nodes=8,
        min_samples_leaf=10,
        l2_regularization=5.0,
        max_features=0.6,
        max_bins=31,
        early_stopping=stops,
        n_iter_no_change=PATIENCE,
        random_state=seed,
    )
    if not stops:
        return fit_library([model], x, codes, classes)
    rest = x[held:], codes[held:]
    return fit_library([model], *rest, classes, X_val=x[valid], y_val=codes[valid])


def fit_networks(x: Floats, codes: Ints, classes: int, seed: int = 0) -> LibraryModel:
    """Returns networks with hidden layers of 64 and 32 units.

    The early stopping of the library looks at the share of right labels, not at the loss. Weights
    are penalised and steps limited instead.
    """
    from sklearn.neural_network import MLPClassifier  # slow to import
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    count = len(x)
    batch = min(MAX_BATCH, max(MIN_BATCH, count // 10), count)
    epochs = min(MAX_EPOCHS, max(MIN_EPOCHS, math.ceil(STEPS * batch / count)))
    models = [
        make_pipeline(
            StandardScaler(),
            FunctionTransformer(_bounded),
            MLPClassifier(
                (64, 32),
                alpha=0.05,
                batch_size=batch,
                learning_rate_init=8e-3,
                max_iter=epochs,
                random_state=seed + number,
            ),
        )
        for number in range(NETWORKS)
    ]
    return fit_library(models, x, codes, classes)


def _bounded(x: Floats) -> NDArray[np.float32]:
    """Returns inputs of a network."""
    return x.clip(-LARGEST, LARGEST).astype(np.float32)
