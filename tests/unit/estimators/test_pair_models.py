"""Density models of pairs against distributions whose mutual information is known."""

import math

import pytest
import torch
from torch import Tensor

from mivae_cli.estimators.coordinates import CoordinateTransform
from mivae_cli.estimators.pair_models.gaussian import GaussianModel
from mivae_cli.estimators.pair_models.mixture import MixtureModel
from mivae_cli.estimators.pair_models.model import PairModel, matching_score
from mivae_cli.estimators.pair_models.selection import (
    ModelChoice,
    choose_model,
    choose_start,
    split_pairs,
)
from mivae_cli.estimators.pair_models.student import StudentCopula
from mivae_cli.estimators.samplers import (
    SAMPLERS,
    CorrelatedGaussian,
    Independent,
    Sampler,
    StudentT,
    Transformed,
    cube,
)

Pair = tuple[Tensor, Tensor]


def mapped(pairs: Pair, transform: str = "rank") -> Pair:
    return CoordinateTransform.fit(*pairs, transform)(*pairs)  # type: ignore[arg-type]


def fitted(kind: str) -> tuple[PairModel, Pair, float]:
    """Returns a model of pairs that it fits, mapped pairs, and their mutual information."""
    if kind == "gaussian":
        gaussian = CorrelatedGaussian(2, 0.7)
        pairs = mapped(gaussian.draw(4000, seed=1), "standard")
        return GaussianModel.fit(*pairs, "standard"), pairs, gaussian.mutual_information
    if kind == "student":
        student = StudentT(2, 1, dof=2)
        pairs = mapped(student.draw(4000, seed=2))
        return StudentCopula.fit(*pairs, 2.0), pairs, student.mutual_information
    mixture = SAMPLERS["mixture"]
    pairs = mapped(mixture.draw(4000, seed=3), "standard")
    model = MixtureModel.fit(*pairs, 4, "standard", seed=0)
    return model, pairs, mixture.mutual_information


KINDS = ("gaussian", "student", "mixture")


@pytest.mark.parametrize("kind", KINDS)
def test_a_fitted_model_knows_its_information(kind: str) -> None:
    model, pairs, truth = fitted(kind)
    assert model.information(seed=0) == pytest.approx(truth, abs=0.04)
    assert float(model.log_ratio(*pairs).mean()) == pytest.approx(truth, abs=0.06)


@pytest.mark.parametrize("kind", KINDS)
def test_scores_of_all_pairs_agree_with_the_log_ratios_of_paired_rows(kind: str) -> None:
    model, (x, z), _ = fitted(kind)
    scores = model.scores(x[:30], z[:20])
    rows, columns = torch.meshgrid(torch.arange(30), torch.arange(20), indexing="ij")
    expected = model.log_ratio(x[rows.flatten()], z[columns.flatten()])
    torch.testing.assert_close(scores.flatten(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_draws_follow_the_model(kind: str) -> None:
    """The mean of exp(log-ratio) over the product of the margins is 1; draws fit again."""
    model, _, truth = fitted(kind)
    x, z = model.draw(20_000, seed=5)
    product = model.log_ratio(x, z.roll(1, dims=0)).exp().mean()
    assert float(product) == pytest.approx(1, abs=0.1)
    assert float(model.log_ratio(x, z).mean()) == pytest.approx(truth, abs=0.06)
    again, _ = model.draw(20_000, seed=5)
    assert torch.equal(x, again)


def test_a_gaussian_model_keeps_the_covariance_and_dependent_columns() -> None:
    x, z = CorrelatedGaussian(2, 0.6).draw(5000, seed=6)
    x = torch.cat([x, x.sum(dim=1, keepdim=True)], dim=1)
    drawn = torch.cat(GaussianModel.fit(x, z, "standard").draw(50_000, seed=7), dim=1)
    torch.testing.assert_close(
        torch.cov(drawn.T), torch.cov(torch.cat([x, z], dim=1).T), rtol=0, atol=0.05
    )


def test_a_student_copula_has_the_log_ratio_of_the_distribution() -> None:
    sampler = StudentT(2, 1, dof=2)
    pairs = sampler.draw(5000, seed=8)
    model = StudentCopula.fit(*mapped(pairs), 2.0)
    difference = model.log_ratio(*mapped(pairs)) - sampler.log_ratio(*pairs)
    assert float(difference.abs().median()) < 0.05


def test_one_component_is_the_gaussian() -> None:
    pairs = mapped(CorrelatedGaussian(2, 0.8).draw(3000, seed=9), "standard")
    one = MixtureModel.fit(*pairs, 1, "standard", seed=0)
    gaussian = GaussianModel.fit(*pairs, "standard")
    difference = one.log_ratio(*pairs) - gaussian.log_ratio(*pairs)
    assert float(difference.abs().mean()) < 0.02


def chosen(sampler: Sampler, count: int = 1000) -> ModelChoice:
    x, z = sampler.draw(count, seed=10)
    train, valid = split_pairs(count, seed=0)
    choice = choose_model((x[train], z[train]), (x[valid], z[valid]), seed=0)
    assert choice is not None
    return choice


def test_the_choice_follows_the_data() -> None:
    assert chosen(StudentT(3, 3, dof=1)).candidate.family == "student"
    assert chosen(SAMPLERS["mixture"]).candidate.family == "mixture"
    cubed = chosen(Transformed(CorrelatedGaussian(3, 0.8), of_z=cube))
    assert cubed.candidate.transform == "rank"
    plain = chosen(CorrelatedGaussian(3, 0.8))  # 1.53 nats, of which one split shows 1.32
    assert cubed.score == pytest.approx(plain.score, abs=0.02)
    assert plain.score == pytest.approx(1.53, abs=0.25)
    assert chosen(Independent(2, 2)).score == pytest.approx(0, abs=0.02)


def test_the_matching_score_is_largest_for_the_right_model() -> None:
    right, _, truth = fitted("mixture")
    held_out = mapped(SAMPLERS["mixture"].draw(800, seed=11), "standard")
    wrong = MixtureModel.fit(*held_out, 2, "standard", seed=0)
    assert matching_score(right, *held_out) > matching_score(wrong, *held_out) + 0.1
    assert matching_score(right, *held_out) == pytest.approx(truth, abs=0.1)


def test_too_few_pairs_have_no_model_and_noise_gives_no_start() -> None:
    x, z = Independent(40, 30).draw(60, seed=12)
    assert choose_model((x[:40], z[:40]), (x[40:], z[40:]), seed=0) is None
    x, z = Independent(2, 2).draw(1000, seed=13)
    start = choose_start((x[:800], z[:800]), (x[800:], z[800:]), "standard")
    assert start is None or matching_score(start, x[800:], z[800:]) > 0
    x, z = CorrelatedGaussian(2, 0.8).draw(1000, seed=14)
    start = choose_start((x[:800], z[:800]), (x[800:], z[800:]), "standard")
    assert start is not None
    assert matching_score(start, x[800:], z[800:]) == pytest.approx(
        -math.log(1 - 0.8**2), abs=0.15
    )
