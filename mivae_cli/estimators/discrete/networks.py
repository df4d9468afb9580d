r"""Small neural networks that predict a label.

An average of networks with two hidden layers of rectified linear units, trained by Adam on the
log-loss, with decaying weights. Each holds out other rows, and keeps the weights with the smallest
loss of these.

Shapes: N rows, D coordinates, C classes, E networks, B rows of a batch.

References:
    | Decoupled Weight Decay Regularization (Loshchilov & Hutter, 2019)
"""

__all__ = ["Networks", "fit_networks"]

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Ints = NDArray[np.int64]

NETWORKS = 4
UNITS = 64  # of a hidden layer
RATE = 4e-3  # at first; decays to 0 along a cosine
DECAY = 0.02  # of weights per step, as a share of the rate
STEPS = 1_600
EPOCHS = 50
PATIENCE = 8  # epochs without a smaller held-out loss
MIN_BATCH, MAX_BATCH = 32, 128
HELD_OUT = 0.2  # share of the rows
LARGEST = 5.0  # standard deviations of an input
FIRST_MOMENT, SECOND_MOMENT, SMALL = 0.9, 0.999, 1e-8


class Networks:
    """The mean and scale of inputs (D,), and weights and offsets of three layers."""

    def __init__(self, mean: Floats, scale: Floats, layers: list[Singles]) -> None:
        self.mean, self.scale, self.layers = mean, scale, layers

    def log_posterior(self, x: Floats) -> Floats:
        """Returns the log-probability of each class, from (N, D) to (N, C)."""
        from scipy.special import log_softmax, logsumexp  # slow to import

        logits = _outputs(_inputs(x, self.mean, self.scale), self.layers)[-1].astype(np.float64)
        logs = log_softmax(logits, axis=2)
        posterior: Floats = logsumexp(logs, axis=0) - math.log(len(logs))
        return posterior


def fit_networks(x: Floats, codes: Ints, classes: int, seed: int = 0) -> Networks:
    """Returns networks fitted to rows (N, D), in random order, of the classes (N,)."""
    mean, scale = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-12)
    inputs, target = _inputs(x, mean, scale), np.eye(classes, dtype=np.float32)[codes]
    random, count = np.random.default_rng(seed), len(x)
    held = max(1, int(HELD_OUT * count))
    parts = np.stack([np.roll(np.arange(count), -held * each) for each in range(NETWORKS)])
    valid, train = parts[:, :held], parts[:, held:]
    values, decay, sizes = _start(x.shape[1], codes, classes, random)
    layers = _layers(values, sizes)
    first, second = np.zeros_like(values), np.zeros_like(values)
    best, smallest = values.copy(), np.full(NETWORKS, math.inf)
    batch = min(MAX_BATCH, max(MIN_BATCH, train.shape[1] // 10), train.shape[1])
    epochs = min(EPOCHS, math.ceil(STEPS / (train.shape[1] // batch)))
    step = worse = 0
    for epoch in range(epochs):
        rate = RATE * 0.5 * (1 + math.cos(math.pi * epoch / epochs))
        order = random.permuted(train, axis=1)
        for start in range(0, train.shape[1] - batch + 1, batch):
            rows = order[:, start : start + batch]
            slope = _slope(inputs[rows], target[rows], layers)
            step += 1
            first += (1 - FIRST_MOMENT) * (slope - first)
            second += (1 - SECOND_MOMENT) * (slope**2 - second)
            scaled = np.sqrt(second / (1 - SECOND_MOMENT**step)) + SMALL
            values *= 1 - rate * decay
            values -= rate / (1 - FIRST_MOMENT**step) * first / scaled
        losses = -(_log_softmax(_outputs(inputs[valid], layers)[-1]) * target[valid]).sum(axis=2)
        loss = losses.mean(axis=1)
        better = loss < smallest
        best[better], smallest = values[better], np.minimum(loss, smallest)
        worse = 0 if better.any() else worse + 1
        if worse >= PATIENCE:
            break
    return Networks(mean, scale, _layers(best, sizes))


def _inputs(x: Floats, mean: Floats, scale: Floats) -> Singles:
    """Returns standardised inputs."""
    return ((x - mean) / scale).clip(-LARGEST, LARGEST).astype(np.float32)


def _start(
    dim: int, codes: Ints, classes: int, random: np.random.Generator
) -> tuple[Singles, Singles, list[tuple[int, int]]]:
    """Returns all weights and offsets (E, P), which of them decay, and the sizes of the layers."""
    sizes = [(dim, UNITS), (UNITS, UNITS), (UNITS, classes)]
    values, decay = [], []
    for (before, after), variance in zip(sizes, (2.0, 2.0, 0.01), strict=True):
        weights = random.standard_normal((NETWORKS, before * after)) * math.sqrt(variance / before)
        values += [weights, np.zeros((NETWORKS, after))]
        decay += [np.full(before * after, DECAY), np.zeros(after)]
    share = (np.bincount(codes, minlength=classes) + 0.5) / (len(codes) + 0.5 * classes)
    values[-1] += np.log(share)
    joined = np.concatenate(values, axis=1).astype(np.float32)
    return joined, np.concatenate(decay).astype(np.float32), sizes


def _layers(values: Singles, sizes: list[tuple[int, int]]) -> list[Singles]:
    """Returns views of the weights (E, before, after) and offsets (E, 1, after) of each layer."""
    found, start = [], 0
    for before, after in sizes:
        for rows in (before, 1):
            part = values[:, start : start + rows * after]
            found.append(part.reshape(len(values), rows, after))
            start += rows * after
    return found


def _outputs(inputs: Singles, layers: list[Singles]) -> list[Singles]:
    """Returns the outputs of all layers, the last the logits (E, B, C), for (E, B, D) or (B, D)."""
    found = [np.maximum(inputs @ layers[0] + layers[1], 0)]
    found.append(np.maximum(found[0] @ layers[2] + layers[3], 0))
    found.append(found[1] @ layers[4] + layers[5])
    return found


def _log_softmax(logits: Singles) -> Singles:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    logs: Singles = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return logs


def _slope(inputs: Singles, target: Singles, layers: list[Singles]) -> Singles:
    """Returns the gradient of the mean loss of a batch by back-propagation, with shape (E, P)."""
    first, second, logits = _outputs(inputs, layers)
    back = (np.exp(_log_softmax(logits)) - target) / inputs.shape[1]
    parts: list[Singles] = []
    for output, weights in ((second, layers[4]), (first, layers[2]), (inputs, layers[0])):
        slope = output.transpose(0, 2, 1) @ back
        parts = [slope.reshape(len(slope), -1), back.sum(axis=1), *parts]
        if output is not inputs:
            back = (back @ weights.transpose(0, 2, 1)) * (output > 0)
    joined: Singles = np.concatenate(parts, axis=1)
    return joined
