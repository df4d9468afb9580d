r"""One set of pairs, split, with everything that estimators fit to it, each thing once.

Estimators share what they can: `dual` and `mine` a critic, `js` and `smile` another,
`leave-one-out`, `club` and `doe` a density. A row's seconds count what it would have cost alone.

Shapes: N pairs, X and Z coordinates.
"""

__all__ = ["Bench"]

import math
from collections.abc import Callable
from functools import partial

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
    Fitted,
    Plan,
    Source,
    fit_critic,
)
from .critics import CoordinateTransform, PairCritic
from .densities import MixtureDensity, doe_terms, fit_density
from .diagnostics import missing_pairs
from .gaussian_copula import GaussianRatio, NormalScores, gaussian
from .intervals import Interval, interval_without_groups, jackknife, mean_interval
from .ksg import ksg
from .report import Estimate, clock
from .score_matrix import CARRIED, Bound, ScoreSummary, tally
from .upper_bounds import club_terms, leave_one_out_terms

TEST_SHARE, VALID_SHARE = 0.2, 0.1
MAX_KSG = 20_000
MAX_MATRIX = 4_096  # test pairs whose matrix is held whole
SMILE_CLIP = -5.0, 5.0
KSG_DIMENSIONS = 10  # of x and z together, above which k-NN reads far too low
NEAR_ONE = 1 - 1e-9  # a squared correlation that stands for a deterministic relation

ASCENTS: dict[EstimatorName, CriticObjective] = {
    "dual": "dual",
    "mine": "dual",  # its gradient has the moving average of Z, as xi's
    "dv": "dv",
    "nwj": "nwj",
    "js": "js",
    "smile": "js",
    "infonce": "infonce",
    "tuba": "tuba",
    "interpolated": "interpolated",
}

Clip = tuple[float, float] | None


class Bench:
    """The split samples, and everything fitted to them so far: each thing once."""

    def __init__(
        self,
        x: Tensor,
        z: Tensor,
        profile: Profile,
        transform: Transform,
        network: PairNetwork,
        neighbours: int,
        seed: int,
    ) -> None:
        self.x, self.z = x, z
        self.plan, self.network, self.neighbours = PROFILES[profile], network, neighbours
        self.seed, self.transform = seed, transform
        train, valid, test = _split(len(x), seed)
        self.view = CoordinateTransform.fit(x[train], z[train], transform)
        self.train = self.view(x[train], z[train])
        self.valid = self.view(x[valid], z[valid])
        self.test = self.view(x[test], z[test])
        self.start: GaussianRatio | None = None
        if len(train) > 2 * (x.shape[1] + z.shape[1]):
            self.start = GaussianRatio.fit(*self.train, held_out=True)
        self._fits: dict[CriticObjective, tuple[Fitted, float]] = {}
        self._tallies: dict[tuple[CriticObjective, str], ScoreSummary] = {}
        self._densities: tuple[MixtureDensity, float] | None = None

    def row(self, name: EstimatorName) -> Estimate:
        """Returns an estimator's row."""
        match name:
            case "gaussian" | "copula":
                return self._closed_form(name)
            case "ksg":
                return self._nearest_neighbours()
            case "leave-one-out" | "club" | "doe":
                return self._from_densities(name)
            case _:
                return self.from_critic(name, ASCENTS[name])

    def fitted(self, ascent: CriticObjective) -> Fitted:
        """Returns the critic that climbed something, fitted at the first call."""
        if ascent not in self._fits:
            with clock() as seconds:
                torch.manual_seed(self.seed)  # what else was fitted before must not matter
                critic = PairCritic(
                    self.network, self.x.shape[1], self.z.shape[1], self.plan.hidden, self.start
                )
                plan = self.plan if self.network != "concatenated" else _narrow(self.plan)
                x, z = self.train
                source = Source(len(x), lambda rows: (x[rows], z[rows]))
                found = fit_critic(critic, source, self.valid, ascent, plan)
            self._fits[ascent] = found, seconds()
        return self._fits[ascent][0]

    def tallied(self, ascent: CriticObjective, split: str) -> ScoreSummary:
        """Returns all pairs of the validation or the test split, as a critic scores them."""
        if (ascent, split) not in self._tallies:
            sides = self.test if split == "test" else self.valid
            self._tallies[ascent, split] = tally(self.fitted(ascent).scores, *sides)
        return self._tallies[ascent, split]

    def from_critic(self, name: EstimatorName, ascent: CriticObjective) -> Estimate:
        """Returns the row of a bound at the critic that climbed something."""
        self.fitted(ascent)
        spent = self._fits[ascent][1]
        with clock() as seconds:
            bound, ceiling, clip = self._bound(name, ascent)
            if clip is None:
                found = self.tallied(ascent, "test")
            else:
                found = tally(self.fitted(ascent).scores, *self.test, clip=clip)
            interval = interval_without_groups(found, bound)
        direction: Direction = "neither" if name == "smile" else "lower"
        warnings = _doubts(name, found, interval.value, ceiling)
        return Estimate.of(name, interval, direction, ceiling, True, spent + seconds(), warnings)

    def gain(self) -> Interval:
        """Returns what learning adds to the start, in symmetric InfoNCE of the validation pairs.

        Its interval is the jackknife's of the paired difference.
        """
        if self.start is None:
            return Interval(math.inf, math.inf, math.inf)
        after = [self.tallied("dual", "valid"), self._turned(self.fitted("dual").scores)]
        start = self.start.scores
        before = [tally(start, *self.valid), self._turned(start)]

        def difference(pick: Callable[[ScoreSummary], Scores]) -> float:
            gains = (
                infonce(pick(a)) - infonce(pick(b)) for a, b in zip(after, before, strict=True)
            )
            return float(sum(gains)) / 2

        groups = range(len(after[0].partial))
        return jackknife(
            difference(lambda found: found.scores),
            [difference(lambda found, g=group: found.without(g)) for group in groups],  # type: ignore[misc]
        )

    def p_value(self, permutations: int) -> float:
        """Returns the share of re-paired test splits that score as high as the joint one.

        Scores are the critic's, its start put back to what it was before noise was taken out:
        a test may use faint signs that an estimate does better without.
        """
        x, z = (side[:MAX_MATRIX] for side in self.test)
        fitted = self.fitted("dual")
        with torch.inference_mode():
            scores = fitted.scores(x, z)
            if self.start is not None:
                plain = GaussianRatio.fit(*self.train)
                scores = scores - self.start.scores(x, z) + plain.scores(x, z)
        rows = torch.arange(len(x))
        generator = torch.Generator().manual_seed(self.seed)
        joint, above = float(scores.diagonal().mean()), 0
        for _ in range(permutations):
            dealt = torch.randperm(len(x), generator=generator)
            above += float(scores[rows, dealt].mean()) >= joint
        return (1 + above) / (1 + permutations)

    def _turned(self, critic: Callable[[Tensor, Tensor], Tensor]) -> ScoreSummary:
        x, z = self.valid
        return tally(lambda z, x: critic(x, z).T, z, x)

    def _bound(
        self, name: EstimatorName, ascent: CriticObjective
    ) -> tuple[Bound, float | None, Clip]:
        """Returns a bound, its ceiling, and the clip of its product scores.

        All that it needs is chosen without the test split.
        """
        count = len(self.test[0])
        match name:
            case "dual":
                calibration = Calibration.of(self.tallied(ascent, "valid"))
                return calibration.bound, calibration.ceiling, calibration.clip
            case "nwj" | "js" | "tuba":  # f is fitted to be the pointwise information itself
                return partial(dual, log_xi=0.0), None, None
            case "infonce":
                return infonce, math.log(count), None
            case "interpolated":
                found = partial(interpolated, log_baseline=torch.zeros(()), alpha=ALPHA)
                return found, 1 + math.log((count - 1) / ALPHA), None
            case "smile":
                return donsker_varadhan, None, SMILE_CLIP
            case _:
                return donsker_varadhan, None, None

    def _closed_form(self, name: EstimatorName) -> Estimate:
        with clock() as seconds:
            x, z = self.x, self.z
            if name == "copula":
                x, z = NormalScores.of(x)(x), NormalScores.of(z)(z)
            interval = gaussian(x, z)
        warnings = []
        if float(GaussianRatio.fit(x, z).correlations.max()) ** 2 > NEAR_ONE:
            warnings.append(
                "part of z is a function of x, as far as these pairs tell: the information of "
                "continuous values is then infinite"
            )
        return Estimate.of(name, interval, "neither", None, False, seconds(), warnings)

    def _nearest_neighbours(self) -> Estimate:
        chosen = torch.randperm(len(self.x), generator=torch.Generator().manual_seed(self.seed))[
            :MAX_KSG
        ]
        with clock() as seconds:
            interval = ksg(self.x[chosen], self.z[chosen], self.neighbours)
        count, dimensions = len(chosen), self.x.shape[1] + self.z.shape[1]
        ceiling = float(torch.digamma(torch.tensor([count, self.neighbours])).diff().neg())
        warnings = []
        if count < len(self.x):
            warnings.append(f"from {count:,} of the {len(self.x):,} pairs: its work is quadratic")
        if dimensions > KSG_DIMENSIONS:
            warnings.append(f"k-NN reads far too low in {dimensions} dimensions")
        return Estimate.of("ksg", interval, "neither", ceiling, False, seconds(), warnings)

    def _from_densities(self, name: EstimatorName) -> Estimate:
        spent, conditional = self._conditional()
        with clock() as seconds:
            x, z = (side[:MAX_MATRIX].float() for side in self.test)
            if name == "doe":
                marginal = self._density(conditioned=False)
                interval = mean_interval(doe_terms(conditional, marginal, x, z))
            else:
                matrix = conditional.log_prob_matrix(x, z)
                terms = leave_one_out_terms if name == "leave-one-out" else club_terms
                interval = mean_interval(terms(matrix))
        if name == "doe":
            return Estimate.of(name, interval, "neither", None, True, spent + seconds(), [])
        warnings = ["an upper bound only as far as the fitted q(z|x) is the true one"]
        return Estimate.of(name, interval, "upper", None, True, spent + seconds(), warnings)

    def _conditional(self) -> tuple[float, MixtureDensity]:
        if self._densities is None:
            with clock() as seconds:
                found = self._density(conditioned=True)
            self._densities = found, seconds()
        return self._densities[1], self._densities[0]

    def _density(self, conditioned: bool) -> MixtureDensity:
        (x, z), (valid_x, valid_z) = (
            (side[0].float(), side[1].float()) for side in (self.train, self.valid)
        )
        if not conditioned:
            x, valid_x = x[:, :0], valid_x[:, :0]
        return fit_density(x, z, valid_x, valid_z, steps=self.plan.steps, seed=self.seed)


def _doubts(
    name: EstimatorName, found: ScoreSummary, value: float, ceiling: float | None
) -> list[str]:
    if name in ("infonce", "interpolated"):
        near = ceiling is not None and value > ceiling - 1
        return [f"near its ceiling of {ceiling:.2f}: the true value may be higher"] if near else []
    doubts = ["no bound: clipping errs either way"] if name == "smile" else []
    if found.carried_by_one > CARRIED:
        doubts.append(f"one product pair alone makes {found.carried_by_one:.0%} of E exp f")
    return doubts + missing_pairs(found.unseen, len(found))


def _split(count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Deals the pairs to training, validation and test."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    test = min(MAX_TEST, round(TEST_SHARE * count))
    share = max(
        VALID_SHARE * count, min(100.0, TEST_SHARE * count)
    )  # small sets need relatively more
    valid = min(MAX_VALID, round(share))
    return order[test + valid :], order[test : test + valid], order[:test]


def _narrow(plan: Plan) -> Plan:
    """Returns a plan for a network that pays for every pair of a batch: smaller batches."""
    return Plan(
        plan.steps, plan.hidden // 2, 128, plan.learning_rate, plan.check_every, plan.patience
    )
