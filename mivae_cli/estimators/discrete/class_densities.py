r"""Classifiers from a mixture of normals or Student t for each class.

.. math:: p(x \mid c) = \sum_k w_{ck}\, t_\nu(x; \mu_{ck}, \Sigma_{ck}), \qquad
    p(c \mid x) \propto \pi_c\, p(x \mid c)

with normals for :math:`\nu = \infty`, fitted by expectation maximisation with scale matrices that
are shrunk: those of classes towards the pooled one, those of components towards their class. One
component per class gives discriminant analysis, linear if the classes share their covariance.

Shapes: N rows, D coordinates, C classes, K components of a class.
"""

__all__ = ["ClassDensities", "fit_class_densities"]

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RIDGE = 1e-6  # of the mean variance, added to the pooled covariance
CLASS_ROWS = 3.0  # the pooled covariance counts as this many rows per coordinate of a class
COMPONENT_ROWS = 0.3  # the covariance of the class, likewise for a component
MIN_ROWS = 6  # of a component
ITERATIONS = 60
TOLERANCE = 1e-3  # nats per row
MEAN_ITERATIONS = 8  # of k-means, which starts the mixtures


@dataclass(frozen=True, eq=False)
class _Mixture:
    """The density of a class: log-weights (K,), centres (K, D) and whitening maps (K, D, D)."""

    log_weights: Floats
    centres: Floats
    whiten: Floats
    dof: float

    def distances(self, x: Floats) -> Floats:
        """Returns squared Mahalanobis distances, with shape (N, K)."""
        pairs = zip(self.centres, self.whiten, strict=True)
        return np.stack([np.square((x - mu) @ w.T).sum(axis=1) for mu, w in pairs], axis=1)

    def joint(self, x: Floats) -> Floats:
        """Returns log(w_k t(x; mu_k, Sigma_k)) up to a constant of the dimension, (N, K)."""
        squared, dim = self.distances(x), x.shape[1]
        log_scale = np.log(np.diagonal(self.whiten, axis1=1, axis2=2)).sum(axis=1)
        if math.isinf(self.dof):
            tails: Floats = 0.5 * squared
        else:
            tails = 0.5 * (self.dof + dim) * np.log1p(squared / self.dof)
        joint: Floats = self.log_weights + log_scale - tails
        return joint


@dataclass(frozen=True, eq=False)
class ClassDensities:
    """A mixture for each class, with the log-probabilities of the classes (C,)."""

    log_prior: Floats
    mixtures: tuple[_Mixture, ...]

    def log_posterior(self, x: Floats) -> Floats:
        """Returns the log-probability of each class, from (N, D) to (N, C)."""
        from scipy.special import log_softmax, logsumexp  # slow to import

        logs = [logsumexp(mixture.joint(x), axis=1) for mixture in self.mixtures]
        posterior: Floats = log_softmax(np.stack(logs, axis=1) + self.log_prior, axis=1)
        return posterior


def fit_class_densities(
    x: Floats,
    codes: Ints,
    classes: int,
    components: int = 1,
    *,
    dof: float = math.inf,
    shared: bool = False,
    diagonal: bool = False,
    shrinkage: float = CLASS_ROWS,
    seed: int = 0,
) -> ClassDensities:
    """Returns the fitted densities of all classes; a class without rows gets the pooled one.

    Arguments:
        x: Rows, with shape (N, D).
        codes: The classes 0 to C - 1 of the rows, with shape (N,).
        classes: The number C of classes.
        components: The largest number K of components of a class.
        dof: Degrees of freedom of Student's t.
        shared: Whether all classes have the pooled covariance; for one component.
        diagonal: Whether coordinates are independent within a class; likewise.
        shrinkage: The weight of the pooled covariance in that of a class, in rows per coordinate.
        seed: Seed of the first centres.
    """
    count, dim = x.shape
    sizes = np.bincount(codes, minlength=classes)
    sums = np.zeros((classes, dim))
    np.add.at(sums, codes, x)
    means = np.where(sizes[:, None] > 0, sums / np.maximum(sizes, 1)[:, None], x.mean(axis=0))
    within = x - means[codes]
    pooled = within.T @ within / max(count - classes, 1)
    pooled += max(RIDGE * float(np.trace(pooled)) / dim, 1e-300) * np.eye(dim)
    random = np.random.default_rng(seed)
    mixtures = []
    for code in range(classes):
        rows = x[codes == code]
        covariance = pooled
        if len(rows) and not shared:
            scatter = (rows - means[code]).T @ (rows - means[code])
            weight = shrinkage * (1 if diagonal else dim)
            covariance = (scatter + weight * pooled) / (len(rows) + weight)
        if diagonal:
            covariance = np.diag(np.diag(covariance))
        number = max(1, min(components, len(rows) // max(MIN_ROWS, min(dim, 5) + 1)))
        if number == 1 and (math.isinf(dof) or not len(rows)):
            one = np.linalg.inv(np.linalg.cholesky(covariance))[None]
            mixtures.append(_Mixture(np.zeros(1), means[code : code + 1], one, dof))
        else:
            mixtures.append(_fit_mixture(rows, covariance, number, dof, random))
    log_prior = np.log(sizes + 0.5) - math.log(count + 0.5 * classes)
    return ClassDensities(log_prior, tuple(mixtures))


def _fit_mixture(
    rows: Floats, covariance: Floats, number: int, dof: float, random: np.random.Generator
) -> _Mixture:
    """Returns a mixture fitted by expectation maximisation."""
    from scipy.special import logsumexp  # slow to import

    count, dim = rows.shape
    whiten = np.linalg.inv(np.linalg.cholesky(covariance))
    share = np.eye(number)[_clusters(rows @ whiten.T, number, random)]
    prior = (dim + 2) * COMPONENT_ROWS
    typical = prior * covariance / number ** (2 / dim)
    precision = np.ones((count, number))  # the expected scale of each row, for Student's t
    last = -math.inf
    for _ in range(ITERATIONS):
        sizes = share.sum(axis=0)
        weights = share * precision
        centres = weights.T @ rows / np.maximum(weights.sum(axis=0), 1e-12)[:, None]
        maps = np.empty((number, dim, dim))
        for k in range(number):
            apart = rows - centres[k]
            scatter = (apart * weights[:, k, None]).T @ apart
            maps[k] = np.linalg.inv(np.linalg.cholesky((scatter + typical) / (sizes[k] + prior)))
        log_weights = np.log(sizes + 1) - math.log(count + number)
        mixture = _Mixture(log_weights, centres, maps, dof)
        joint = mixture.joint(rows)
        total = logsumexp(joint, axis=1, keepdims=True)
        share = np.exp(joint - total)
        if not math.isinf(dof):
            precision = (dof + dim) / (dof + mixture.distances(rows))
        if (mean := float(total.mean())) - last < TOLERANCE:
            break
        last = mean
    return mixture


def _clusters(rows: Floats, number: int, random: np.random.Generator) -> Ints:
    """Returns the cluster of each row, by k-means++ and a few iterations of k-means."""
    chosen = rows[random.integers(len(rows), size=1)]
    nearest = np.square(rows - chosen).sum(axis=1)
    for _ in range(number - 1):
        total = float(nearest.sum())
        place = random.choice(len(rows), p=nearest / total if total > 0 else None)
        chosen = np.concatenate([chosen, rows[place : place + 1]])
        nearest = np.minimum(nearest, np.square(rows - rows[place]).sum(axis=1))
    cluster: Ints = np.zeros(len(rows), dtype=np.int64)
    for _ in range(MEAN_ITERATIONS):
        cluster = (np.square(chosen).sum(axis=1) - 2 * rows @ chosen.T).argmin(axis=1)
        for k in range(number):
            if (cluster == k).any():
                chosen[k] = rows[cluster == k].mean(axis=0)
    return cluster
