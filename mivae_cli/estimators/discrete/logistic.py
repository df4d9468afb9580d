r"""Multinomial logistic regression with a quadratic penalty.

.. math:: \ln p(c \mid x) = w_c^\top x + b_c - \ln \sum_{c'} e^{w_{c'}^\top x + b_{c'}}, \qquad
    \min_{w, b} -\sum_i \ln p(c_i \mid x_i) + \frac{\lambda}{2} \lVert w \rVert^2

with standardised coordinates, or with these and their squares and products. scikit-learn fits it,
unless a share of the labels ignores x. Shapes: N rows, D coordinates, C classes.
"""

__all__ = ["NoisyLogistic", "fit_logistic", "fit_noisy_logistic", "with_products"]

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .library_models import LibraryModel, fit_library

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ITERATIONS = 100
LARGEST = 4.0  # standard deviations of a coordinate in products


def fit_logistic(
    x: Floats, codes: Ints, classes: int, penalty: float, *, quadratic: bool = False
) -> LibraryModel:
    """Returns the regression fitted to rows (N, D) of the classes (N,), from 0 to C - 1.

    If it is quadratic, it sees squares and products, too.
    """
    from sklearn.linear_model import LogisticRegression  # slow to import
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    # the library has one weight for two classes, and its square is twice the sum of both of ours
    inverse = (2.0 if len(np.unique(codes)) == 2 else 1.0) / penalty
    steps = [StandardScaler(), LogisticRegression(C=inverse, max_iter=ITERATIONS)]
    if quadratic:
        steps = [FunctionTransformer(with_products), *steps]
    return fit_library([make_pipeline(*steps)], x, codes, classes)


@dataclass(frozen=True, eq=False)
class NoisyLogistic:
    """Weights (D, C) and offsets (C,) for coordinates as they are, or with their products."""

    weights: Floats
    offsets: Floats
    quadratic: bool

    def log_posterior(self, x: Floats) -> Floats:
        """Returns the log-probability of each class, from (N, D) to (N, C)."""
        from scipy.special import log_softmax  # slow to import

        inputs = with_products(x) if self.quadratic else x
        posterior: Floats = log_softmax(inputs @ self.weights + self.offsets, axis=1)
        return posterior


def fit_noisy_logistic(
    x: Floats,
    codes: Ints,
    classes: int,
    penalty: float,
    noise: float,
    *,
    quadratic: bool = False,
) -> NoisyLogistic:
    """Returns the regression if a share of the labels may be drawn from all labels instead.

    The probabilities of the result are those without noise. scikit-learn has no such model.
    """
    from scipy.optimize import minimize  # slow to import

    x = with_products(x) if quadratic else x
    dim, mean, scale = x.shape[1], x.mean(axis=0), x.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    inputs, target = (x - mean) / scale, np.eye(classes)[codes]
    rows, share = np.arange(len(x)), np.bincount(codes)[codes] / len(codes)

    def loss(values: Floats) -> tuple[float, Floats]:
        weights, offsets = values[:-classes].reshape(dim, classes), values[-classes:]
        logits = inputs @ weights + offsets
        logits -= logits.max(axis=1, keepdims=True)
        logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        chosen = np.exp(logs[rows, codes])
        noisy = (1 - noise) * chosen + noise * share
        excess = np.exp(logs) - target
        excess *= ((1 - noise) * chosen / noisy)[:, None]
        slope = inputs.T @ excess + penalty * weights
        value = 0.5 * penalty * np.square(weights).sum() - np.log(noisy).sum()
        return float(value), np.concatenate([slope.ravel(), excess.sum(axis=0)])

    start = np.zeros((dim + 1) * classes)
    options = {"maxiter": ITERATIONS}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x
    weights = found[:-classes].reshape(dim, classes) / scale[:, None]
    return NoisyLogistic(weights, found[-classes:] - mean @ weights, quadratic)


def with_products(x: Floats) -> Floats:
    """Returns coordinates with their squares and products, (N, D + D (D + 1) / 2)."""
    from sklearn.preprocessing import PolynomialFeatures  # slow to import

    bounded = x.clip(-LARGEST, LARGEST)
    products: Floats = PolynomialFeatures(2, include_bias=False).fit_transform(bounded)
    return products
