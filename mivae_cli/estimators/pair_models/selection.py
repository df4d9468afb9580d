r"""Choose a density model of pairs on held-out pairs.

The candidates are Gaussian copulas and Gaussians, Student-t copulas, and Gaussian mixtures of
normal scores and of standardised coordinates. Each is fitted to training pairs; the model with the
largest matching score (symmetric InfoNCE) on other pairs is chosen.

Shapes: N pairs, X and Z coordinates.
"""

__all__ = [
    "Candidate",
    "ModelChoice",
    "choose_model",
    "choose_model_by_folds",
    "choose_start",
    "split_pairs",
]

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

import torch
from torch import Tensor

from ...choices import Transform
from ...errors import DataError
from ..coordinates import CoordinateTransform
from .gaussian import GaussianModel
from .mixture import MixtureModel
from .model import PairModel, matching_score
from .student import StudentCopula

DEGREES = (
    0.5,
    0.7,
    0.85,
    1.0,
    1.2,
    1.5,
    2.0,
    2.5,
    3.0,
    4.0,
    5.0,
    7.0,
    10.0,
    20.0,
)  # of Student-t copulas
MAX_DEGREES_FIT = 2_000  # pairs
COMPONENTS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
PATIENCE = 3  # numbers of components without improvement before the search stops
MANY, PATIENCE_OF_MANY = 10, 2  # coordinates, with which fits are slow
MIN_MEMBERS = 10  # pairs per component
MIN_MEMBERS_PER_COORDINATE = 2
MAX_COORDINATES = 100  # of x and z together, for other models than Gaussians
MAX_MIXED = 40  # coordinates of mixtures, whose fits take minutes beyond
MAX_FIT, MAX_VALID = 4_000, 1_000  # pairs used to choose
FOLDS = 5
VALID_SHARE, MIN_VALID = 0.2, 100

TRANSFORMS: tuple[Transform, ...] = ("rank", "standard")
Pair = tuple[Tensor, Tensor]
Family = Literal["gaussian", "student", "mixture"]


@dataclass(frozen=True)
class Candidate:
    """A kind of density model and its size."""

    family: Family
    transform: Transform
    size: float = 1  # degrees of freedom, or the number of components

    def __str__(self) -> str:
        match self.family:
            case "gaussian":
                return "Gaussian copula" if self.transform == "rank" else "Gaussian"
            case "student":
                return f"Student-t copula, {self.size:g} degrees of freedom"
            case _:
                of = "normal scores" if self.transform == "rank" else "standardised values"
                return f"mixture of {self.size:g} Gaussians of {of}"

    def fit(self, x: Tensor, z: Tensor, seed: int, start: PairModel | None = None) -> PairModel:
        """Fits the model to pairs that are already mapped, x (N, X) and z (N, Z)."""
        match self.family:
            case "gaussian":
                return GaussianModel.fit(x, z, self.transform)
            case "student":
                return StudentCopula.fit(x, z, self.size)
            case _:
                like = start if isinstance(start, MixtureModel) else None
                return MixtureModel.fit(x, z, int(self.size), self.transform, seed, like)


@dataclass(frozen=True)
class ModelChoice:
    """The chosen candidate."""

    candidate: Candidate
    maps: CoordinateTransform  # of the training pairs
    model: PairModel  # fitted to the mapped training pairs
    score: float  # matching score on held-out pairs, in nats
    growth: float = 0.0  # of the score of mixtures, from half of the training pairs to all


def split_pairs(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Returns random row numbers for training and for validation."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    held_out = round(max(VALID_SHARE * count, min(MIN_VALID, count / 3)))
    return order[held_out:], order[:held_out]


def choose_model(
    train: Pair, valid: Pair, seed: int, *, growth: bool = True
) -> ModelChoice | None:
    """Chooses a candidate; None if even a Gaussian needs more pairs.

    Arguments:
        train: Pairs x (N, X) and z (N, Z) for fitting; at most the first 4,000 are used.
        valid: Pairs for the matching score; at most the first 1,000 are used.
        seed: Seed of k-means.
        growth: Whether to measure how the score grows with the pairs, which takes as long again.
    """
    split = _Split.of(train, valid)
    return _choose([split], seed) if growth else _best([split], seed)


def choose_model_by_folds(x: Tensor, z: Tensor, seed: int) -> ModelChoice | None:
    """Chooses a candidate by its mean score over five folds of x (N, X) and z (N, Z).

    Of few pairs, a single validation split says little. The model is that of the first fold.
    """
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    folds = order.tensor_split(FOLDS)
    splits = []
    for number, valid in enumerate(folds):
        train = torch.cat([fold for other, fold in enumerate(folds) if other != number])
        splits.append(_Split.of((x[train], z[train]), (x[valid], z[valid])))
    return _choose(splits, seed)


@dataclass(frozen=True)
class _Split:
    """Training and validation pairs, mapped in each way."""

    maps: dict[Transform, CoordinateTransform]
    train: dict[Transform, Pair]
    valid: dict[Transform, Pair]

    @classmethod
    def of(cls, train: Pair, valid: Pair) -> "_Split":
        train = train[0][:MAX_FIT], train[1][:MAX_FIT]
        valid = valid[0][:MAX_VALID], valid[1][:MAX_VALID]
        maps = {each: CoordinateTransform.fit(*train, each) for each in TRANSFORMS}
        return cls(
            maps,
            {each: maps[each](*train) for each in TRANSFORMS},
            {each: maps[each](*valid) for each in TRANSFORMS},
        )

    def half(self) -> "_Split":
        """Returns the split with half of the training pairs."""
        train = {each: (x[: len(x) // 2], z[: len(z) // 2]) for each, (x, z) in self.train.items()}
        return replace(self, train=train)


def _choose(splits: Sequence[_Split], seed: int) -> ModelChoice | None:
    """Returns the choice by the mean score over the splits, and how the score still grows.

    A score that grows with the pairs belongs to a mixture that has not learnt everything.
    """
    chosen = _best(splits, seed)
    if chosen is None or chosen.candidate.family != "mixture":
        return chosen
    before = _best([splits[0].half()], seed)
    now = chosen.score if len(splits) == 1 else _best_score(splits[0], chosen)
    return replace(chosen, growth=0.0 if before is None else max(0.0, now - before.score))


def _best_score(split: _Split, choice: ModelChoice) -> float:
    return matching_score(choice.model, *split.valid[choice.candidate.transform])


def _best(splits: Sequence[_Split], seed: int) -> ModelChoice | None:
    """Returns the candidate with the best mean score over the splits."""

    def tried(candidate: Candidate) -> ModelChoice:
        transform = candidate.transform
        models = [candidate.fit(*split.train[transform], seed) for split in splits]
        scores = [
            matching_score(model, *split.valid[transform])
            for model, split in zip(models, splits, strict=True)
        ]
        return ModelChoice(candidate, splits[0].maps[transform], models[0], fmean(scores))

    try:
        found = [tried(Candidate("gaussian", transform)) for transform in TRANSFORMS]
    except DataError:
        return None
    train = splits[0].train["rank"]
    count, size = len(train[0]), train[0].shape[1] + train[1].shape[1]
    if MIN_MEMBERS_PER_COORDINATE * size <= count and size <= MAX_COORDINATES:
        found.append(tried(Candidate("student", "rank", _degrees(*train))))
    patience = PATIENCE if size <= MANY else PATIENCE_OF_MANY
    for transform in TRANSFORMS:
        found += _search((tried(each) for each in _mixtures(transform, count, size)), patience)
    return max(found, key=lambda choice: choice.score)


def choose_start(train: Pair, valid: Pair, transform: Transform) -> PairModel | None:
    """Returns the elliptical model from which a critic starts; None if none beats independence.

    Arguments:
        train: Pairs that are already mapped, for fitting.
        valid: Likewise, for the matching score; at most the first 1,000 are used.
        transform: The map. Student-t copulas need normal scores ("rank").
    """
    size = train[0].shape[1] + train[1].shape[1]
    if len(train[0]) <= MIN_MEMBERS_PER_COORDINATE * size:
        return None
    candidates = [Candidate("gaussian", transform)]
    if transform == "rank" and size <= MAX_COORDINATES:
        candidates.append(Candidate("student", transform, _degrees(*train)))
    valid = valid[0][:MAX_VALID], valid[1][:MAX_VALID]
    models = [candidate.fit(*train, seed=0) for candidate in candidates]
    scores = [matching_score(model, *valid) for model in models]
    best = max(scores)
    return models[scores.index(best)] if best > 0 else None


def _degrees(x: Tensor, z: Tensor) -> float:
    """Returns the degrees of freedom of the most likely Student-t copula of normal scores."""
    many = x.shape[1] + z.shape[1] > MANY
    count = MAX_DEGREES_FIT // 2 if many else MAX_DEGREES_FIT
    x, z = x[:count], z[:count]
    return max(DEGREES, key=lambda dof: StudentCopula.fit(x, z, dof).log_likelihood(x, z))


def _mixtures(transform: Transform, count: int, size: int) -> Iterator[Candidate]:
    members = max(MIN_MEMBERS, MIN_MEMBERS_PER_COORDINATE * size)
    for number in COMPONENTS:
        if number * members <= count and size <= MAX_MIXED:
            yield Candidate("mixture", transform, number)


def _search(choices: Iterator[ModelChoice], patience: int) -> list[ModelChoice]:
    """Returns choices until several in a row bring no improvement."""
    found: list[ModelChoice] = []
    best, without_improvement = float("-inf"), 0
    for choice in choices:
        found.append(choice)
        if choice.score > best:
            best, without_improvement = choice.score, 0
        else:
            without_improvement += 1
        if without_improvement == patience:
            break
    return found
