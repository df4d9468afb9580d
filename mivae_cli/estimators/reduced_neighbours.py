r"""`corrected_neighbours` of a reduction of many columns, by cross-fitting.

The maps are fitted to one half of the pairs and used on the other, so that they cannot fit the
noise of the pairs that are measured.

Shapes: N pairs, X and Z coordinates.
"""

__all__ = ["correct_reduced_neighbours"]

import math
from collections.abc import Sequence
from statistics import fmean

import torch
from torch import Tensor

from .corrected_neighbours import CorrectedNeighbours, correct_neighbours
from .pair_models.selection import choose_model, split_pairs
from .reduction import CanonicalMaps, ReductionChoice


def correct_reduced_neighbours(
    x: Tensor, z: Tensor, reduction: ReductionChoice, neighbours: int, seed: int
) -> CorrectedNeighbours | None:
    """Applies `correct_neighbours` to canonical variates of x and z, by cross-fitting.

    The maps are fitted to one half of the pairs and applied to the other, in both directions; the
    results are averaged.

    Returns:
        The mean of both halves; None if there are too few pairs.
    """
    halves = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed)).chunk(2)
    found = []
    for fitted, used in (halves, halves[::-1]):
        maps = CanonicalMaps.fit(x[fitted], z[fitted], reduction.ridge, reduction.rank)
        variates = maps(x[used], z[used])
        train, valid = split_pairs(len(used), seed)
        choice = choose_model(
            (variates[0][train], variates[1][train]),
            (variates[0][valid], variates[1][valid]),
            seed,
        )
        if choice is None:
            return None
        found.append(correct_neighbours(*variates, choice, neighbours, seed))
    return _averaged(found)


def _averaged(found: Sequence[CorrectedNeighbours]) -> CorrectedNeighbours:
    """Returns the mean of results on disjoint pairs."""

    def mean(name: str) -> float:
        return fmean(getattr(each, name) for each in found)

    def error(name: str) -> float:
        return math.hypot(*(getattr(each, name) for each in found)) / len(found)

    return CorrectedNeighbours(
        model_name=" and ".join(dict.fromkeys(each.model_name for each in found)),
        information=mean("information"),
        overfit=mean("overfit"),
        sampling_error=error("sampling_error"),
        neighbours=mean("neighbours"),
        neighbours_bias=mean("neighbours_bias"),
        residual=mean("residual"),
        residual_error=error("residual_error"),
    )
