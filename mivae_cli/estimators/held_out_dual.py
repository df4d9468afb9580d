r"""The neural lower bound on I(x; z) of a model: trained on one split, reported on another.

A critic is trained on posteriors of the training split. The validation split determines when to
stop, the scale :math:`\log \xi` and the clipping range (`calibration`). All are then frozen, and
the convex dual (Q 2) is evaluated on the test split. There it is linear in two expectations, so its
value is an unbiased estimate of a true lower bound on I(x; z) and has an ordinary confidence
interval.

Because z depends on x only through the parameters of the posterior, the critic takes these as its
input for x; this loses none of I(x; z). It starts from the Gaussian copula of parameters and z, as
for any pairs (`estimate`), but draws new samples of z at every step.

Shapes: N sentences, B sentences of a batch, Z latent units.
"""

__all__ = ["CriticEstimate", "SampledPosteriors", "held_out_dual"]

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ..choices import Profile
from ..models.latent import Posterior
from .calibration import Calibration
from .coordinates import CoordinateTransform
from .critic_training import MAX_TEST, MAX_VALID, PROFILES, TrainingPairs, fit_critic
from .critics import PairCritic
from .gaussian_ratio import GaussianRatio
from .intervals import jackknife_interval
from .score_matrix import score_summary


@dataclass(frozen=True)
class SampledPosteriors:
    """Posteriors of N sentences with one sample of each."""

    posterior: Posterior
    z: Tensor  # (N, Z)

    def __len__(self) -> int:
        return len(self.z)

    @classmethod
    def draw(cls, posterior: Posterior, seed: int) -> "SampledPosteriors":
        """Draws one sample of each posterior."""
        return cls(posterior, posterior.rsample(torch.Generator().manual_seed(seed)))


@dataclass(frozen=True)
class CriticEstimate:
    """The dual on a test split of n sentences with its 95 % interval, in nats."""

    value: float  # the bound
    ci_low: float  # lower end of the 95 % interval
    ci_high: float  # upper end of the 95 % interval
    log_xi: float  # logarithm of the dual variable
    ceiling: float  # largest possible value; see `calibration`
    n: int  # number of sentences
    unseen: float  # share of sentences that score above all product pairs; see `ScoreSummary`


def held_out_dual(
    train: SampledPosteriors,
    valid: SampledPosteriors,
    test: SampledPosteriors,
    seed: int,
    profile: Profile = "default",
) -> CriticEstimate | None:
    """Returns the dual bound on the test split; None if a split has fewer than two sentences.

    Arguments:
        train: Training split; every batch draws new z.
        valid: Validation split for early stopping and calibration.
        test: Test split; all pairs of its first 10,000 sentences are scored.
        seed: Seed of all weights and draws; the global random state does not change.
        profile: Size of the critic and length of its training.
    """
    if min(len(train), len(valid), len(test)) < 2:
        return None
    settings = PROFILES[profile]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        transform = CoordinateTransform.fit(_features(train), train.z.double(), "rank")
        features, z = transform(_features(train), train.z.double())
        enough = len(train) > 2 * (features.shape[1] + z.shape[1])
        start = GaussianRatio.fit(features, z, held_out=True) if enough else None

        def fresh(rows: Tensor) -> tuple[Tensor, Tensor]:
            return features[rows], transform.of_z(train.posterior[rows].rsample().double())

        chosen, reported = (
            transform(_features(split)[:most], split.z[:most].double())
            for split, most in ((valid, MAX_VALID), (test, MAX_TEST))
        )
        scores = None if start is None else start.scores
        critic = PairCritic("separable", features.shape[1], z.shape[1], settings.hidden, scores)
        fitted = fit_critic(critic, TrainingPairs(len(train), fresh), chosen, "dual", settings)
        of_chosen = partial(score_summary, fitted.scores, *chosen)
        calibration = Calibration.robust(of_chosen(), of_chosen)
        summary = score_summary(fitted.scores, *reported, clip=calibration.clip)
    interval = jackknife_interval(summary, calibration.bound)
    log_xi, ceiling = -calibration.log_partition, calibration.ceiling
    return CriticEstimate(*interval, log_xi, ceiling, len(summary), summary.unseen)


def _features(posteriors: SampledPosteriors) -> Tensor:
    """Returns the parameters of the posteriors in double precision, with shape (N, P)."""
    return posteriors.posterior.parameters().double()
