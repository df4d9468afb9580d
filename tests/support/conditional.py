"""Samples of the cases with known conditional mutual information."""

import numpy as np
import torch

from conditional_cases import Case
from mivae_cli.estimators.conditional.samples import Part, Samples
from mivae_cli.estimators.variables import Variable


def variables_of(case: Case, rows: int, seed: int) -> tuple[Variable, Variable, Variable]:
    """Returns x, z and w of a case as variables."""
    found = []
    for name, values in zip("xzw", case.draw(rows, np.random.default_rng(seed)), strict=True):
        columns = torch.from_numpy(values)
        discrete = name in case.discrete
        found.append(
            Variable.of(
                name,
                codes=columns.long() if discrete else None,
                continuous=None if discrete else columns,
            )
        )
    return found[0], found[1], found[2]


def samples_of(case: Case, rows: int, seed: int) -> Samples:
    """Returns x, z and w of a case as samples, without any map."""
    parts = [Part(each.continuous, each.joint_code()) for each in variables_of(case, rows, seed)]
    return Samples(*parts)
