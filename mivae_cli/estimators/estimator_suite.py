r"""All estimators on one set of pairs, with shared splits, critics and densities.

`dual` and `mine` share a critic, `js` and `smile` another one; `leave-one-out`, `club` and `doe`
share a density. The seconds of an estimate include all shared work, as if it ran alone.

Shapes: N pairs, X and Z coordinates.
"""

__all__ = ["EstimatorSuite"]

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from operator import attrgetter, methodcaller
from typing import Literal

import torch
from torch import Tensor

from ..choices import Direction, EstimatorName, PairNetwork, Profile, Transform
from .bounds import Scores, donsker_varadhan, dual, infonce, interpolated
from .calibration import Calibration
from .critic_training import (
    ALPHA,
    MAX_TEST,
    MAX_VALID,
    PROFILES,
    CriticObjective,
    FittedCritic,
    TrainingPairs,
    fit_critic,
)
from .critics import CoordinateTransform, PairCritic
from .densities import MixtureDensity, doe_terms, fit_density
from .gaussian_estimators import closed_form
from .gaussian_ratio import GaussianRatio
from .intervals import Interval, jackknife, jackknife_interval, mean_interval
from .nearest_neighbours import ksg_estimate
from .report import Estimate, missing_pairs, stopwatch
from .rows import Rows
from .score_matrix import Bound, ScoreSummary, score_summary
from .upper_bounds import club_terms, leave_one_out_terms

TEST_SHARE, VALID_SHARE = 0.2, 0.1
MAX_MATRIX = 4_096  # test pairs whose whole matrix is in memory
SMILE_CLIP = -5.0, 5.0
MAX_SHARE = 0.5  # of Z from a single product pair; above it, the estimate gets a warning

OBJECTIVES: dict[EstimatorName, CriticObjective] = {
    "dual": "dual",
    "mine": "dual",  # MINE also divides by a moving average of Z
    "dv": "dv",
    "nwj": "nwj",
    "js": "js",
    "smile": "js",
    "infonce": "infonce",
    "tuba": "tuba",
    "interpolated": "interpolated",
}

Clip = tuple[float, float] | None


class EstimatorSuite:
    """Estimators on pairs x (N, X) and z (N, Z) in double precision, trained on first use.

    The other arguments are those of `estimate_mutual_information`.
    """

    def __init__(
        self,
        x: Tensor,
        z: Tensor,
        profile: Profile,
        transform: Transform,
        network: PairNetwork,
        neighbours: int,
        seed: int,
        rows: Rows | None = None,
    ) -> None:
        self.x, self.z = x, z
        self.rows = Rows.independent(len(x)) if rows is None else rows
        self.settings, self.network, self.neighbours = PROFILES[profile], network, neighbours
        self.seed, self.transform = seed, transform
        train, valid, test = _split(self.rows, seed)
        self.valid_rows, self.test_rows = self.rows.take(valid), self.rows.take(test)
        mapped = CoordinateTransform.fit(x[train], z[train], transform)
        self.train = mapped(x[train], z[train])
        self.valid = mapped(x[valid], z[valid])
        self.test = mapped(x[test], z[test])
        self.start: GaussianRatio | None = None
        if len(train) > 2 * (x.shape[1] + z.shape[1]):
            self.start = GaussianRatio.fit(*self.train, held_out=True)
        self._critics: dict[CriticObjective, tuple[FittedCritic, float]] = {}
        self._summaries: dict[tuple[CriticObjective, str], ScoreSummary] = {}

    def estimate(self, name: EstimatorName) -> Estimate:
        """Returns the estimate of one estimator."""
        match name:
            case "gaussian" | "copula":
                return closed_form(name, self.x, self.z, rows=self.rows)
            case "ksg":
                return ksg_estimate(self.x, self.z, self.neighbours, self.seed, rows=self.rows)
            case "leave-one-out" | "club" | "doe":
                return self._density_estimate(name)
            case _:
                return self.critic_estimate(name, OBJECTIVES[name])

    def critic(self, objective: CriticObjective) -> FittedCritic:
        """Returns the critic trained on an objective."""
        if objective not in self._critics:
            x, z = self.train
            settings = self.settings
            with stopwatch() as seconds:
                torch.manual_seed(self.seed)  # so that the order of training does not matter
                sizes = x.shape[1], z.shape[1], settings.hidden
                critic = PairCritic(self.network, *sizes, self.start)
                if self.network == "concatenated":  # one forward pass per pair of a batch
                    settings = replace(settings, hidden=settings.hidden // 2, batch=128)
                pairs = TrainingPairs(len(x), lambda rows: (x[rows], z[rows]))
                fitted = fit_critic(critic, pairs, self.valid, objective, settings)
            self._critics[objective] = fitted, seconds()
        return self._critics[objective][0]

    def summary(self, objective: CriticObjective, split: Literal["valid", "test"]) -> ScoreSummary:
        """Returns a critic's scores of all pairs of the validation or the test split."""
        if (objective, split) not in self._summaries:
            pairs = self.test if split == "test" else self.valid
            rows = self.test_rows if split == "test" else self.valid_rows
            critic = self.critic(objective)
            self._summaries[objective, split] = score_summary(critic.scores, *pairs, rows=rows)
        return self._summaries[objective, split]

    def critic_estimate(self, name: EstimatorName, objective: CriticObjective) -> Estimate:
        """Returns the estimate of a bound with the critic trained on an objective."""
        critic = self.critic(objective)
        spent = self._critics[objective][1]
        with stopwatch() as seconds:
            bound, ceiling, clip = self._bound(name, objective)
            if clip is None:
                summary = self.summary(objective, "test")
            else:
                summary = score_summary(critic.scores, *self.test, clip, self.test_rows)
            interval = jackknife_interval(summary, bound)
        direction: Direction = "neither" if name == "smile" else "lower"
        warnings = _warnings(name, summary, interval.value, ceiling)
        return Estimate(name, *interval, direction, ceiling, True, spent + seconds(), warnings)

    def gain(self) -> Interval:
        """Returns the improvement by training in symmetric InfoNCE on the validation pairs.

        The interval is from the jackknife of the paired difference. Without a Gaussian start, the
        improvement is infinite.
        """
        if self.start is None:
            return Interval(math.inf, math.inf, math.inf)
        after = [self.summary("dual", "valid"), self._transposed(self.critic("dual").scores)]
        start = self.start.scores
        before = [
            score_summary(start, *self.valid, rows=self.valid_rows),
            self._transposed(start),
        ]

        def difference(pick: Callable[[ScoreSummary], Scores]) -> float:
            found = zip(map(pick, after), map(pick, before), strict=True)
            return float(sum(infonce(new) - infonce(old) for new, old in found)) / 2

        without = [
            difference(methodcaller("without", group)) for group in range(len(after[0].partial))
        ]
        return jackknife(difference(attrgetter("scores")), without)

    def p_value(self, permutations: int) -> float:
        """Returns the p-value of independence: the share of shuffles that score at least as high.

        Uses the critic with a Gaussian start that is not corrected for sampling noise: a test may
        use weak evidence that would add noise to an estimate.
        """
        x, z = (samples[:MAX_MATRIX] for samples in self.test)
        critic = self.critic("dual")
        with torch.inference_mode():
            scores = critic.scores(x, z)
            if self.start is not None:
                uncorrected = GaussianRatio.fit(*self.train)
                scores = scores - self.start.scores(x, z) + uncorrected.scores(x, z)
        numbers, rows = torch.arange(len(x)), self.test_rows.take(torch.arange(len(x)))
        generator = torch.Generator().manual_seed(self.seed)
        joint, above = float(scores.diagonal().mean()), 0
        for _ in range(permutations):
            shuffled = rows.permutation(generator)
            above += float(scores[numbers, shuffled].mean()) >= joint
        return (1 + above) / (1 + permutations)

    def _transposed(self, critic: Callable[[Tensor, Tensor], Tensor]) -> ScoreSummary:
        """Returns the validation scores with x and z exchanged."""
        x, z = self.valid
        return score_summary(lambda z, x: critic(x, z).T, z, x, rows=self.valid_rows)

    def _bound(
        self, name: EstimatorName, objective: CriticObjective
    ) -> tuple[Bound, float | None, Clip]:
        """Returns a bound, its ceiling, and the clipping range of product scores.

        Nothing is chosen on the test split.
        """
        count = len(self.test[0])
        match name:
            case "dual":
                calibration = Calibration.of(self.summary(objective, "valid"))
                return calibration.bound, calibration.ceiling, calibration.clip
            case "nwj" | "js" | "tuba":  # their optimal f is the pointwise mutual information
                return partial(dual, log_xi=0.0), None, None
            case "infonce":
                return infonce, math.log(count), None
            case "interpolated":
                bound = partial(interpolated, log_baseline=torch.zeros(()), alpha=ALPHA)
                return bound, 1 + math.log((count - 1) / ALPHA), None
            case "smile":
                return donsker_varadhan, None, SMILE_CLIP
            case _:
                return donsker_varadhan, None, None

    def _density_estimate(self, name: EstimatorName) -> Estimate:
        conditional, spent = self._conditional
        direction: Direction = "upper"
        warnings = ["an upper bound only if the fitted q(z|x) is accurate"]
        with stopwatch() as seconds:
            x, z = (samples[:MAX_MATRIX].float() for samples in self.test)
            if name == "doe":
                direction, warnings = "neither", []
                terms = doe_terms(conditional, self._density(conditioned=False), x, z)
            else:
                of_matrix = leave_one_out_terms if name == "leave-one-out" else club_terms
                terms = of_matrix(conditional.log_prob_matrix(x, z))
            rows = self.test_rows.take(torch.arange(len(x)))
            interval = mean_interval(terms, rows)
        return Estimate(name, *interval, direction, None, True, spent + seconds(), warnings)

    @cached_property
    def _conditional(self) -> tuple[MixtureDensity, float]:
        """The density of z given x, and the seconds spent on it."""
        with stopwatch() as seconds:
            density = self._density(conditioned=True)
        return density, seconds()

    def _density(self, conditioned: bool) -> MixtureDensity:
        (x, z), (valid_x, valid_z) = ((x.float(), z.float()) for x, z in (self.train, self.valid))
        if not conditioned:
            x, valid_x = x[:, :0], valid_x[:, :0]
        return fit_density(x, z, valid_x, valid_z, steps=self.settings.steps, seed=self.seed)


def _warnings(
    name: EstimatorName, summary: ScoreSummary, value: float, ceiling: float | None
) -> list[str]:
    if name in ("infonce", "interpolated"):
        near = ceiling is not None and value > ceiling - 1
        return [f"near its ceiling of {ceiling:.2f}: the true value may be higher"] if near else []
    warnings = ["not a bound: clipping can make it too high or too low"] if name == "smile" else []
    if summary.max_share > MAX_SHARE:
        warnings.append(f"a single product pair makes up {summary.max_share:.0%} of E exp f")
    return warnings + missing_pairs(summary.unseen, len(summary))


def _split(rows: Rows, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Returns random row numbers of the training, validation and test splits."""
    count = len(rows)
    test = min(MAX_TEST, round(TEST_SHARE * count))
    # small sets need relatively more validation pairs
    valid = min(MAX_VALID, round(max(VALID_SHARE * count, min(100.0, TEST_SHARE * count))))
    return rows.split(seed, test, valid)
