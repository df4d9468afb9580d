r"""Rank features by their mutual information with a target.

Each feature gets a fast estimate (`pair_estimate`), a p-value of independence by permutation
(`permutation_tests`) and a q-value: the smallest false-discovery rate at which it is selected.

Shapes: N rows, F features.

References:
    | Controlling the false discovery rate (Benjamini & Hochberg, 1995)
    | The control of the false discovery rate under dependency (Benjamini & Yekutieli, 2001)
"""

__all__ = ["rank_variables"]

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch

from ..errors import ConfigError, DataError
from ..limits import MAX_PERMUTATIONS, check_count, check_seed
from .critic_training import one_thread
from .feature_ranks import FeatureRank, Ranking
from .pair_estimate import pair_estimate
from .permutation_tests import permutation_p_values
from .redundancy import with_redundancy
from .report import stopwatch
from .row_checks import row_warnings
from .rows import Rows
from .variables import Variable

Correction = Literal["bh", "by"]


@one_thread()
def rank_variables(
    features: Variable,
    target: Variable,
    rows: Rows | None = None,
    *,
    permutations: int = 1000,
    correction: Correction = "bh",
    redundancy: bool = False,
    neighbours: int = 3,
    seed: int = 0,
) -> Ranking:
    """Returns the columns of `features` by their mutual information with the target.

    Arguments:
        features: F columns of N rows; each is a feature.
        target: The variable of interest: numbers, or labels.
        rows: Which rows depend on each other; default: none.
        permutations: The number of permutations of the target.
        correction: "bh" for Benjamini & Hochberg, "by" for Benjamini & Yekutieli, which holds for
            any dependence between features but finds less.
        redundancy: Whether to compare the features with each other.
        neighbours: The number of nearest neighbours.
        seed: Seed of the permutations and of all draws; the global random state does not change.

    Raises:
        DataError: The numbers of rows differ, or the target is constant or of both types.
        ConfigError: A number is out of range.
    """
    from scipy.stats import false_discovery_control

    name = "the number of permutations"
    permutations = check_count(name, permutations, 1, MAX_PERMUTATIONS)
    if correction not in ("bh", "by"):
        raise ConfigError(f"unknown correction '{correction}'; choose bh or by")
    seed, count = check_seed(seed), len(target)
    if len(features) != count:
        raise DataError(f"{len(features):,} rows of features, but {count:,} of the target")
    rows = Rows.independent(count) if rows is None else rows
    if not _varies(target):
        raise DataError(f"the target '{target.name}' is constant")
    with stopwatch() as seconds:
        columns = _columns(features)
        varying = [column for column in columns if _varies(column)]
        found = [
            FeatureRank(column.name, 0.0, 0.0, 0.0, 1.0, 1.0, "constant") for column in columns
        ]
        if varying:
            p_values = permutation_p_values(varying, target, rows, permutations, seed)
            all_p = np.ones(len(columns))
            places = [place for place, column in enumerate(columns) if _varies(column)]
            all_p[places] = p_values
            q_values = false_discovery_control(all_p, method=correction)
            for place, column in zip(places, varying, strict=True):
                estimate = pair_estimate(column, target, rows, neighbours=neighbours, seed=seed)
                found[place] = FeatureRank(
                    column.name,
                    estimate.value,
                    estimate.ci_low,
                    estimate.ci_high,
                    float(all_p[place]),
                    float(q_values[place]),
                    estimate.estimator,
                )
        order = sorted(range(len(found)), key=lambda place: (-found[place].value, place))
        ranked = [found[place] for place in order]
        if redundancy:
            ranked = with_redundancy(ranked, [columns[place] for place in order])
        warnings = row_warnings(_numbers(features), _numbers(target), rows)
    notes = []
    if rows.kind == "blocks" or permutations < 100:
        least = 1 / (1 + permutations)
        notes.append(
            f"no p-value is below {least:.2g}; use more permutations to rank many features"
        )
    constant = [column.name for column in columns if not _varies(column)]
    if constant:
        notes.append(
            f"constant features get 0: {', '.join(constant[:5])}{', ...' if constant[5:] else ''}"
        )
    return Ranking(ranked, target.name, count, permutations, seconds(), warnings, notes)


def _columns(features: Variable) -> list[Variable]:
    """Returns each column as a variable named after it."""
    numbers = features.continuous.shape[1]
    return [
        Variable.of(name, features.continuous[:, place], columns=[name])
        if place < numbers
        else Variable.of(name, codes=features.codes[:, place - numbers], columns=[name])
        for place, name in enumerate(features.columns)
    ]


def _varies(variable: Variable) -> bool:
    """Returns whether a column has two different values."""
    columns: Sequence[torch.Tensor] = [*variable.continuous.T, *variable.codes.T]
    return any(bool((column != column[0]).any()) for column in columns)


def _numbers(variable: Variable) -> torch.Tensor:
    """Returns all columns as numbers, with shape (N, C + D)."""
    return torch.cat([variable.continuous, variable.codes.double()], dim=1)
