"""A permutation test of the independence of two variables, at least one of them with levels.

It is the test of the module `conditional.permutation` without a given variable: exact for independent
rows and, by permutations of whole units (`Rows.permutation`), for groups of equal sizes.
"""

__all__ = ["label_p_value"]

import torch

from ..conditional.permutation import independence_p_value
from ..conditional.residuals import GivenRegression
from ..conditional.samples import Part, Samples
from ..gaussian_ratio import NormalScores
from ..rows import Rows
from ..variables import Variable


def label_p_value(x: Variable, z: Variable, rows: Rows, permutations: int, seed: int) -> float:
    """Returns the p-value of independence, at least 1 / (P + 1).

    Arguments:
        x: N rows of levels, of numbers, or of both.
        z: The rows observed with them.
        rows: Which rows depend on each other.
        permutations: The number P of permutations.
        seed: Seed of random features and permutations; the global random state does not change.
    """
    nothing = Part(torch.empty(len(x), 0, dtype=torch.float64), torch.zeros(len(x)).long())
    samples = Samples(_part(x), _part(z), nothing)
    return independence_p_value(samples, GivenRegression(nothing, seed), permutations, seed, rows)


def _part(variable: Variable) -> Part:
    """Returns the variable with normal scores of its numbers, of variance 1."""
    numbers = variable.continuous
    if numbers.shape[1]:
        numbers = NormalScores.of(numbers)(numbers)
        numbers = numbers / numbers.square().mean(dim=0).sqrt()
    return Part(numbers, variable.joint_code())
