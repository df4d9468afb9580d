r"""Columns and directions that tell most about a label.

| the columns that tell most one at a time: the plug-in estimate of binned columns
| the columns that tell most beside another one: :math:`\max_k I(x_j, x_k; c) - I(x_k; c)`
| linear discriminant directions, in which classes differ most relative to their covariance

Shapes: N rows, F features, C classes, B bins.
"""

__all__ = ["column_scores", "directions", "pair_scores"]

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BINS = 10  # of a column, to measure what it tells about the label
PAIR_BINS = 4  # likewise of the columns of a pair; 2 if there are few rows
CELL_ROWS = 5  # for each cell of a table of two columns and the label
MAX_PAIRED = 256  # columns
MAX_DIRECTIONS = 10
WEAK = 0.01  # share of the identity in a weakly shrunk covariance


def column_scores(features: Floats, codes: Ints, classes: int) -> Floats:
    """Returns the plug-in mutual information of each binned column and the label, (F,)."""
    bins = min(BINS, max(2, len(features) // 50))
    margin = np.bincount(codes, minlength=classes) / len(codes)
    scores = []
    for column in _binned(features, bins).T:
        table = np.bincount(column * classes + codes, minlength=bins * classes)
        scores.append(float(_information(table.reshape(bins, classes) / len(codes), margin)))
    return np.array(scores)


def pair_scores(features: Floats, codes: Ints, classes: int) -> Floats:
    """Returns the most that each column tells beside another one, in nats, with shape (F,).

    Columns beyond the first 256 of those that tell most one at a time get the score 0.
    """
    count, dim = features.shape
    scores = np.zeros(dim)
    kept = np.arange(dim)
    if dim > MAX_PAIRED:
        kept = column_scores(features, codes, classes).argsort()[::-1][:MAX_PAIRED]
    bins = PAIR_BINS if count >= CELL_ROWS * PAIR_BINS**2 * classes else 2
    margin = np.bincount(codes, minlength=classes) / count
    places = _binned(features[:, kept], bins)
    hot = (places[:, :, None] == np.arange(bins)).astype(np.float32).reshape(count, -1)
    joint = np.empty((len(kept), len(kept), bins**2, classes))
    for code in range(classes):
        rows = hot[codes == code]
        table = (rows.T @ rows).reshape(len(kept), bins, len(kept), bins)
        joint[..., code] = table.transpose(0, 2, 1, 3).reshape(len(kept), len(kept), -1) / count
    together = _information(joint, margin)
    alone = np.diag(together).copy()
    np.fill_diagonal(together, 0.0)
    scores[kept] = (together - alone).max(axis=1) if len(kept) > 1 else alone
    return scores


def directions(features: Floats, codes: Ints, classes: int, weakly: bool) -> Floats:
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
    found: Floats = whiten.T @ np.linalg.svd(centred, full_matrices=False)[2][:rank].T
    return found


def _binned(features: Floats, bins: int) -> Ints:
    """Returns the bin of each value, with equally many rows in the bins of a column, (N, F)."""
    ranks = features.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    return ranks * bins // len(features)


def _information(joint: Floats, margin: Floats) -> Floats:
    """Returns the mutual information of tables of frequencies (..., cells, C), (...)."""
    cells = joint.sum(axis=-1, keepdims=True)
    ratio = joint / np.maximum(cells * margin, 1e-300)
    found: Floats = (joint * np.log(np.where(joint > 0, ratio, 1.0))).sum(axis=(-2, -1))
    return found
