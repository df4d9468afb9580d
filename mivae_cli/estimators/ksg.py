r"""Mutual information of paired samples from distances to nearest neighbours, in nats.

The estimator of Kraskov, Stögbauer & Grassberger, algorithm 1, fits nothing. Distances are
maximum norms over coordinates, :math:`\lVert x_i - x_j \rVert`, and

| :math:`\varepsilon_i`  the distance :math:`\max(\lVert x_i - x_j \rVert, \lVert z_i - z_j
  \rVert)` from pair i to its k-th nearest other pair
| :math:`n_x(i)`         the count of :math:`j \ne i` with :math:`\lVert x_i - x_j \rVert <
  \varepsilon_i`, strictly; :math:`n_z(i)` likewise
| :math:`\psi`           the digamma function

It assumes a density that is flat over each neighbourhood. That holds in few dimensions and at
moderate information; elsewhere the estimate is too *low*, and no interval shows it. The k-th
neighbour is far away in many dimensions: 500 pairs of Gaussians with 5.0 nats in 6 + 6
dimensions read 2.4. And no N samples read more than :math:`\psi(N) - \psi(k)`.

Every coordinate is standardised first, because joint distances compare the scale of x with
that of z, and within x and z the scales of coordinates. So affine maps of single coordinates
change nothing; rotations do.

Where values repeat, distances tie and counts jump. Each coordinate with a repeated value gets
Gaussian noise of scale 1e-10, seeded and the same at every call: enough to order what is equal,
far below the distance of any two values in single precision.

Shapes: N pairs, X and Z coordinates.

References:
    | Estimating mutual information (Kraskov, Stögbauer & Grassberger, 2004)
"""

__all__ = ["ksg", "ksg_terms"]

from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import DataError
from .intervals import Interval, mean_interval

BLOCK = 2**18  # distances held at a time, to stay within the cache
JITTER = 1e-10
INFLATION = 1.4  # of the standard error, for terms that depend on each other; measured


def ksg(x: Tensor, z: Tensor, neighbours: int = 3) -> Interval:
    r"""Returns the estimate, the mean of `ksg_terms`, with a 95 % interval, in nats.

    Terms of close pairs share neighbours and are no independent draws: the plain standard error
    of their mean is too small. In repeated draws of Gaussians (1 to 6 coordinates a side,
    correlations from 0 to 0.99, N of 500 and 2000, k of 1, 3 and 10) the plain interval
    covered the mean of the estimator in 78 to 94 %, and one 1.4 times as wide in 91 to 99 %;
    this is the latter. It tells nothing of the estimator's bias.

    Arguments and errors are those of `ksg_terms`.
    """
    value, low, high = mean_interval(ksg_terms(x, z, neighbours))
    return Interval(value, value - INFLATION * (value - low), value + INFLATION * (high - value))


def ksg_terms(x: Tensor, z: Tensor, neighbours: int = 3) -> Tensor:
    r"""Returns what each pair adds to the estimate of I(x; z), whose mean is the estimate.

    .. math:: \psi(k) + \psi(N) - \psi(n_x(i) + 1) - \psi(n_z(i) + 1)

    Takes :math:`O(N^2 (X + Z))` time in blocks of rows, and O(N (X + Z)) memory.

    Arguments:
        x: Samples, with shape (N, X).
        z: The samples drawn with them, with shape (N, Z).
        neighbours: The k of the k-th neighbour: more of them vary less and are biased more.

    Returns:
        The terms in nats, with shape (N,), in double precision.

    Raises:
        DataError: The samples do not pair up, are no more than k, or are not all finite.
    """
    count = len(x)
    if len(z) != count:
        raise DataError(f"x has {count} samples and z has {len(z)}: they must be pairs")
    if not 1 <= neighbours < count:
        raise DataError(
            f"{count} pairs have no neighbour number {neighbours}: give more pairs, or name a "
            f"neighbour from 1 to {count - 1}"
        )
    samples = torch.cat([x.double(), z.double()], dim=1)
    if not samples.isfinite().all():
        raise DataError("the samples hold values that are not finite: remove those pairs")
    samples = _untied(_standardised(samples))
    left, right = samples.split([x.shape[1], z.shape[1]], dim=1)

    radius = torch.empty(count, dtype=samples.dtype, device=samples.device)
    counts = torch.empty(2, count, dtype=samples.dtype, device=samples.device)
    for rows in torch.arange(count, device=samples.device).split(max(1, BLOCK // count)):
        apart = _distances(left, rows), _distances(right, rows)  # (rows, N) both
        joint = torch.maximum(*apart)
        # the nearest of all is the pair itself, at distance 0
        nearest = joint.topk(neighbours + 1, dim=1, largest=False).values
        radius[rows] = nearest[:, neighbours]
        for number, (side, distances) in enumerate(zip((left, right), apart, strict=True)):
            if side.shape[1] != 1:
                counts[number, rows] = _count(distances, radius[rows])
    for number, side in enumerate((left, right)):
        if side.shape[1] == 1:
            counts[number] = _count_on_line(side[:, 0], radius)
    constants = torch.tensor([float(neighbours), float(count)], dtype=samples.dtype).digamma()
    # counts include the pair itself, which is the 1 of n + 1
    return float(constants.sum()) - counts.digamma().sum(dim=0)


def _standardised(samples: Tensor) -> Tensor:
    """Gives each coordinate mean 0 and scale 1; one that never changes stays at 0."""
    centred = samples - samples.mean(dim=0)
    scale = centred.square().mean(dim=0).sqrt()
    varies = samples.amax(dim=0) > samples.amin(dim=0)
    return torch.where(varies, centred / scale, 0.0)


def _untied(samples: Tensor) -> Tensor:
    """Adds the noise that orders repeated values, to the coordinates that have any."""
    repeats = (samples.sort(dim=0).values.diff(dim=0) == 0).any(dim=0)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(samples.shape, generator=generator, dtype=samples.dtype)
    return samples + JITTER * repeats * noise.to(samples.device)


def _distances(samples: Tensor, rows: Tensor) -> Tensor:
    """Returns the maximum norms from some rows (R) to all N samples, with shape (R, N)."""
    largest = torch.zeros(len(rows), len(samples), dtype=samples.dtype, device=samples.device)
    for column in samples.T.contiguous():
        torch.maximum(largest, (column[rows, None] - column).abs_(), out=largest)
    return largest


def _count(distances: Tensor, radius: Tensor) -> Tensor:
    """Counts the entries of each row (R, N) below a radius (R,), with shape (R,).

    The pair itself is always counted, even where k exact copies leave a radius of 0.
    """
    return (distances < radius[:, None]).sum(dim=1, dtype=torch.int32).clamp(min=1).double()


def _count_on_line(values: Tensor, radius: Tensor) -> Tensor:
    """Counts what lies closer than a radius to each value, itself included, with shape (N,).

    Both ends are found by bisection with the very comparison that `_count` makes: rounded ends
    would take in the k-th neighbour itself half of the time, and bias the estimate.
    """
    line = values.sort().values
    above = _bisect(line, lambda candidates: candidates - values >= radius)
    inside = _bisect(line, lambda candidates: values - candidates < radius)
    return (above - inside).clamp(min=1).double()


def _bisect(line: Tensor, beyond: Callable[[Tensor], Tensor]) -> Tensor:
    """Returns where, on a sorted line (N,), each of N conditions begins to hold, with shape (N,).

    Arguments:
        line: The values, ascending.
        beyond: From one candidate for each condition to whether it holds; it holds for all
            values above one for which it does.
    """
    low = torch.zeros(len(line), dtype=torch.long, device=line.device)
    high = torch.full_like(low, len(line))
    for _ in range(len(line).bit_length()):
        middle = (low + high) // 2
        holds = beyond(line[middle.clamp(max=len(line) - 1)]) | (low == high)
        low, high = torch.where(holds, low, middle + 1), torch.where(holds, middle, high)
    return low
