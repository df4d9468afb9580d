r"""Reduce x and z to a few canonical variates that held-out pairs confirm.

The candidates are ridge canonical correlation analyses of linear features, of functions of single
columns, and of random cosines (`principal_features`), with different ridges. Of their cross-fitted
variates (`canonical_variates`), a pair is kept if it improves the matching of held-out pairs
(symmetric InfoNCE of Gaussian copulas), and by at least half of what a pair of its correlation adds
if it is independent of the others. Further variates are often functions of the same factors, which a copula
would count again. The candidate with the best score is chosen, and of nearly equal ones the
simplest.

By the data-processing inequality, :math:`I(f(x); g(z)) \le I(x; z)` for all maps f and g: what the
variates share is a lower bound on what x and z share.

Shapes: N pairs, X and Z columns, P principal coordinates, R variates, M held-out pairs of a fold.
"""

__all__ = ["ReductionChoice", "choose_reduction", "principal_coordinates", "shuffled_scores"]

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor

from .bounds import infonce
from .canonical_variates import CanonicalMaps, Coordinates, CrossFitted, cross_fit, folds
from .coordinates import CoordinateTransform
from .gaussian_ratio import NormalScores
from .pair_models.selection import ModelChoice, choose_model
from .principal_features import FeatureKind, PrincipalFeatures

RIDGES: Mapping[FeatureKind, tuple[float, ...]] = {  # shares of the total variance
    "linear": (3e-5, 3e-4, 3e-3, 0.03, 0.3),
    "additive": (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1),
    "cosine": (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1),
}
MAX_RANK = 12
MIN_DIMENSIONS = 3  # of x and z together; a reduction is tried above it
MIN_PAIRS = 40
MAX_ADDITIVE = 40  # columns of each side, for additive features
MAX_PAIRS = 4_000  # for the choice
MAX_MATCHED = 200  # M
MIN_GAIN = 0.01  # nats of matching score by which another pair of variates must improve it
CONFIRMED = 0.5  # share of the gain of an independent pair of variates
TOLERANCE = 0.02  # share of the score that a simpler candidate may lose
MAX_CORRELATION = 0.9999

Pair = tuple[Tensor, Tensor]
Features = tuple[PrincipalFeatures, PrincipalFeatures]


@dataclass(frozen=True)
class ReductionMaps:
    """Maps of columns to canonical variates."""

    scores: CoordinateTransform
    features: Features
    canonical: CanonicalMaps

    def __call__(self, x: Tensor, z: Tensor) -> Pair:
        """Returns the variates of x (N, X) and z (N, Z), each (N, R)."""
        x, z = self.scores(x, z)
        return self.canonical(self.features[0](x), self.features[1](z))


@dataclass(frozen=True)
class ReductionChoice:
    """The chosen features, ridge and variates, with a density model of them."""

    kind: FeatureKind
    ridge: float
    correlated: int  # the number of variates that correlate
    numbers: list[int]  # of the variates that are kept
    maps: ReductionMaps
    model: ModelChoice  # of the variates, with its matching score on the validation pairs

    @property
    def rank(self) -> int:
        """The number of variates of x and of z."""
        return len(self.numbers)

    def variates(self, x: Tensor, z: Tensor) -> Pair:
        """Returns the variates as inputs of the model, each (N, R)."""
        return self.model.maps(*self.maps(x, z))


@dataclass(frozen=True)
class _Candidate:
    kind: FeatureKind
    ridge: float
    correlated: int
    numbers: list[int]
    score: float


def choose_reduction(train: Pair, valid: Pair, seed: int = 0) -> ReductionChoice | None:
    """Chooses the features, the ridge and the variates; None for too few columns or pairs.

    Arguments:
        train: Pairs x (N, X) and z (N, Z) for the maps and the model.
        valid: Pairs for the score of the model. Both are used to choose the variates, by
            cross-fitting.
        seed: Seed of the folds and the random features.
    """
    sizes = train[0].shape[1], train[1].shape[1]
    if sum(sizes) <= MIN_DIMENSIONS or len(train[0]) < MIN_PAIRS:
        return None
    both = torch.cat([train[0], valid[0]]), torch.cat([train[1], valid[1]])
    _, mapped = shuffled_scores(*both, MAX_PAIRS, seed)
    found: list[_Candidate] = []
    for kind, ridges in RIDGES.items():
        if kind == "additive" and max(sizes) > MAX_ADDITIVE:
            continue
        _, pairs = principal_coordinates(*mapped, kind, seed)
        for ridge in ridges:
            fitted = cross_fit(pairs, ridge, MAX_RANK)
            correlated = fitted.x.shape[1]
            found.append(_Candidate(kind, ridge, correlated, *_confirmed(fitted, seed)))
    best = max(each.score for each in found)
    chosen = next(each for each in found if each.score >= best - TOLERANCE * abs(best))
    same = [each for each in found if each.kind == chosen.kind]
    return _fitted(max(same, key=lambda each: each.score), train, valid, seed)


def principal_coordinates(
    x: Tensor, z: Tensor, kind: FeatureKind, seed: int
) -> tuple[Features, Coordinates]:
    """Returns features of normal scores x (N, X) and z (N, Z), and their values."""
    features = PrincipalFeatures.fit(x, kind, seed), PrincipalFeatures.fit(z, kind, seed + 1)
    variances = features[0].variances, features[1].variances
    return features, Coordinates(features[0](x), features[1](z), *variances)


def shuffled_scores(
    x: Tensor, z: Tensor, limit: int, seed: int
) -> tuple[CoordinateTransform, Pair]:
    """Returns the map to normal scores, and those of at most `limit` pairs in random order."""
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[:limit]
    x, z = x[order], z[order]
    scores = CoordinateTransform.fit(x, z, "rank")
    return scores, scores(x, z)


def _fitted(chosen: _Candidate, train: Pair, valid: Pair, seed: int) -> ReductionChoice | None:
    """Returns the maps of the training pairs, and a model of their cross-fitted variates."""
    of_columns, mapped = shuffled_scores(*train, MAX_PAIRS, seed)
    features, pairs = principal_coordinates(*mapped, chosen.kind, seed)
    rank = chosen.correlated
    reference = CanonicalMaps.fit(pairs, chosen.ridge, rank).kept(chosen.numbers)
    fitted = cross_fit(pairs, chosen.ridge, rank, towards=reference)
    maps = ReductionMaps(of_columns, features, fitted.maps)
    model = choose_model((fitted.x, fitted.z), maps(*valid), seed, growth=False)
    if model is None:
        return None
    return ReductionChoice(chosen.kind, chosen.ridge, rank, chosen.numbers, maps, model)


def _confirmed(fitted: CrossFitted, seed: int) -> tuple[list[int], float]:
    """Returns the numbers of the variates that held-out pairs confirm, and their score.

    Variates are tried by decreasing correlation. At least one is returned.
    """
    a, b = NormalScores.of(fitted.x)(fitted.x), NormalScores.of(fitted.z)(fitted.z)
    fold, parts = folds(len(a)), []
    generator = torch.Generator().manual_seed(seed)
    order = _correlations(a, b).argsort(descending=True).tolist()
    for number in range(int(fold.max()) + 1):
        others, rows = fold != number, (fold == number).nonzero()[:MAX_MATCHED, 0]
        fits = _correlations(a[others], b[others])
        drawn = torch.randn(2, len(rows), a.shape[1], generator=generator, dtype=a.dtype)
        partner = fits * drawn[0] + (1 - fits.square()).sqrt() * drawn[1]
        parts.append((fits, a[rows], b[rows], drawn[0], partner))
    kept = [order[0]]
    totals = [_pair_scores(fits[order[0]], *_column(rest, order[0])) for fits, *rest in parts]
    scores = _means(totals)
    for column in order[1:]:
        added = [_pair_scores(fits[column], *_column(rest, column)) for fits, *rest in parts]
        tried = [one + two for one, two in zip(totals, added, strict=True)]
        values = _means(tried)
        gain, expected = values[0] - scores[0], values[1] - scores[1]
        if gain > max(MIN_GAIN, CONFIRMED * expected):
            kept, totals, scores = [*kept, column], tried, values
    return kept, scores[0]


def _correlations(a: Tensor, b: Tensor) -> Tensor:
    squares = a.square().mean(dim=0) * b.square().mean(dim=0)
    return ((a * b).mean(dim=0) / squares.sqrt()).clamp(-MAX_CORRELATION, MAX_CORRELATION)


def _column(values: list[Tensor], column: int) -> list[Tensor]:
    return [each[:, column] for each in values]


def _means(matrices: list[Tensor]) -> tuple[float, float]:
    """Returns the mean matching scores of the pairs and of the drawn ones."""
    one, two = (
        fmean(float(infonce(each[part]) + infonce(each[part].T)) / 2 for each in matrices)
        for part in (0, 1)
    )
    return one, two


def _pair_scores(correlation: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """Returns the log-ratios of a bivariate normal, of a against b and c against d, (2, M, M)."""
    square = correlation.square()
    x, z = torch.stack([a, c])[:, :, None], torch.stack([b, d])[:, None, :]
    terms = correlation * x * z - 0.5 * square * (x.square() + z.square())
    return terms / (1 - square) - 0.5 * torch.log1p(-square)
