r"""The neural lower bound of a model, honestly: fitted on one split, reported on another.

A critic is fitted on encodings of the training split, its stopping point, its scale
:math:`\log \xi` and how far from it scores may go are chosen on the validation split
(`calibration`), all are frozen, and the convex dual (Q 2) is evaluated on the test split. There
it is linear in two expectations, so its value is an unbiased estimate of a true lower bound on
I(x; z) and has an ordinary confidence interval.

Because z depends on x only through the posterior's parameters, the critic reads these in place
of the sentence: nothing of I(x; z) is lost. It starts from the Gaussian copula of parameters
and z, as for any pairs (`pairs`), but sees fresh samples of z at every step.

Shapes: N sentences, B sentences of a batch, Z latent units.
"""

__all__ = ["CriticEstimate", "Encodings", "held_out_dual"]

from dataclasses import dataclass

import torch
from torch import Tensor

from ..choices import Profile
from ..models.latent import Posterior
from .calibration import Calibration
from .critic_training import MAX_TEST, MAX_VALID, PROFILES, Source, fit_critic
from .critics import CoordinateTransform, PairCritic
from .gaussian_copula import GaussianRatio
from .intervals import interval_without_groups
from .score_matrix import tally


@dataclass(frozen=True)
class Encodings:
    """Posteriors of N sentences, with one sample of each."""

    posterior: Posterior  # of N sentences
    z: Tensor  # (N, Z)

    def __len__(self) -> int:
        return len(self.z)

    @classmethod
    def draw(cls, posterior: Posterior, seed: int) -> "Encodings":
        """Draws the samples."""
        return cls(posterior, posterior.rsample(torch.Generator().manual_seed(seed)))


@dataclass(frozen=True)
class CriticEstimate:
    """The dual on a test split of n sentences, in nats, with its 95 % interval."""

    value: float
    ci_low: float
    ci_high: float
    log_xi: float
    ceiling: float  # the most that validation pairs let it be: see `calibration`
    n: int
    unseen: (
        float  # share of sentences that score above all product pairs: see `tally.ScoreSummary`
    )


def held_out_dual(
    train: Encodings,
    valid: Encodings,
    test: Encodings,
    seed: int,
    profile: Profile = "default",
) -> CriticEstimate | None:
    """Fits a critic and returns the dual bound on the test split.

    Arguments:
        train: What the critic is fitted on; its samples are drawn afresh for every batch.
        valid: What the stopping point and the dual variable are chosen on.
        test: What the bound is reported on, all pairs of its first 10,000 sentences.
        seed: Seeds the critic's weights and the draws; other random states stay as they are.
        profile: How long and how wide the critic is fitted.

    Returns:
        The estimate; None where a split has a single sentence, which makes no product pair.
    """
    if min(len(train), len(valid), len(test)) < 2:
        return None
    plan = PROFILES[profile]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        view = CoordinateTransform.fit(_features(train), train.z.double(), "rank")
        features, z = view(_features(train), train.z.double())
        enough = len(train) > 2 * (features.shape[1] + z.shape[1])
        start = GaussianRatio.fit(features, z, held_out=True) if enough else None

        def fresh(rows: Tensor) -> tuple[Tensor, Tensor]:
            return features[rows], view.of_z(train.posterior[rows].rsample().double())

        chosen, reported = (
            view(_features(split)[:most], split.z[:most].double())
            for split, most in ((valid, MAX_VALID), (test, MAX_TEST))
        )
        critic = PairCritic("separable", features.shape[1], z.shape[1], plan.hidden, start)
        fitted = fit_critic(critic, Source(len(train), fresh), chosen, "dual", plan)
        calibration = Calibration.of(tally(fitted.scores, *chosen))
        found = tally(fitted.scores, *reported, clip=calibration.clip)
    interval = interval_without_groups(found, calibration.bound)
    log_xi, ceiling = -calibration.log_partition, calibration.ceiling
    return CriticEstimate(*interval, log_xi, ceiling, len(found), found.unseen)


def _features(encodings: Encodings) -> Tensor:
    """Returns the posteriors' parameters, with shape (N, P), in double precision."""
    return encodings.posterior.parameters().double()
