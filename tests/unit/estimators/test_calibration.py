"""The dual as validation pairs allow it: still a bound, and never beyond what they show."""

import math
from functools import partial

import pytest
import torch
from torch import Tensor

from mivae_cli.estimators.bounds import dual
from mivae_cli.estimators.calibration import Calibration
from mivae_cli.estimators.held_out_dual import SampledPosteriors, held_out_dual
from mivae_cli.estimators.intervals import jackknife_interval
from mivae_cli.estimators.samplers import CorrelatedGaussian
from mivae_cli.estimators.score_matrix import ScoreSummary, score_summary
from mivae_cli.models.latent import DiagonalGaussian
from support.gaussian import GaussianChannel

SAMPLER = CorrelatedGaussian(dim=1, rho=0.8)  # 0.51 nats


def scored(
    channel: GaussianChannel, sharpness: float, clip: tuple[float, float] | None
) -> ScoreSummary:
    return score_summary(
        lambda x, z: sharpness * channel.log_ratios(x, z), *channel.draw(100), clip
    )


def test_a_critic_that_does_not_go_that_far_is_left_alone() -> None:
    channel = GaussianChannel(1, 1.5)
    calibration = Calibration.of(scored(channel, 1.0, None))
    torch.manual_seed(1)
    plain = scored(channel, 1.0, None)
    torch.manual_seed(1)
    clipped = scored(channel, 1.0, calibration.clip)
    expected = jackknife_interval(plain, lambda s: dual(s, -calibration.log_partition))
    assert jackknife_interval(clipped, calibration.bound) == pytest.approx(expected)


def test_no_product_pair_of_validation_is_clipped_from_above() -> None:
    found = scored(GaussianChannel(4, 0.05), 100.0, None)
    assert found.max_product <= Calibration.of(found).clip[1] + 1e-9


@pytest.mark.parametrize("sharpness", [3.0, pytest.param(1000.0, marks=pytest.mark.slow)])
def test_it_stays_a_lower_bound_however_far_the_critic_goes(sharpness: float) -> None:
    channel, values = GaussianChannel(1, 1.0), []
    for _ in range(60):
        calibration = Calibration.of(scored(channel, sharpness, None))
        values.append(
            float(calibration.bound(scored(channel, sharpness, calibration.clip).scores))
        )
    found = torch.tensor(values)
    error = float(found.std()) / math.sqrt(len(found))
    assert float(found.max()) <= calibration.ceiling
    assert float(found.mean()) < channel.mutual_information + 3 * error


@pytest.mark.parametrize(("log_scale", "spread"), [(-4.0, 0), (-8.0, 1)])
def test_nearly_deterministic_codes_have_a_finite_estimate(
    brief: None, log_scale: float, spread: int
) -> None:
    def encodings(count: int, seed: int) -> SampledPosteriors:
        means = torch.randn(count, 8) / (torch.rand(count, 1) + 0.1) ** spread
        return SampledPosteriors.draw(
            DiagonalGaussian(means, torch.full_like(means, log_scale)), seed
        )

    found = held_out_dual(
        encodings(2000, 0), encodings(400, 1), encodings(400, 2), seed=0, profile="quick"
    )
    assert found is not None
    assert found.ceiling == pytest.approx(math.log(400 * 399) + 1)
    assert found.ci_low <= found.value <= found.ceiling
    assert found.ci_high > math.log(400)  # what the sentences of a batch could show
    assert math.isfinite(found.ci_high - found.ci_low)


def test_product_pairs_that_make_up_all_of_z_are_clipped() -> None:
    """One sentence scores 40 with the codes of all others, far above any joint score."""

    def summary(seed: int, clip: tuple[float, float] | None = None) -> ScoreSummary:
        torch.manual_seed(seed)
        x, z = SAMPLER.draw(300, seed)
        x[0] = 40.0

        def scores(x: Tensor, z: Tensor) -> Tensor:
            extreme = (x == 40.0).to(z)
            ratios = SAMPLER.log_ratio(x.expand(-1, len(z)).reshape(-1, 1), z.repeat(len(x), 1))
            return torch.where(extreme.bool(), 40.0, ratios.view(len(x), -1))

        return score_summary(scores, x, z, clip)

    plain = Calibration.of(summary(0))
    calibration = Calibration.robust(summary(0), partial(summary, 0))
    of_plain, of_robust = (
        jackknife_interval(summary(1, each.clip), each.bound) for each in (plain, calibration)
    )
    assert of_plain.value < -5
    assert 0.2 < of_robust.value < SAMPLER.mutual_information + 0.2
    assert of_robust.low < of_robust.value < of_robust.high
    assert calibration.ceiling < plain.ceiling
    good = scored(GaussianChannel(1, 1.5), 1.0, None)
    assert Calibration.robust(good, lambda _: good) == Calibration.of(good)


def test_a_clipped_pair_carries_no_more_than_all() -> None:
    found = scored(GaussianChannel(2, 0.01), 1.0, (-1.0, 1.0))
    assert found.max_product > 1
    assert found.max_share <= 1
