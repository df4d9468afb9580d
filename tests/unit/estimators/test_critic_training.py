"""Fitting critics: what is kept, and that every ascent finds information."""

import dataclasses
from typing import get_args

import pytest
import torch
from torch import Tensor

from mivae_cli.choices import PairNetwork
from mivae_cli.errors import DivergedError
from mivae_cli.estimators.bounds import dual, infonce, interpolated, log_mean_exp_product
from mivae_cli.estimators.critic_training import (
    ALPHA,
    PROFILES,
    CriticObjective,
    FitSettings,
    FittedCritic,
    PairTensors,
    TrainingPairs,
    fit_critic,
)
from mivae_cli.estimators.critics import PairCritic
from mivae_cli.estimators.gaussian_ratio import GaussianRatio
from mivae_cli.estimators.samplers import SAMPLERS, CorrelatedGaussian

ASCENTS: tuple[CriticObjective, ...] = get_args(CriticObjective)
GAUSSIAN = CorrelatedGaussian(2, 0.7)
BLOBS = SAMPLERS["mixture"]  # uncorrelated: all is left to the network
LIGHT = FitSettings(steps=200, hidden=32, batch=128, learning_rate=1e-2, check_every=20)


def source(sides: PairTensors) -> TrainingPairs:
    x, z = sides
    return TrainingPairs(len(x), lambda rows: (x[rows], z[rows]))


def told_apart(scores: Tensor) -> float:
    """Returns the symmetric InfoNCE, written out."""
    by_row, by_column = (scores.log_softmax(dim).diagonal().mean() for dim in (1, 0))
    return float(by_row + by_column) / 2 + float(torch.tensor(len(scores)).log())


class Watched(PairCritic):
    """Notes how well it tells the pairs of each validation look."""

    looks: list[float]

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        scores = super().forward(x, z)
        if not torch.is_grad_enabled():
            self.looks.append(told_apart(scores))
        return scores


@pytest.mark.parametrize("ascent", ["dual", "dv"])
def test_the_critic_that_tells_validation_pairs_best_is_kept(ascent: CriticObjective) -> None:
    """Forty training pairs are soon learnt by heart."""
    critic = Watched("separable", 2, 2, hidden=32)
    critic.looks = []
    valid = GAUSSIAN.draw(200, seed=51)
    plan = FitSettings(steps=200, hidden=32, learning_rate=1e-2, check_every=10, patience=1000)
    fitted = fit_critic(critic, source(GAUSSIAN.draw(40, seed=52)), valid, ascent, plan)
    looks = critic.looks[:]
    best = max(range(len(looks)), key=lambda look: looks[look])
    assert len(looks) == 21
    assert fitted.steps == 10 * best
    assert 0 < fitted.steps < 200
    assert told_apart(fitted.scores(*valid)) == pytest.approx(looks[best], abs=1e-6)
    assert looks[-1] < looks[best] - 0.1


def test_training_stops_after_so_many_looks_without_improvement() -> None:
    critic = Watched("separable", 2, 2, hidden=16)
    critic.looks = []
    plan = FitSettings(steps=2000, hidden=16, learning_rate=1e-2, check_every=10, patience=3)
    train = source(GAUSSIAN.draw(40, seed=53))
    fitted = fit_critic(critic, train, GAUSSIAN.draw(200, seed=54), "dual", plan)
    assert len(critic.looks) == fitted.steps // 10 + 1 + 3


@pytest.mark.parametrize("ascent", ASCENTS)
def test_a_good_start_survives_training_pairs_that_are_noise(ascent: CriticObjective) -> None:
    x, z = GAUSSIAN.draw(1000, seed=55)
    start = GaussianRatio.fit(x, z)
    critic = PairCritic("separable", 2, 2, hidden=32, start=start.scores)
    valid = GAUSSIAN.draw(300, seed=56)
    noise = source((x, z[torch.randperm(1000)]))
    fitted = fit_critic(critic, noise, valid, ascent, dataclasses.replace(LIGHT, patience=2))
    assert fitted.steps == 0
    assert torch.equal(fitted.scores(*valid), start.scores(*valid).float())


def test_no_critic_keeps_a_start_that_is_worse_than_none() -> None:
    """A scale that matches pairs well may still be far too large for the dual."""
    x, z = GAUSSIAN.draw(300, seed=1)
    for start in (lambda x, z: 50 * (x @ z.T), lambda x, z: -5 * (x @ z.T)):
        critic = PairCritic("separable", 2, 2, 8, start)
        none = dataclasses.replace(LIGHT, steps=0)
        fit_critic(critic, source((x, z)), (x, z), "nwj", none)
        assert critic.start is None
    critic = PairCritic("separable", 2, 2, 8, GaussianRatio.fit(x, z).scores)
    fit_critic(critic, source((x, z)), (x, z), "nwj", none)
    assert critic.start is not None


def figure(
    fitted: FittedCritic, ascent: CriticObjective, valid: PairTensors, fresh: PairTensors
) -> float:
    """Returns the bound that an ascent is for, on pairs that nothing was fitted on."""
    scores = fitted.scores(*fresh)
    match ascent:
        case "dual" | "dv":
            return float(dual(scores, -log_mean_exp_product(fitted.scores(*valid))))
        case "infonce":
            return float(infonce(scores))
        case "interpolated":
            return float(interpolated(scores, torch.zeros(()), ALPHA))
        case _:
            return float(dual(scores, 0.0))


@pytest.mark.parametrize("ascent", ASCENTS)
def test_every_ascent_finds_most_of_an_information_without_correlation(
    ascent: CriticObjective,
) -> None:
    valid, fresh = BLOBS.draw(500, seed=57), BLOBS.draw(1000, seed=58)
    critic = PairCritic("separable", 1, 1, hidden=32)
    fitted = fit_critic(critic, source(BLOBS.draw(4000, seed=59)), valid, ascent, LIGHT)
    found = figure(fitted, ascent, valid, fresh)
    truth = BLOBS.mutual_information
    assert 0.8 * truth < found < 1.05 * truth
    assert (fitted.baseline is not None) == (ascent in ("tuba", "interpolated"))


@pytest.mark.parametrize("network", get_args(PairNetwork))
def test_every_network_learns_a_gaussian_without_a_start(network: PairNetwork) -> None:
    """Products and radii of x and z make up its log-ratio: the bilinear one holds it exactly."""
    train, valid = GAUSSIAN.draw(2000, seed=63), GAUSSIAN.draw(500, seed=64)
    critic = PairCritic(network, 2, 2, hidden=16)
    plan = LIGHT if network != "bilinear" else dataclasses.replace(LIGHT, steps=600)
    fitted = fit_critic(critic, source(train), valid, "dual", plan)
    found = told_apart(fitted.scores(*valid))
    assert 0.8 * GAUSSIAN.mutual_information < found < 1.2 * GAUSSIAN.mutual_information


def test_the_same_seed_gives_the_same_weights_and_another_others() -> None:
    plan = FitSettings(steps=40, hidden=16, batch=64, learning_rate=1e-2, check_every=10)
    train, valid = GAUSSIAN.draw(300, seed=60), GAUSSIAN.draw(200, seed=61)

    def weights(seed: int) -> Tensor:
        torch.manual_seed(seed)
        critic = PairCritic("separable", 2, 2, hidden=16)
        fitted = fit_critic(critic, source(train), valid, "tuba", plan)
        assert fitted.steps > 0
        assert fitted.baseline is not None
        moved = [*fitted.critic.parameters(), *fitted.baseline.parameters()]
        assert not any(weight.requires_grad for weight in moved)
        return torch.cat([weight.flatten() for weight in moved])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_a_critic_that_does_not_score_in_numbers_is_an_error() -> None:
    x, z = GAUSSIAN.draw(100, seed=62)
    critic = PairCritic("separable", 2, 2, hidden=16)
    with pytest.raises(DivergedError, match="'dual'"):
        fit_critic(critic, source((x, z)), (x * torch.nan, z), "dual", LIGHT)


def test_profiles_grow() -> None:
    quick, default, thorough = PROFILES["quick"], PROFILES["default"], PROFILES["thorough"]
    assert quick.steps < default.steps < thorough.steps
    assert quick.hidden < default.hidden < thorough.hidden
