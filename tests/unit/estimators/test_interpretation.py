"""What a report says about its recommendation."""

import dataclasses

import numpy as np
import pytest

from mivae_cli.estimators import critic_training
from mivae_cli.estimators.coordinates import CoordinateTransform
from mivae_cli.estimators.corrected_neighbours import correct_neighbours
from mivae_cli.estimators.estimate import estimate_mutual_information
from mivae_cli.estimators.estimator_suite import EstimatorSuite
from mivae_cli.estimators.interpretation import interpreted
from mivae_cli.estimators.pair_models.selection import Candidate, ModelChoice
from mivae_cli.estimators.recommendation import default_estimates
from mivae_cli.estimators.report import Estimate, Recommendation, Report
from mivae_cli.estimators.samplers import SAMPLERS, CorrelatedGaussian

ROW = Estimate("model-ksg", 0.5, 0.3, 0.7, "neither", None, False, None, [], 0.4, 0.6)


def reported(row: Estimate = ROW, p_value: float | None = None) -> str:
    recommended = Recommendation.of(row, "why")
    report = Report(recommended, [row], n=100, x_dim=1, z_dim=1, p_value=p_value)
    return "; ".join(interpreted(report).notes)


def test_the_sampling_interval_is_named_only_if_it_is_narrower() -> None:
    assert "sampling error alone: [0.400, 0.600]" in reported()
    equal = dataclasses.replace(ROW, sampling_low=0.3, sampling_high=0.7)
    assert reported(equal) == ""


def test_an_estimate_and_a_test_that_disagree_are_named() -> None:
    near_zero = dataclasses.replace(ROW, value=0.01, ci_low=0.0)
    assert "the test finds dependence (p = 0.005)" in reported(near_zero, 0.005)
    assert "the test does not find the dependence (p = 0.4)" in reported(p_value=0.4)
    assert "test" not in reported(near_zero, 0.4)
    assert "test" not in reported(p_value=0.005)


def test_lower_bounds_say_what_their_interval_leaves_out() -> None:
    assert "lower bound" not in reported()
    assert "lower bound" in reported(dataclasses.replace(ROW, direction="lower"))


def test_a_critic_that_found_nothing_and_one_that_is_useless_are_named() -> None:
    held_out = dataclasses.replace(ROW, estimator="dual", held_out=True)
    nothing = dataclasses.replace(held_out, value=0.0, ci_low=0.0, ci_high=0.0)
    assert "no evidence of independence" in reported(nothing)
    assert "dual: worse than the trivial bound" in reported(
        dataclasses.replace(held_out, value=-0.7)
    )
    assert reported(dataclasses.replace(held_out, value=-0.05)) == reported(ROW)


def test_rows_that_depend_on_each_other_get_no_recommendation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = critic_training.FitSettings(steps=10, hidden=16, batch=64, check_every=5)
    monkeypatch.setitem(critic_training.PROFILES, "quick", plan)
    random = np.random.default_rng(0)
    x, z = random.standard_normal((2, 100))
    shuffled = random.permutation(1000)
    copies = [(side.repeat(10) + 1e-4 * random.standard_normal(1000))[shuffled] for side in (x, z)]
    report = estimate_mutual_information(copies[0], copies[1], "copula")
    assert report.recommended is None
    assert "no recommendation: most rows are nearly repeated" in report.notes
    x, z = random.standard_normal((2, 400)).cumsum(axis=1)
    report = estimate_mutual_information(x, z, "copula")
    assert report.recommended is None
    blocks = estimate_mutual_information(x, z, profile="quick", blocks=20)
    assert blocks.recommended is not None
    assert blocks.recommended.estimator == "ksg"


def test_a_model_that_misses_much_gets_a_lower_limit_only() -> None:
    """A Gaussian sees nothing of four clusters on a ring, neighbours most of it."""
    pairs = SAMPLERS["mixture"].draw(1000, seed=1)
    maps = CoordinateTransform.fit(*pairs, "standard")
    for candidate in (Candidate("gaussian", "standard"), Candidate("mixture", "standard", 4)):
        model = candidate.fit(*maps(*pairs), seed=0)
        found = correct_neighbours(*pairs, ModelChoice(candidate, maps, model, 0.0), 3, seed=0)
        assert found.incomplete == (candidate.family == "gaussian")


def test_no_critic_is_trained_where_neighbours_confirm_the_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("a critic is trained")

    monkeypatch.setattr(f"{EstimatorSuite.__module__}.fit_critic", fail)
    x, z = CorrelatedGaussian(1, 0.7).draw(300, seed=2)
    suite = EstimatorSuite(x, z, "quick", "rank", "separable", 3, 0, spare_critic=True)
    assert default_estimates(suite)[1] is not None
    assert suite.critic_gain == 0
    with pytest.raises(AssertionError, match="trained"):
        estimate_mutual_information(x, z, "dual")


def test_a_few_repeated_values_are_levels_but_rounded_numbers_are_not() -> None:
    random = np.random.default_rng(3)
    wet = random.random(2000) > 0.6
    u, noise, other = random.standard_normal((3, 2000))
    x = np.where(wet, u, 0.0)
    z = np.where(wet, 0.8 * u + 0.6 * noise, other)
    found = estimate_mutual_information(x, z).recommended
    assert found is not None
    assert found.estimator == "chain"
    assert found.value == pytest.approx(0.4 * -0.5 * np.log(1 - 0.8**2), abs=0.05)
    rounded = estimate_mutual_information(u.round(1), (0.8 * u + 0.6 * noise).round(2))
    assert rounded.recommended is not None
    assert rounded.recommended.estimator == "model-ksg"
    assert rounded.recommended.value == pytest.approx(0.511, abs=0.07)
