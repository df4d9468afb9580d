r"""Gradient-boosted trees that predict a label.

A sum of small trees gives the logits of the classes. Each tree is fitted to the gradient
:math:`g_{ic} = 1[c_i = c] - p(c \mid x_i)` of the log-likelihood of a random part of the rows. A
split maximises :math:`\sum \lVert G \rVert^2 / (n + \lambda)` over both sides, with the sum G of the
gradients of n rows. With many classes, G is projected on a few random directions. A leaf adds

.. math:: \eta\, \frac{G_c}{H_c + \lambda}, \qquad H_c = \sum_i p(c \mid x_i)(1 - p(c \mid x_i)),

to the logit of class c. Boosting stops when the loss of held-out rows no longer falls.

Shapes: N rows, D coordinates, C classes, B bins of a coordinate.

References:
    | Greedy Function Approximation: A Gradient Boosting Machine (Friedman, 2001)
    | SketchBoost: Fast Gradient Boosted Decision Tree for Multioutput Problems (Iosipoi, 2022)
"""

__all__ = ["BoostedTrees", "fit_boosted_trees"]

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BINS = 24
DEPTH = 4
RATE = 0.12  # eta
PENALTY = 5.0  # lambda
TREES = 150
PATIENCE = 12  # trees without a smaller held-out loss
HELD_OUT = 0.2  # share of the rows
ROWS = 0.6  # share of the other rows that a tree is fitted to
COLUMNS = 0.6  # share of the columns that a level is split by
MAX_COLUMNS = 20  # likewise
SKETCH = 3  # directions of gradients


class _Tree(NamedTuple):
    """Splits of 2^DEPTH - 1 nodes, in levels, and the values of the leaves (2^DEPTH, C)."""

    columns: Ints
    thresholds: Ints  # rows with larger bins go right
    values: Floats

    def leaves(self, bins: Ints) -> Ints:
        """Returns the leaf of each row of bins (N, D)."""
        rows = np.arange(len(bins))
        node: Ints = np.zeros(len(bins), np.int64)
        for _ in range(DEPTH):
            right = bins[rows, self.columns[node]] > self.thresholds[node]
            node = 2 * node + 1 + right
        leaves: Ints = node - (2**DEPTH - 1)
        return leaves


class BoostedTrees:
    """The edges of the bins (D, B - 1), the first logits (C,), and the trees."""

    def __init__(self, edges: Floats, start: Floats, trees: list[_Tree]) -> None:
        self.edges, self.start, self.trees = edges, start, trees

    def log_posterior(self, x: Floats) -> Floats:
        """Returns the log-probability of each class, from (N, D) to (N, C)."""
        from scipy.special import log_softmax  # slow to import

        bins, logits = _binned(x, self.edges), np.tile(self.start, (len(x), 1))
        for tree in self.trees:
            logits += tree.values[tree.leaves(bins)]
        posterior: Floats = log_softmax(logits, axis=1)
        return posterior


def fit_boosted_trees(x: Floats, codes: Ints, classes: int, seed: int = 0) -> BoostedTrees:
    """Returns trees fitted to rows (N, D), in random order, of the classes (N,) from 0 to C - 1."""
    from scipy.special import log_softmax  # slow to import

    random, count = np.random.default_rng(seed), len(x)
    edges = np.quantile(x, np.arange(1, BINS) / BINS, axis=0).T
    bins, target = _binned(x, edges), np.eye(classes)[codes]
    start = np.log(np.bincount(codes, minlength=classes) + 0.5) - math.log(count + 0.5 * classes)
    logits = np.tile(start, (count, 1))
    held = max(1, int(HELD_OUT * count))
    trees: list[_Tree] = []
    best, smallest = 0, math.inf
    for number in range(TREES):
        logs = log_softmax(logits, axis=1)
        loss = -float((logs[:held] * target[:held]).sum()) / held
        if loss < smallest:
            best, smallest = number, loss
        elif number - best >= PATIENCE:
            break
        rows = held + np.flatnonzero(random.random(count - held) < ROWS)
        p = np.exp(logs[rows])
        tree = _grow(bins[rows], target[rows] - p, p * (1 - p), random)
        logits += tree.values[tree.leaves(bins)]
        trees.append(tree)
    return BoostedTrees(edges, start, trees[:best])


def _binned(x: Floats, edges: Floats) -> Ints:
    """Returns the bin of every value, with shape (N, D)."""
    columns = [np.searchsorted(edge, column) for edge, column in zip(edges, x.T, strict=True)]
    return np.stack(columns, axis=1)


def _grow(bins: Ints, gradient: Floats, curvature: Floats, random: np.random.Generator) -> _Tree:
    """Returns a tree fitted to the gradients and curvatures (N, C) of rows of bins (N, D)."""
    count, dim = bins.shape
    classes = gradient.shape[1]
    sketch = gradient
    if classes == 2:
        sketch = gradient[:, :1]
    elif classes > SKETCH:
        sketch = gradient @ random.standard_normal((classes, SKETCH))
    columns = np.zeros(2**DEPTH - 1, np.int64)
    thresholds = np.zeros(2**DEPTH - 1, np.int64)
    node = np.zeros(count, np.int64)  # within its level
    for level in range(DEPTH):
        chosen = random.permutation(dim)[: min(MAX_COLUMNS, math.ceil(COLUMNS * dim))]
        nodes, first = 2**level, 2**level - 1
        shape = nodes, len(chosen), BINS
        place = (node[:, None] * len(chosen) + np.arange(len(chosen))) * BINS + bins[:, chosen]
        place = place.ravel()
        sizes = np.bincount(place, minlength=math.prod(shape)).reshape(shape).cumsum(axis=2)
        rest = sizes[:, :, -1:] - sizes
        gain = np.zeros(shape)
        for part in sketch.T:
            weights = np.repeat(part, len(chosen))
            sums = np.bincount(place, weights, math.prod(shape)).reshape(shape).cumsum(axis=2)
            gain += sums**2 / (sizes + PENALTY)
            gain += (sums[:, :, -1:] - sums) ** 2 / (rest + PENALTY)
        split = gain.reshape(nodes, -1).argmax(axis=1)
        columns[first : first + nodes] = chosen[split // BINS]
        thresholds[first : first + nodes] = split % BINS
        right = bins[np.arange(count), columns[first + node]] > thresholds[first + node]
        node = 2 * node + right
    leaves = np.eye(2**DEPTH)[node]
    values = RATE * (leaves.T @ gradient) / (leaves.T @ curvature + PENALTY / classes)
    return _Tree(columns, thresholds, values)
