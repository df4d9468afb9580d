"""Estimates of any pairs against distributions whose mutual information is known."""

import dataclasses
import math
import random
from functools import partial
from typing import get_args

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from mivae_cli.choices import Direction, EstimatorName, PairNetwork, Transform
from mivae_cli.errors import ConfigError, DataError
from mivae_cli.estimators import critic_training as fitting
from mivae_cli.estimators import nearest_neighbours
from mivae_cli.estimators.bounds import donsker_varadhan, dual
from mivae_cli.estimators.critic_training import FitSettings
from mivae_cli.estimators.estimate import estimate_mutual_information
from mivae_cli.estimators.gaussian_ratio import GaussianRatio
from mivae_cli.estimators.intervals import jackknife_interval
from mivae_cli.estimators.report import Estimate, Report, missing_pairs
from mivae_cli.estimators.samplers import SAMPLERS, CorrelatedGaussian, Independent
from mivae_cli.estimators.score_matrix import score_summary
from support.gaussian import assert_near

NAMES: tuple[EstimatorName, ...] = get_args(EstimatorName)
QUICK = partial(estimate_mutual_information, profile="quick")
LOWER: tuple[EstimatorName, ...] = ("dual", "mine", "dv", "nwj", "js", "tuba")


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the quick profile quicker: for what does not hang on how good a critic is."""
    plan = FitSettings(steps=10, hidden=16, batch=64, check_every=5)
    monkeypatch.setitem(fitting.PROFILES, "quick", plan)


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the quick profile quicker, yet long enough to learn."""
    plan = FitSettings(steps=200, hidden=32, batch=128, learning_rate=1e-2, check_every=25)
    monkeypatch.setitem(fitting.PROFILES, "quick", plan)


def row(report: Report, name: EstimatorName) -> Estimate:
    (found,) = (row for row in report.estimates if row.estimator == name)
    return found


def figures(report: Report) -> Report:
    """Returns a report without how long it took."""
    rows = [dataclasses.replace(row, seconds=None) for row in report.estimates]
    return dataclasses.replace(report, estimates=rows)


def encloses(found: Estimate, truth: float) -> bool:
    assert found.ci_low is not None
    assert found.ci_high is not None
    return found.ci_low < truth < found.ci_high


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("name", NAMES)
def test_each_estimator_says_which_way_it_errs_and_how_far_it_reads(name: EstimatorName) -> None:
    x, z = CorrelatedGaussian(1, 0.6).draw(300, seed=71)  # of which 60 for testing
    report = QUICK(x, z, [name])
    (found,) = report.estimates
    lower: tuple[EstimatorName, ...] = (*LOWER, "infonce", "interpolated")
    direction: Direction = "lower" if name in lower else "neither"
    if name in ("club", "leave-one-out"):
        direction = "upper"
    digammas = torch.digamma(torch.tensor([300.0, 3.0]))
    ceilings: dict[EstimatorName, float] = {
        "dual": 1 + math.log(60 * 59),  # of as many for validation
        "infonce": math.log(60),
        "interpolated": 1 + math.log(59 / 0.5),
        "ksg": float(digammas[0] - digammas[1]),
    }
    assert found.estimator == name
    assert found.direction == direction
    assert found.ceiling == pytest.approx(ceilings.get(name))
    assert found.held_out == (name not in ("gaussian", "copula", "ksg", "model", "model-ksg"))
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert found.ci_low < found.value < found.ci_high
    assert abs(found.value - 0.223) < 0.3
    assert found.seconds is not None
    assert found.seconds > 0
    assert report.recommended is not None
    assert report.recommended.estimator == name
    assert (report.n, report.x_dim, report.z_dim, report.unit) == (300, 1, 1, "nats")


@pytest.mark.usefixtures("tiny")
def test_of_several_the_first_in_the_fixed_order_is_recommended() -> None:
    x, z = CorrelatedGaussian(1, 0.6).draw(100, seed=72)
    report = QUICK(x, z, ["gaussian", "infonce", "dual"])
    assert [row.estimator for row in report.estimates] == ["gaussian", "infonce", "dual"]
    assert report.recommended is not None
    assert report.recommended.estimator == "dual"
    assert report.recommended.value == row(report, "dual").value


@pytest.mark.usefixtures("tiny")
def test_what_else_is_asked_for_changes_no_row() -> None:
    x, z = CorrelatedGaussian(2, 0.6).draw(100, seed=73)
    together = figures(QUICK(x, z, ["doe", "tuba", "smile", "dual"]))
    for found in together.estimates:
        alone = QUICK(x, z, [found.estimator])  # type: ignore[list-item]
        assert figures(alone).estimates == [found]


@pytest.mark.usefixtures("tiny")
def test_a_seed_decides_all_and_other_random_states_stay_as_they_are() -> None:
    x, z = CorrelatedGaussian(2, 0.6).draw(100, seed=74)
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]
    found = QUICK(x, z, permutations=20, seed=3)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert np.random.get_state()[1].tolist() == states[2]  # type: ignore[index]
    torch.manual_seed(99)
    assert figures(QUICK(x, z, permutations=20, seed=3)) == figures(found)
    other = QUICK(x, z, ["dual", "copula"], seed=4)
    assert row(other, "dual").value != row(found, "dual").value
    assert row(other, "copula").value == row(found, "copula").value  # which splits nothing


@pytest.mark.usefixtures("tiny")
def test_arrays_tensors_and_lists_of_any_number_type_are_alike() -> None:
    x, z = CorrelatedGaussian(2, 0.6).draw(80, seed=75)
    estimate = partial(QUICK, estimators=["nwj", "ksg", "gaussian"])
    for kind in (torch.float32, torch.bfloat16, torch.float64):
        rounded = x.to(kind).double()
        expected = figures(estimate(rounded.numpy(), z.numpy()))
        assert figures(estimate(x.to(kind), z)) == expected
        assert figures(estimate(rounded.tolist(), z.tolist())) == expected
    counts = (10 * x).round()
    expected = figures(estimate(counts, z))
    assert figures(estimate(counts.long(), z)) == expected
    assert figures(estimate(counts.numpy().astype(np.int16), z)) == expected
    flat = figures(estimate(x[:, 0], z[:, 0].requires_grad_()))
    assert flat == figures(estimate(x[:, :1], z[:, :1].detach()))


@pytest.mark.usefixtures("light")
@pytest.mark.parametrize("cubed", [False, True])
def test_the_default_is_right_about_a_copula(cubed: bool) -> None:
    sampler = CorrelatedGaussian(3, 0.7)
    x, z = sampler.draw(1000, seed=302)
    report = QUICK(x, z**3 if cubed else z)
    assert report.recommended is not None
    assert report.recommended.estimator == "model-ksg"
    found = row(report, "model-ksg")
    assert report.recommended.value == found.value
    assert encloses(found, sampler.mutual_information)
    assert not report.recommended.at_least
    gaussian = row(report, "gaussian")
    assert gaussian.ci_high is not None
    assert (gaussian.ci_high < sampler.mutual_information) == cubed
    names = ["model-ksg", "model", "dual", "infonce", "copula", "gaussian", "ksg"]
    assert [row.estimator for row in report.estimates] == names


@pytest.mark.usefixtures("light")
@pytest.mark.parametrize("name", ["mixture", "swiss-roll"])
def test_the_default_is_right_where_pairs_are_more_than_a_copula(name: str) -> None:
    sampler = SAMPLERS[name]
    report = QUICK(*sampler.draw(2500, seed=303), seed=3)
    assert report.recommended is not None
    truth = sampler.mutual_information
    assert report.recommended.value == pytest.approx(truth, abs=0.06)
    assert encloses(row(report, "model-ksg"), truth)
    found = row(report, "dual")
    assert found.ci_low is not None
    assert found.ci_low < truth  # a lower bound
    assert found.value > 0.7 * truth  # and most of it
    assert not found.warnings
    copula = row(report, "copula")
    assert copula.ci_high is not None
    assert copula.ci_high < truth  # which sees too little here


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(("dim", "count"), [(1, 100), (3, 200)])
def test_p_values_of_independent_pairs_are_uniform(dim: int, count: int) -> None:
    found = []
    for repetition in range(60):
        x, z = Independent(dim, dim).draw(count, seed=1000 + repetition)
        p_value = QUICK(x, z, ["gaussian"], permutations=49, seed=repetition).p_value
        assert p_value is not None
        found.append(p_value)
    p_values = torch.tensor(found)
    assert p_values.min() >= 1 / 50
    assert p_values.max() <= 1
    # uniform on 1/50, ..., 1: mean 0.51
    assert abs(float(p_values.mean()) - 0.51) < 4 * math.sqrt(1 / 12 / 60)
    for level in (0.1, 0.3, 0.5, 0.8):
        share = float((p_values <= level + 1e-6).float().mean())
        assert abs(share - level) < 4 * math.sqrt(level * (1 - level) / 60)


@pytest.mark.usefixtures("tiny")
def test_the_p_value_of_dependent_pairs_is_the_least_there_is() -> None:
    x, z = CorrelatedGaussian(2, 0.7).draw(200, seed=78)
    assert QUICK(x, z, ["copula"], permutations=199).p_value == pytest.approx(1 / 200)
    assert QUICK(x, z, ["copula"]).p_value is None


def optimal(sampler: CorrelatedGaussian) -> GaussianRatio:
    """Returns the true log-ratio of pairs of standard normals."""
    size = sampler.x_dim
    identity, origin = torch.eye(size, dtype=torch.float64), torch.zeros(size, dtype=torch.float64)
    rho = float(sampler.covariance[0, size])
    correlations = torch.full((size,), rho, dtype=torch.float64)
    return GaussianRatio(correlations, origin, origin, identity, identity, (size, size))


@pytest.mark.parametrize(("nats", "missing"), [(10.0, True), (2.0, False), (1.0, False)])
def test_product_pairs_are_doubted_where_the_optimal_critic_over_reports(
    nats: float, missing: bool
) -> None:
    sampler = CorrelatedGaussian.of_information(20, nats)
    critic = optimal(sampler).scores
    excesses, doubted = [], []
    for repetition in range(30):
        found = score_summary(critic, *sampler.draw(300, seed=5000 + repetition))
        excesses.append(float(donsker_varadhan(found.scores)) - float(found.joint.mean()))
        doubted.append(bool(missing_pairs(found.unseen, len(found))))
    excess = torch.tensor(excesses)  # given the joint pairs at hand
    error = float(excess.std()) / len(excess) ** 0.5
    if missing:
        assert all(doubted)
        assert excess.mean() > max(3 * error, 0.1)
    else:
        assert not any(doubted)
        assert_near(excess, 0.0)


@pytest.mark.usefixtures("tiny")
def test_too_few_product_pairs_are_told_and_so_is_a_near_ceiling() -> None:
    sampler = CorrelatedGaussian.of_information(20, 10.0)
    report = QUICK(*sampler.draw(500, seed=79), ["dual", "infonce"])
    warning = row(report, "dual").warnings[-1]
    assert "too high" in warning
    (ceiling,) = row(report, "infonce").warnings
    assert f"near its ceiling of {math.log(100):.2f}" in ceiling
    assert row(report, "infonce").value < math.log(100)

    mild = CorrelatedGaussian.of_information(2, 1.0)
    calm = QUICK(*mild.draw(500, seed=80), ["dual", "infonce"])
    assert row(calm, "dual").warnings == row(calm, "infonce").warnings == []


@pytest.mark.usefixtures("light")
def test_what_the_product_pairs_cannot_hold_is_left_to_infonce() -> None:
    """Hardly any noise, and so few pairs that no copula is fitted to start from."""
    x, noise = (Independent(30, 1).draw(150, seed=seed)[0] for seed in (9, 10))
    report = QUICK(x, x + 0.05 * noise, network="bilinear", seed=1)
    assert row(report, "dual").warnings
    assert report.recommended is not None
    assert report.recommended.estimator == "infonce"
    assert report.recommended.value == row(report, "infonce").value
    assert report.recommended.value < math.log(30) + 1e-9


@pytest.mark.usefixtures("tiny")
def test_a_function_of_x_is_told_to_carry_infinite_information() -> None:
    x, _ = Independent(1, 1).draw(100, seed=82)
    for z in (x, -2 * x + 1):
        warnings = row(QUICK(x, z, ["gaussian"]), "gaussian").warnings
        assert any("infinite" in warning for warning in warnings)
    assert any("infinite" in warning for warning in row(QUICK(x, x**3), "copula").warnings)
    report = QUICK(x, x**3)
    assert report.recommended is not None
    assert report.recommended.estimator == "infonce"
    assert report.recommended.value <= math.log(20)  # of the test pairs
    _, noise = Independent(1, 1).draw(100, seed=83)
    assert row(QUICK(x, x + 0.01 * noise, ["gaussian"]), "gaussian").warnings == []


@pytest.mark.usefixtures("tiny")
def test_more_coordinates_than_pairs_go_without_a_covariance() -> None:
    x, z = Independent(70, 60).draw(100, seed=84)
    x[:, 0] = z[:, 0]
    report = QUICK(x, z, permutations=20)
    names = [row.estimator for row in report.estimates]
    assert names == ["model-ksg", "model", "dual", "infonce"]  # of a reduction
    assert report.recommended is not None
    assert all(math.isfinite(row.value) for row in report.estimates)
    assert any("130 dimensions for 100 pairs" in warning for warning in report.warnings)
    with pytest.raises(DataError, match="100 pairs"):
        QUICK(x, z, ["copula"])


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("network", get_args(PairNetwork))
@pytest.mark.parametrize("transform", get_args(Transform))
def test_every_network_and_view_starts_from_what_a_gaussian_knows(
    network: PairNetwork, transform: Transform
) -> None:
    sampler = CorrelatedGaussian(2, 0.7)
    x, z = sampler.draw(600, seed=85)
    found = row(QUICK(x, z, ["dual"], network=network, transform=transform), "dual")
    assert encloses(found, sampler.mutual_information)


@pytest.mark.usefixtures("tiny")
def test_columns_that_hardly_ever_vary_do_no_harm() -> None:
    """So rare a value that the training pairs may miss it."""
    x, z = CorrelatedGaussian(1, 0.7).draw(100, seed=86)
    rare = torch.full((100, 1), 0.3, dtype=torch.float64)
    rare[5] = 1e6
    transforms: tuple[Transform, ...] = get_args(Transform)
    for transform in transforms:
        for seed in range(2):
            report = QUICK(
                torch.cat([x, rare], dim=1), z, ["dual"], transform=transform, seed=seed
            )
            assert abs(report.estimates[0].value - 0.337) < 0.8


def samples(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(87))


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("x", "z", "message"),
    [
        (samples(49, 1), samples(49, 1), "49 pairs"),
        (samples(60, 1), samples(61, 1), "x .*60 .*z .*61"),
        (samples(60, 1).log(), samples(60, 1), "x .*NaN"),
        (samples(60, 1), torch.ones(60, 2), "z .*constant"),
        (samples(60, 0), samples(60, 1), "x "),
        (["a"] * 60, samples(60, 1), "x "),
        (None, samples(60, 1), "x "),
    ],
)
def test_what_cannot_be_measured_is_refused(x: ArrayLike, z: ArrayLike, message: str) -> None:
    with pytest.raises(DataError, match=message):
        QUICK(x, z)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("scale", [1e-290, 1e200, 1e290])
def test_the_unit_of_a_column_does_not_matter(scale: float) -> None:
    x = torch.randn(100, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(87))
    z = x + x.flip(0)
    names: tuple[EstimatorName, ...] = ("gaussian", "copula", "ksg", "infonce")
    for first, second in ((x * scale, z), (x, z * scale), (x * scale, z / scale)):
        for expected, found in zip(
            QUICK(x, z, names).estimates, QUICK(first, second, names).estimates, strict=True
        ):
            assert found.value == pytest.approx(expected.value, abs=1e-3)


@pytest.mark.usefixtures("tiny")
def test_settings_that_cannot_be_used_are_refused() -> None:
    x, z = samples(60, 1), samples(60, 2)
    with pytest.raises(ConfigError, match="ksg"):
        QUICK(x, z, ["ksg", "ksg"])
    for neighbours in (0, 60):
        with pytest.raises(ConfigError, match="neighbours"):
            QUICK(x, z, ["ksg"], neighbours=neighbours)
    with pytest.raises(ConfigError, match="'nosuch'"):
        QUICK(x, z, ["ksg", "nosuch"])  # type: ignore[list-item]


def test_the_interval_of_the_dual_covers_what_a_fixed_critic_certifies() -> None:
    """At the optimal critic and log xi = 0 that is the mutual information."""
    sampler = CorrelatedGaussian(1, 0.5)
    critic = optimal(sampler).scores
    covered = 0
    for repetition in range(100):
        found = score_summary(critic, *sampler.draw(200, seed=3000 + repetition))
        interval = jackknife_interval(found, partial(dual, log_xi=0.0))
        covered += interval.low <= sampler.mutual_information <= interval.high
    assert 0.88 <= covered / 100 <= 0.99


def test_ksg_uses_a_subset_of_many_pairs_and_warns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pairs = CorrelatedGaussian(1, 0.9).draw(400, seed=5)
    whole = estimate_mutual_information(*pairs, ["ksg"]).estimates[0]
    monkeypatch.setattr(nearest_neighbours, "MAX_PAIRS", 300)
    part = estimate_mutual_information(*pairs, ["ksg"]).estimates[0]
    assert whole.warnings == []
    assert "300" in part.warnings[0]
    assert part.value == pytest.approx(whole.value, abs=0.2)
    assert part.value != whole.value
