r"""Multinomial logistic regression with a quadratic penalty.

.. math:: \ln p(c \mid x) = w_c^\top x + b_c - \ln \sum_{c'} e^{w_{c'}^\top x + b_{c'}}, \qquad
    \min_{w, b} -\sum_i \ln p(c_i \mid x_i) + \frac{\lambda}{2} \lVert w \rVert^2

with standardised coordinates, or with these and their squares and products. Shapes: N rows, D coordinates, C classes.
"""

__all__ = ["Logistic", "fit_logistic", "fit_quadratic_logistic"]

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ITERATIONS = 100
LARGEST = 4.0  # standard deviations of a coordinate in products


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


def fit_logistic(
    x: Floats, codes: Ints, classes: int, penalty: float, *, noise: float = 0.0
) -> Logistic:
    """Returns the regression fitted to rows (N, D) of the classes (N,), from 0 to C - 1.

    A share `noise` of the labels may be drawn from all labels instead. The probabilities of the
    result are those without noise.
    """
    from scipy.optimize import minimize  # slow to import

    dim, mean, scale = x.shape[1], x.mean(axis=0), x.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    inputs, target = (x - mean) / scale, np.eye(classes)[codes]
    rows, share = np.arange(len(x)), np.bincount(codes)[codes] / len(codes)

    def loss(values: Floats) -> tuple[float, Floats]:
        weights, offsets = values[:-classes].reshape(dim, classes), values[-classes:]
        logits = inputs @ weights + offsets
        logits -= logits.max(axis=1, keepdims=True)
        logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        excess = np.exp(logs) - target
        if noise:
            chosen = np.exp(logs[rows, codes])
            noisy = (1 - noise) * chosen + noise * share
            excess *= ((1 - noise) * chosen / noisy)[:, None]
            slope = inputs.T @ excess + penalty * weights
            value = 0.5 * penalty * np.square(weights).sum() - np.log(noisy).sum()
            return float(value), np.concatenate([slope.ravel(), excess.sum(axis=0)])
        slope = inputs.T @ excess + penalty * weights
        value = 0.5 * penalty * np.square(weights).sum() - (logs * target).sum()
        return float(value), np.concatenate([slope.ravel(), excess.sum(axis=0)])

    start = np.zeros((dim + 1) * classes)
    options = {"maxiter": ITERATIONS}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x
    weights = found[:-classes].reshape(dim, classes) / scale[:, None]
    return Logistic(weights, found[-classes:] - mean @ weights)


@dataclass(frozen=True, eq=False)
class QuadraticLogistic:
    """Logistic regression on coordinates with their squares and products."""

    model: Logistic

    def log_posterior(self, x: Floats) -> Floats:
        """Returns the log-probability of each class, from (N, D) to (N, C)."""
        return self.model.log_posterior(_with_products(x))


def fit_quadratic_logistic(
    x: Floats, codes: Ints, classes: int, penalty: float, *, noise: float = 0.0
) -> QuadraticLogistic:
    """Returns the regression on (N, D + D (D + 1) / 2) coordinates, squares and products."""
    return QuadraticLogistic(fit_logistic(_with_products(x), codes, classes, penalty, noise=noise))


def _with_products(x: Floats) -> Floats:
    first, second = np.triu_indices(x.shape[1])
    bounded = x.clip(-LARGEST, LARGEST)
    return np.concatenate([x, bounded[:, first] * bounded[:, second]], axis=1)
