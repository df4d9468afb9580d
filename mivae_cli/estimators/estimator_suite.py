r"""All estimators on one set of pairs, with shared splits, critics and densities.

`dual` and `mine` share a critic, `js` and `smile` another one; `leave-one-out`, `club` and `doe`
share a density. The seconds of an estimate include all shared work, as if it ran alone.

Shapes: N pairs, X and Z coordinates.
"""

__all__ = ["EstimatorSuite"]

import math
from dataclasses import replace
from functools import cached_property, partial

import torch
from torch import Tensor

from ..choices import Direction, EstimatorName, PairNetwork, Profile, Transform
from .bounds import donsker_varadhan, dual, infonce, interpolated
from .coordinates import CoordinateTransform
from .critic_training import (
    ALPHA,
    MAX_TEST,
    MAX_VALID,
    PROFILES,
    CriticObjective,
    TrainingPairs,
    fit_critic,
)
from .critics import PairCritic
from .densities import MixtureDensity, doe_terms, fit_density
from .gaussian_estimators import closed_form
from .gaussian_ratio import GaussianRatio
from .intervals import jackknife_interval, mean_interval
from .model_estimates import ModelEstimates
from .nearest_neighbours import ksg_estimate
from .pair_models.model import PairModel
from .pair_models.selection import choose_start
from .report import Estimate, missing_pairs, stopwatch
from .rows import Rows
from .score_matrix import Bound, ScoreFunction, ScoreSummary
from .scorer import Clip, Pair, Scorer
from .upper_bounds import club_terms, leave_one_out_terms

TEST_SHARE, VALID_SHARE = 0.2, 0.1
MAX_MATRIX = 4_096  # test pairs whose whole matrix is in memory
SMILE_CLIP = -5.0, 5.0
# of Z from a product pair, or of the estimate from a joint pair; above it, there is a warning
MAX_SHARE, MAX_NATS = 0.5, 0.1

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


class EstimatorSuite:
    """Estimators on pairs x (N, X) and z (N, Z) in double precision, trained on first use.

    With `spare_critic`, no critic is trained for `dual` if the density model explains all that
    neighbours see, and training stops early if it does not come near the model. The other
    arguments are those of `estimate_mutual_information`.
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
        spare_critic: bool = False,
    ) -> None:
        self.x, self.z = x, z
        self.spare_critic = spare_critic
        self.rows = Rows.independent(len(x)) if rows is None else rows
        self.settings, self.network, self.neighbours = PROFILES[profile], network, neighbours
        self.seed, self.transform = seed, transform
        train, valid, test = _split(self.rows, seed)
        self.valid_rows, self.test_rows = self.rows.take(valid), self.rows.take(test)
        raw_train = x[train], z[train]
        self.raw_valid, self.raw_test = (x[valid], z[valid]), (x[test], z[test])
        self.models = ModelEstimates(
            (x, z), raw_train, self.raw_valid, neighbours, seed, self.rows.dependent
        )
        mapped = CoordinateTransform.fit(*raw_train, transform)
        self.train = mapped(*raw_train)
        self.valid, self.test = mapped(*self.raw_valid), mapped(*self.raw_test)
        self._scorers: dict[CriticObjective, tuple[Scorer, float]] = {}

    def estimate(self, name: EstimatorName) -> Estimate:
        """Returns the estimate of one estimator."""
        match name:
            case "gaussian" | "copula":
                return closed_form(name, self.x, self.z, rows=self.rows)
            case "ksg":
                return ksg_estimate(self.x, self.z, self.neighbours, self.seed, rows=self.rows)
            case "model" | "model-ksg":
                return self.models.estimate(name)
            case "leave-one-out" | "club" | "doe":
                return self._density_estimate(name)
            case _:
                return self.critic_estimate(name, OBJECTIVES[name])

    @cached_property
    def start(self) -> PairModel | None:
        """The elliptical model from which critics start."""
        return choose_start(self.train, self.valid, self.transform)

    def scorer(self, objective: CriticObjective) -> Scorer:
        """Returns the scores of the critic trained on an objective.

        For "dual", the scores of the density model or of the reduction are used instead if they
        match the validation pairs better.
        """
        if objective not in self._scorers:
            with stopwatch() as seconds:
                if objective == "dual":
                    found = [*self._models, *filter(None, [self._dual_critic])]
                    scorer = max(found, key=lambda each: each.matching)
                else:
                    scorer = self._trained(objective)
            self._scorers[objective] = scorer, seconds()
        return self._scorers[objective][0]

    @property
    def critic_gain(self) -> float:
        """The nats of matching score by which the critic of `dual` beats all density models."""
        if self._dual_critic is None or not self._models:
            return 0.0
        return max(0.0, self._dual_critic.matching - max(each.matching for each in self._models))

    def critic_estimate(self, name: EstimatorName, objective: CriticObjective) -> Estimate:
        """Returns the estimate of a bound with the critic trained on an objective."""
        scorer = self.scorer(objective)
        spent = self._scorers[objective][1]
        with stopwatch() as seconds:
            bound, ceiling, clip = self._bound(name, objective)
            summary = scorer.tested if clip is None else scorer.clipped(clip)
            interval = jackknife_interval(summary, bound)
        direction: Direction = "neither" if name == "smile" else "lower"
        warnings = _warnings(name, summary, interval.value, ceiling)
        return Estimate(name, *interval, direction, ceiling, True, spent + seconds(), warnings)

    def p_value(self, permutations: int) -> float:
        """Returns the p-value of independence: the share of shuffles that score at least as high.

        Adds a Gaussian log-ratio that is not corrected for sampling noise to the scores: a test
        may use weak evidence that would add noise to an estimate.
        """
        scorer = self.scorer("dual")
        x, z = (samples[:MAX_MATRIX] for samples in scorer.test)
        with torch.inference_mode():
            scores = scorer.scores(x, z)
        if len(self.train[0]) > sum(side.shape[1] for side in self.train) + 1:
            mapped = (samples[:MAX_MATRIX] for samples in self.test)
            scores = scores + GaussianRatio.fit(*self.train).scores(*mapped)
        numbers, rows = torch.arange(len(x)), self.test_rows.take(torch.arange(len(x)))
        generator = torch.Generator().manual_seed(self.seed)
        joint, above = float(scores.diagonal().mean()), 0
        for _ in range(permutations):
            shuffled = rows.permutation(generator)
            above += float(scores[numbers, shuffled].mean()) >= joint
        return (1 + above) / (1 + permutations)

    @cached_property
    def _models(self) -> list[Scorer]:
        """The density model and the reduction as score functions."""
        found = []
        if (choice := self.models.choice) is not None:
            mapped = choice.maps(*self.raw_valid), choice.maps(*self.raw_test)
            found.append(self._scorer(choice.model.scores, *mapped))
        if (reduction := self.models.reduction) is not None:
            variates = reduction.variates(*self.raw_valid), reduction.variates(*self.raw_test)
            found.append(self._scorer(reduction.model.model.scores, *variates))
        return found

    @cached_property
    def _dual_critic(self) -> Scorer | None:
        """The critic trained for `dual`; None if it can be spared."""
        if not (self.spare_critic and self._models):
            return self._trained("dual")
        if self.models.confirmed:
            return None
        return self._trained("dual", target=max(each.matching for each in self._models))

    def _trained(self, objective: CriticObjective, target: float = -math.inf) -> Scorer:
        x, z = self.train
        settings = replace(self.settings, target=target)
        torch.manual_seed(self.seed)  # so that the order of training does not matter
        start = None if self.start is None else self.start.scores
        critic = PairCritic(self.network, x.shape[1], z.shape[1], settings.hidden, start)
        if self.network == "concatenated":  # one forward pass per pair of a batch
            settings = replace(settings, hidden=settings.hidden // 2, batch=128)
        pairs = TrainingPairs(len(x), lambda rows: (x[rows], z[rows]))
        fitted = fit_critic(critic, pairs, self.valid, objective, settings)
        return self._scorer(fitted.scores, self.valid, self.test)

    def _scorer(self, scores: ScoreFunction, valid: Pair, test: Pair) -> Scorer:
        return Scorer(scores, valid, test, self.valid_rows, self.test_rows)

    def _bound(
        self, name: EstimatorName, objective: CriticObjective
    ) -> tuple[Bound, float | None, Clip]:
        """Returns a bound, its ceiling, and the clipping range of product scores.

        Nothing is chosen on the test split.
        """
        count = len(self.test[0])
        match name:
            case "dual":
                calibration = self.scorer(objective).calibration
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
    largest = float(summary.joint.max()) / len(summary)
    if name != "dual" and largest > max(MAX_NATS, MAX_SHARE * value):  # "dual" clips it
        warnings.append(f"a single joint pair contributes {largest:.2f} nats")
    return warnings + missing_pairs(summary.unseen, len(summary))


def _split(rows: Rows, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Returns random row numbers of the training, validation and test splits."""
    count = len(rows)
    test = min(MAX_TEST, round(TEST_SHARE * count))
    # small sets need relatively more validation pairs
    valid = min(MAX_VALID, round(max(VALID_SHARE * count, min(100.0, TEST_SHARE * count))))
    return rows.split(seed, test, valid)
