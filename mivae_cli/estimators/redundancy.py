r"""What features share with each other: redundancy, and the order that avoids it.

The redundancy of a feature is its largest mutual information with a feature ranked above. The order
of minimum redundancy and maximum relevance (mRMR) takes features one at a time,

.. math:: \operatorname{arg\,max}_f \Big[ I(f; z) - \frac{1}{|S|} \sum_{s \in S} I(f; s) \Big],

given the set S of those taken before. Both use ten bins of equal frequency of each feature.

Shapes: N rows, F features.

References:
    | Feature selection based on mutual information (Peng, Long & Ding, 2005)
"""

__all__ = ["with_redundancy"]

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from .feature_ranks import FeatureRank
from .variables import Variable

BINS = 10


def with_redundancy(
    ranked: Sequence[FeatureRank], columns: Sequence[Variable]
) -> list[FeatureRank]:
    """Returns ranked features with their redundancy and their place in the mRMR order."""
    between = _binned_information([_bins(column) for column in columns])
    found = []
    for place, feature in enumerate(ranked):
        if place:
            other = int(between[place, :place].argmax())
            largest = float(between[place, other])
            feature = replace(feature, redundancy=largest, redundant_with=ranked[other].feature)
        found.append(feature)
    relevance = np.array([feature.value for feature in ranked])
    taken, shared = np.zeros(len(ranked), dtype=bool), np.zeros(len(ranked))
    for number in range(len(ranked)):
        score = np.where(taken, -np.inf, relevance - shared / max(1, number))
        best = int(score.argmax())
        taken[best] = True
        shared += between[best]
        found[best] = replace(found[best], mrmr=number + 1)
    return found


def _bins(column: Variable) -> NDArray[np.int64]:
    """Returns ten bins of equal frequency of a number, or the ten most frequent levels, (N,)."""
    from scipy.stats import rankdata

    if column.kind == "continuous":
        ranks = rankdata(column.continuous[:, 0].numpy())
        return np.asarray((ranks - 0.5) * BINS / len(ranks), dtype=np.int64)
    codes = column.codes[:, 0].numpy()
    place = np.empty(int(codes.max()) + 1, dtype=np.int64)
    place[np.argsort(-np.bincount(codes), kind="stable")] = np.arange(len(place))
    return np.asarray(np.minimum(place[codes], BINS - 1))


def _binned_information(bins: list[NDArray[np.int64]]) -> NDArray[np.float64]:
    """Returns the mutual information of all pairs of binned features in nats, shape (F, F)."""
    count, number = len(bins[0]), len(bins)
    indicators = np.stack(bins, axis=1)[:, :, None] == np.arange(BINS)
    flat = torch.from_numpy(indicators.reshape(count, -1)).float()
    joint = (flat.T @ flat).double().numpy().reshape(number, BINS, number, BINS) / count
    shares = indicators.mean(axis=0)
    product = shares[:, :, None, None] * shares
    ratio = np.divide(joint, product, out=np.ones_like(joint), where=(joint > 0))
    plug_in = (joint * np.log(ratio)).sum(axis=(1, 3))
    levels = (shares > 0).sum(axis=1) - 1
    return np.asarray(np.maximum(plug_in - levels[:, None] * levels / (2 * count), 0))
