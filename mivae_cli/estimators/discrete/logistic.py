r"""Multinomial logistic regression with a quadratic penalty.

.. math:: \ln p(c \mid x) = w_c^\top x + b_c - \ln \sum_{c'} e^{w_{c'}^\top x + b_{c'}}, \qquad
    \min_{w, b} -\sum_i \ln p(c_i \mid x_i) + \frac{\lambda}{2} \lVert w \rVert^2

with standardised coordinates. Shapes: N rows, D coordinates, C classes.
"""

__all__ = ["Logistic", "fit_logistic"]

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ITERATIONS = 100


@dataclass(frozen=True, eq=False)
class Logistic:
    """Weights (D, C) and offsets (C,) for coordinates as they are."""

    weights: Floats
    offsets: Floats

    def log_posterior(self, x: Floats) -> Floats:
        """Returns the log-probability of each class, from (N, D) to (N, C)."""
        from scipy.special import log_softmax  # slow to import

        posterior: Floats = log_softmax(x @ self.weights + self.offsets, axis=1)
        return posterior


def fit_logistic(x: Floats, codes: Ints, classes: int, penalty: float) -> Logistic:
    """Returns the regression fitted to rows (N, D) of the classes (N,), from 0 to C - 1."""
    from scipy.optimize import minimize  # slow to import
    from scipy.special import log_softmax

    dim, mean, scale = x.shape[1], x.mean(axis=0), x.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    inputs, target = (x - mean) / scale, np.eye(classes)[codes]

    def loss(values: Floats) -> tuple[float, Floats]:
        weights, offsets = values[:-classes].reshape(dim, classes), values[-classes:]
        logs = log_softmax(inputs @ weights + offsets, axis=1)
        excess = np.exp(logs) - target
        slope = inputs.T @ excess + penalty * weights
        value = 0.5 * penalty * np.square(weights).sum() - (logs * target).sum()
        return float(value), np.concatenate([slope.ravel(), excess.sum(axis=0)])

    start = np.zeros((dim + 1) * classes)
    options = {"maxiter": ITERATIONS}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x
    weights = found[:-classes].reshape(dim, classes) / scale[:, None]
    return Logistic(weights, found[-classes:] - mean @ weights)
