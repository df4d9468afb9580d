r"""Remove from x and z what the given variable w predicts.

For every function m and every positive function s, :math:`x \mapsto (x - m(w)) / s(w)` has an
inverse if w is given. It therefore does not change I(x; z | w), but it makes the estimate easier:
what remains of x depends little on w. Here m predicts x, or its normal scores if they are easier to
predict, and s² predicts the squared error.

Both are ridge regressions on columns of w, on indicators of its levels, and on random Fourier
features (Rahimi & Recht, 2007) of several length scales. Each row is predicted by a regression on
the rows of other folds, so that residuals do not contain their own noise.

Shapes: N rows, X columns of x, W columns of w, F features.
"""

__all__ = ["GivenRegression", "Residuals"]

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..gaussian_ratio import NormalScores
from .samples import Part

FOLDS = 5
MAX_FEATURES = 240
ROWS_PER_FEATURE = 4
MAX_LEVELS = 64  # of the joint code of w that get an indicator; rarer levels share one
LENGTHS = (0.5, 1.0, 2.0, 4.0)  # length scales in units of sqrt(W) standard deviations
LINEAR = 10.0  # scale of columns and indicators, which the ridge therefore shrinks less
STANDARD_ERRORS = 2.0  # by which Fourier features must improve a prediction
PENALTIES = tuple(10.0**power for power in range(-9, 3))  # times the number of rows
SMALL_ERROR = 1e-3  # of the variance, added to squared errors before the logarithm
SMALLEST_GAIN = 0.01  # in mean log-density, for which the residuals are rescaled


class Residuals(NamedTuple):
    """Columns without what w predicts, as normal scores, and the share that w explains."""

    scores: Tensor  # (N, X)
    explained: Tensor  # share of the variance that w predicts in other rows, (X,)


class GivenRegression:
    """Ridge regressions on features of w, each fitted without the rows that it predicts.

    The columns of w must have variance about 1.
    """

    def __init__(self, given: Part, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.trivial = given.empty
        fold = torch.randperm(len(given.code), generator=generator) % FOLDS
        linear = _linear_features(given)
        curved = torch.cat([linear, _fourier_features(given, generator)], dim=1)
        self._families = [
            [_Fold.fit(features, fold == number) for number in range(FOLDS)]
            for features in ([linear] if curved.shape == linear.shape else [linear, curved])
        ]

    def predict(self, targets: Tensor) -> Tensor:
        """Returns the predictions of targets (N, T) by regressions on the rows of other folds.

        Fourier features are used where they improve the prediction significantly.
        """
        if self.trivial:
            return targets.mean(dim=0).expand_as(targets)
        found = []
        for fits in self._families:
            found.append(torch.empty_like(targets))
            for fit in fits:
                found[-1][fit.inside] = fit.predict(targets)
        gain = (targets - found[0]).square() - (targets - found[-1]).square()
        error = gain.std(dim=0) / math.sqrt(len(targets))
        return torch.where(gain.mean(dim=0) > STANDARD_ERRORS * error, found[-1], found[0])

    def residuals(self, columns: Tensor) -> Residuals:
        """Returns the residuals of columns (N, X) given w, as normal scores."""
        ranked, count = NormalScores.of(columns)(columns), columns.shape[1]
        if self.trivial or not count:
            return Residuals(ranked, columns.new_zeros(count))
        plain = (columns - columns.mean(dim=0)) / columns.std(dim=0)
        targets = torch.cat([plain, ranked / ranked.std(dim=0)], dim=1)
        errors = targets - self.predict(targets)
        unexplained = errors.square().mean(dim=0).reshape(2, -1)
        chosen = unexplained.argmin(dim=0) * count + torch.arange(count)
        errors = errors[:, chosen]
        errors = errors / self._scales(errors)
        explained = (1 - unexplained.amin(dim=0)).clamp_min(0)
        return Residuals(NormalScores.of(errors)(errors), explained)

    def _scales(self, errors: Tensor) -> Tensor:
        """Returns the predicted scale of errors (N, X), constant unless it describes them better."""
        spread = errors.square().mean(dim=0)
        logs = (errors.square() + SMALL_ERROR * spread).log()
        scales = (self.predict(logs).clamp(logs.amin(dim=0), logs.amax(dim=0)) / 2).exp()
        scales = scales * (errors / scales).square().mean(dim=0).sqrt()
        gain = 0.5 * spread.log() - scales.log().mean(dim=0)  # in log-density of normal errors
        return torch.where(gain > SMALLEST_GAIN, scales, torch.ones_like(scales))


class _Fold(NamedTuple):
    """The regression that predicts the rows of a fold, in the eigenvectors of the others' Gram matrix."""

    inside: Tensor  # rows to predict, (N,)
    others: Tensor  # centred features of the other rows, rotated, (N', F)
    predicted: Tensor  # features of the rows to predict, likewise
    values: Tensor  # eigenvalues, (F,)

    @classmethod
    def fit(cls, features: Tensor, inside: Tensor) -> "_Fold":
        """Prepares the regression on features (N, F) for the rows `inside`."""
        others, center = features[~inside], features[~inside].mean(dim=0)
        others = others - center
        values, vectors = torch.linalg.eigh(others.T @ others / len(others))
        rotated = others @ vectors, (features[inside] - center) @ vectors
        return cls(inside, *rotated, values.clamp_min(0))

    def predict(self, targets: Tensor) -> Tensor:
        """Returns predictions of targets (N, T) for the rows to predict.

        The penalty of each has the best generalised cross-validation (Golub, Heath & Wahba, 1979).
        """
        outside = targets[~self.inside]
        middle, count = outside.mean(dim=0), len(outside)
        cross = self.others.T @ (outside - middle) / count  # (F, T)
        power = (outside - middle).square().mean(dim=0)
        best, weights = torch.full_like(power, math.inf), torch.zeros_like(cross)
        for penalty in PENALTIES:
            shrunk = cross / (self.values + penalty)[:, None]
            error = power - 2 * (shrunk * cross).sum(dim=0)
            error = error + (shrunk.square() * self.values[:, None]).sum(dim=0)
            free = 1 - (self.values / (self.values + penalty)).sum() / count - 1 / count
            score = error.clamp_min(0) / free.clamp_min(1e-6).square()
            better = score < best
            best, weights = torch.where(better, score, best), torch.where(better, shrunk, weights)
        return middle + self.predicted @ weights


def _linear_features(given: Part) -> Tensor:
    """Returns the columns of w and indicators of its levels, with shape (N, F)."""
    code = torch.unique(given.code, return_inverse=True)[1]
    by_size = code.bincount().argsort(descending=True).argsort()
    code = by_size[code].clamp(max=MAX_LEVELS - 1)
    # the ridge does not penalise the mean, so one level needs no indicator
    indicators = torch.nn.functional.one_hot(code)[:, 1:].double()
    return torch.cat([LINEAR * given.continuous, LINEAR * indicators], dim=1)


def _fourier_features(given: Part, generator: torch.Generator) -> Tensor:
    """Returns random Fourier features of w, none without continuous columns, (N, F)."""
    inputs, width = _linear_features(given) / LINEAR, given.continuous.shape[1]
    wanted = min(MAX_FEATURES, len(inputs) // ROWS_PER_FEATURE) // len(LENGTHS) if width else 0
    parts = [inputs[:, :0]]
    for length in LENGTHS:
        draws = torch.randn(inputs.shape[1], wanted, generator=generator, dtype=inputs.dtype)
        phases = torch.rand(wanted, generator=generator, dtype=inputs.dtype) * 2 * math.pi
        angles = inputs @ draws / (length * math.sqrt(max(width, 1)))
        parts.append((angles + phases).cos() * length)  # smooth functions are more likely
    return torch.cat(parts, dim=1)
