r"""A permutation test of conditional independence, :math:`x \perp z \mid w`.

**Statistics.** With features :math:`\phi(x)` and :math:`\psi(z, w)`, and the regressions on w of the
module `residuals`, let

.. math:: \Phi = \phi(x) - \hat{\mathbb{E}}[\phi(x) \mid w], \qquad
    \Psi = \psi(z, w) - \hat{\mathbb{E}}[\psi(z, w) \mid w], \qquad
    T = \lVert \tilde\Phi^\top \tilde\Psi \rVert^2,

where the tilde means whitened columns. Under independence given w, the expectation of
:math:`\Phi^\top \Psi` is 0 if one of the two regressions is exact (the generalised covariance measure
of Shah & Peters, 2020). Three choices of features give three statistics: columns; squares and
products with w; and random Fourier features.

**Permutations.** Rows of :math:`\Phi` are permuted among rows with similar w (Runge, 2018). A block
of similar rows is a cell of a random partition; rows with different codes of w are never in the same
block. If w is discrete, blocks are its levels and the test is exact. Cube roots of the statistics are
standardised over the data and all permutations together, and the p-value is that of the largest of
the three, which is again exact.

If rows depend on each other, whole units of :math:`\Phi` are permuted instead (`Rows.permutation`),
wherever their w is: what is left of x after the regression hardly depends on w, and the dependence
between its rows is kept.

Shapes: N rows, F features, P permutations, S statistics.

References:
    | Conditional independence testing based on a nearest-neighbor estimator of conditional mutual
      information (Runge, 2018)
    | The hardness of conditional independence testing and the generalised covariance measure (Shah
      & Peters, 2020)
"""

__all__ = ["independence_p_value", "local_permutation", "partition"]

import math

import torch
from torch import Tensor

from ..rows import Rows
from .residuals import GivenRegression
from .samples import Part, Samples

BLOCK = 10  # largest number of rows in a block, if w has continuous columns
PER_PARTITION = 10  # permutations that share a partition
FOURIER_X, FOURIER_Z = 12, 32
ROUNDING = 1e-9
MAX_COLUMNS = 100
MAX_INDICATORS = 20
MAX_PRODUCTS = 40  # columns of which all products are features
SMALL = 0.05  # variance below which a direction is dropped; features have variance 1


def independence_p_value(
    samples: Samples,
    regression: GivenRegression,
    permutations: int,
    seed: int,
    rows: Rows | None = None,
) -> float:
    """Returns the p-value of independence of x and z given w, by P permutations.

    Arguments:
        samples: Samples whose continuous columns have variance about 1.
        regression: Regressions on w of the same rows.
        permutations: The number P of permutations; the smallest p-value is 1 / (P + 1).
        seed: Seed of features, partitions and permutations.
        rows: Which rows depend on each other; default: none.
    """
    generator = torch.Generator().manual_seed(seed)
    pairs = _statistics(samples, regression, generator)
    values = torch.empty(permutations + 1, len(pairs), dtype=torch.float64)
    values[0] = torch.stack([(left.T @ right).square().sum() for left, right in pairs])
    widths = [left.shape[1] for left, _ in pairs]
    lefts = torch.cat([left for left, _ in pairs], dim=1)
    blocks = partition(samples.w, generator)
    for number in range(1, permutations + 1):
        if number % PER_PARTITION == 0:
            blocks = partition(samples.w, generator)
        if rows is not None and rows.dependent:
            order = rows.permutation(generator)
        else:
            order = local_permutation(blocks, generator)
        moved = lefts[order].split(widths, dim=1)
        for column, (left, (_, right)) in enumerate(zip(moved, pairs, strict=True)):
            values[number, column] = (left.T @ right).square().sum()
    roots = values.pow(1 / 3)  # nearly normal, whatever the number of features
    spread = roots.std(dim=0)
    standard = (roots - roots.mean(dim=0)) / torch.where(
        spread > 0, spread, torch.ones_like(spread)
    )
    largest = standard.amax(dim=1)
    return float((largest >= largest[0] - ROUNDING).double().mean())


def partition(given: Part, generator: torch.Generator) -> Tensor:
    """Returns the block of every row, with shape (N,), by random cuts across the columns of w."""
    blocks: Tensor = torch.unique(given.code, return_inverse=True)[1]
    columns = given.continuous
    if not columns.shape[1]:
        return blocks
    while True:
        sizes = blocks.bincount()
        large = sizes > BLOCK
        if not large.any():
            return blocks
        direction = torch.randn(columns.shape[1], generator=generator, dtype=columns.dtype)
        place = _ranks_in_blocks(columns @ direction, blocks, sizes)
        share = 0.35 + 0.3 * torch.rand(len(sizes), generator=generator, dtype=columns.dtype)
        cut = torch.where(large, (share * sizes).ceil().long(), sizes)
        beyond = place >= cut[blocks]
        blocks = torch.unique(2 * blocks + beyond, return_inverse=True)[1]


def local_permutation(blocks: Tensor, generator: torch.Generator) -> Tensor:
    """Returns a uniformly random permutation of N rows that keeps every row in its block."""
    shuffled = torch.randperm(len(blocks), generator=generator)
    order = torch.empty_like(blocks)
    order[blocks.sort(stable=True).indices] = shuffled[blocks[shuffled].sort(stable=True).indices]
    return order


def _ranks_in_blocks(values: Tensor, blocks: Tensor, sizes: Tensor) -> Tensor:
    """Returns the rank 0, 1, ... of every value among those of its block."""
    order = values.argsort()
    order = order[blocks[order].sort(stable=True).indices]
    starts = sizes.cumsum(dim=0) - sizes
    ranks = torch.empty_like(blocks)
    ranks[order] = torch.arange(len(blocks)) - starts[blocks[order]]
    return ranks


def _statistics(
    samples: Samples, regression: GivenRegression, generator: torch.Generator
) -> list[tuple[Tensor, Tensor]]:
    """Returns the whitened features of x and of (z, w) of each statistic."""
    x, z, w = (_columns(part) for part in (samples.x, samples.z, samples.w))
    products = (z[:, :, None] * w[:, None]).flatten(1)
    both = torch.cat([z, w], dim=1)
    pairs = [
        (x, z),
        (torch.cat([x, _squares(samples.x)], 1), torch.cat([z, _squares(samples.z), products], 1)),
        (_fourier(x, FOURIER_X, generator), _fourier(both, FOURIER_Z, generator)),
    ]
    found = []
    for left, right in pairs:
        whitened = []
        for features in (left, right):
            features = _narrowed(features, generator)
            features = features / features.std(dim=0).clamp_min(1e-12)
            whitened.append(_whitened(features - regression.predict(features)))
        found.append((whitened[0], whitened[1]))
    return found


def _columns(part: Part) -> Tensor:
    """Returns the continuous columns and indicators of the frequent codes, (N, F)."""
    sizes, code = part.code.bincount(), part.code
    frequent = sizes.argsort(descending=True)[:MAX_INDICATORS]
    indicators = (code[:, None] == frequent[1:]).double()  # one is implied by the others
    return torch.cat([part.continuous, indicators], dim=1)


def _squares(part: Part) -> Tensor:
    """Returns the squares of continuous columns, and their products if they are few, (N, F)."""
    columns = part.continuous
    if columns.shape[1] > MAX_PRODUCTS:
        return columns.square()
    first, second = torch.triu_indices(columns.shape[1], columns.shape[1])
    return columns[:, first] * columns[:, second]


def _fourier(columns: Tensor, features: int, generator: torch.Generator) -> Tensor:
    """Returns random Fourier features of two length scales, (N, F)."""
    width = columns.shape[1]
    draws = torch.randn(width, features, generator=generator, dtype=columns.dtype)
    draws[:, ::2] *= 2
    phases = 2 * math.pi * torch.rand(features, generator=generator, dtype=columns.dtype)
    return (columns @ draws / math.sqrt(max(width, 1)) + phases).cos()


def _narrowed(features: Tensor, generator: torch.Generator) -> Tensor:
    """Returns at most N / 10 and 100 random combinations of features."""
    most = max(1, min(MAX_COLUMNS, len(features) // 10))
    if features.shape[1] <= most:
        return features
    mix = torch.randn(features.shape[1], most, generator=generator, dtype=features.dtype)
    return features @ mix


def _whitened(features: Tensor) -> Tensor:
    """Returns uncorrelated combinations of the features, of equal variance.

    Directions that w explains almost completely are left out: they contain mostly the errors of
    its regression.
    """
    centred = features - features.mean(dim=0)
    variances, vectors = torch.linalg.eigh(centred.T @ centred / len(centred))
    kept = variances > SMALL
    whitened: Tensor = centred @ (vectors[:, kept] / variances[kept].sqrt())
    return whitened
