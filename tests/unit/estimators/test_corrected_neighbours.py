"""The corrected neighbours against known mutual information."""

import pytest
from torch import Tensor

from mivae_cli.estimators.corrected_neighbours import CorrectedNeighbours, correct_neighbours
from mivae_cli.estimators.pair_models.gaussian import GaussianModel
from mivae_cli.estimators.pair_models.selection import (
    Candidate,
    ModelChoice,
    choose_model,
    split_pairs,
)
from mivae_cli.estimators.samplers import (
    SAMPLERS,
    CorrelatedGaussian,
    Independent,
    Sampler,
    StudentT,
)


def corrected(x: Tensor, z: Tensor, seed: int = 0) -> CorrectedNeighbours:
    train, valid = split_pairs(len(x), seed)
    choice = choose_model((x[train], z[train]), (x[valid], z[valid]), seed)
    assert choice is not None
    return correct_neighbours(x, z, choice, 3, seed)


@pytest.mark.parametrize(
    ("sampler", "count", "margin"),
    [
        (CorrelatedGaussian(1, 0.999), 300, 0.2),  # normal scores alone are 0.27 too low
        (CorrelatedGaussian(4, 0.8), 1500, 0.15),  # neighbours alone are 0.3 too low
        (SAMPLERS["mixture"], 1500, 0.08),
        (StudentT(3, 3, dof=1), 1500, 0.12),  # no correlation at all
        (Independent(2, 2), 1500, 0.03),
    ],
)
def test_the_value_is_near_the_truth(sampler: Sampler, count: int, margin: float) -> None:
    found = corrected(*sampler.draw(count, seed=41))
    truth = sampler.mutual_information
    assert found.interval.value == pytest.approx(truth, abs=margin)
    assert found.interval.low < truth < found.interval.high


def test_neighbours_add_what_the_model_misses() -> None:
    """A Gaussian sees none of the dependence of four clusters on a ring."""
    sampler = SAMPLERS["mixture"]
    x, z = sampler.draw(1500, seed=42)
    train, valid = split_pairs(1500, 0)
    choice = choose_model((x[train], z[train]), (x[valid], z[valid]), 0)
    assert choice is not None
    candidate = Candidate("gaussian", "rank")
    wrong = ModelChoice(candidate, choice.maps, GaussianModel.fit(*choice.maps(x, z), "rank"), 0.0)
    found = correct_neighbours(x, z, wrong, 3, 0)
    assert abs(found.information) < 0.05
    assert found.interval.value == pytest.approx(sampler.mutual_information, abs=0.12)
