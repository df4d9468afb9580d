r"""Remove from x and z what the given variable w predicts.

For every function m and every positive function s, :math:`x \mapsto (x - m(w)) / s(w)` has an
inverse if w is given. It therefore does not change I(x; z | w), but it makes the estimate easier:
what remains of x depends little on w. Here m predicts x, or its normal scores if they are easier to
predict, and s² predicts the squared error.

Both are ridge regressions on columns of w, on indicators of its levels and, where they improve the
prediction of other rows significantly, on powers and products of columns and on random Fourier
features (Rahimi & Recht, 2007) of several length scales. m is fitted to all rows, because functions
that differ between folds would add noise to x.

Shapes: N rows, X columns of x, W columns of w, F features.
"""

__all__ = ["GivenRegression", "Residuals"]

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..gaussian_ratio import NormalScores
from ..rows import Rows
from .samples import Part

FOLDS = 5
FAR = 4.0  # standard deviations at which columns are cut off before their powers
MAX_PRODUCTS = 10  # columns of which all products are features
MAX_FEATURES = 240
ROWS_PER_FEATURE = 4
MAX_LEVELS = 64  # of the joint code of w that get an indicator; rarer levels share one
LENGTHS = (0.5, 1.0, 2.0, 4.0)  # length scales in units of sqrt(W) standard deviations
LINEAR = 10.0  # scale of columns and indicators, which the ridge therefore shrinks less
STANDARD_ERRORS = 2.0  # by which Fourier features or scales must improve a prediction
PENALTIES = tuple(10.0**power for power in range(-9, 3))  # times the number of rows
SMALL_ERROR = 1e-3  # of the variance, added to squared errors before the logarithm
NORMAL = 0.05  # p-value above which residuals count as normal


class Residuals(NamedTuple):
    """Columns without what w predicts, with variance about 1, and the share that w explains."""

    scores: Tensor  # (N, X)
    explained: Tensor  # share of the variance that w predicts in other rows, (X,)


class GivenRegression:
    """Ridge regressions on features of w.

    Arguments:
        given: Samples of w, with columns of variance about 1.
        seed: Seed of folds and Fourier features.
        numbers: Other maps of the columns of w, (N, W), from which x and z may depend linearly:
            the columns themselves, if those of `given` are their normal scores.
        rows: Which rows depend on each other; default: none. Folds consist of whole units.
    """

    def __init__(
        self,
        given: Part,
        seed: int,
        numbers: Tensor | None = None,
        rows: Rows | None = None,
    ) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.trivial = given.empty
        self.rows = None if rows is None or not rows.dependent else rows
        fold = torch.randperm(len(given.code), generator=generator) % FOLDS
        if self.rows is not None:
            for number, part in enumerate(self.rows.folds(FOLDS, seed)):
                fold[part] = number
        every = torch.ones_like(fold, dtype=torch.bool)
        linear, columns = _linear_features(given), given.continuous
        if numbers is not None:
            numbers = _standardised(numbers)
            linear = torch.cat([linear, LINEAR * numbers], dim=1)
            columns = torch.cat([columns, numbers.clamp(-FAR, FAR)], dim=1)
        others = _polynomials(columns), _fourier_features(given, generator)
        curved = torch.cat([linear, *others], dim=1)
        families = [linear] if curved.shape == linear.shape else [linear, curved]
        self._whole = [_Fold.fit(features, every, every) for features in families]
        self._folds = [
            [_Fold.fit(features, fold != number, fold == number) for number in range(FOLDS)]
            for features in families
        ]

    def predict(self, targets: Tensor) -> Tensor:
        """Returns the predictions of targets (N, T) by regressions on the rows of other folds.

        Fourier features are used where they improve the prediction significantly.
        """
        if self.trivial:
            return targets.mean(dim=0).expand_as(targets)
        first, last = self._by_family(targets)
        return torch.where(self._curved(targets, first, last), last, first)

    def residuals(self, columns: Tensor) -> Residuals:
        """Returns the residuals of columns (N, X) given w.

        Residuals that could be normal are standardised, because ranks would add noise to them; the
        others are replaced by their normal scores.
        """
        ranked, count = NormalScores.of(columns)(columns), columns.shape[1]
        if self.trivial or not count:
            return Residuals(ranked, columns.new_zeros(count))
        targets = torch.cat([_standardised(columns), _standardised(ranked)], dim=1)
        first, last = self._by_family(targets)
        curved = self._curved(targets, first, last)
        predicted = torch.where(curved, last, first)
        unexplained = (targets - predicted).square().mean(dim=0).reshape(2, -1)
        chosen = unexplained.argmin(dim=0) * count + torch.arange(count)
        targets, curved = targets[:, chosen], curved[chosen]
        fitted = [fit.predict(targets) for fit in self._whole]
        errors = targets - torch.where(curved, fitted[-1], fitted[0])
        errors = errors / self._scales(errors)
        explained = (1 - unexplained.amin(dim=0)).clamp_min(0)
        scores = NormalScores.of(errors)(errors)
        return Residuals(torch.where(_normal(errors), _standardised(errors), scores), explained)

    def _by_family(self, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the predictions without and with Fourier features."""
        found = []
        for fits in self._folds:
            found.append(torch.empty_like(targets))
            for fit in fits:
                found[-1][fit.predicted_rows] = fit.predict(targets)
        return found[0], found[-1]

    def _curved(self, targets: Tensor, first: Tensor, last: Tensor) -> Tensor:
        """Returns for which targets the last predictions are significantly better, (T,)."""
        return self._significant((targets - first).square() - (targets - last).square())

    def _scales(self, errors: Tensor) -> Tensor:
        """Returns the predicted scale of errors (N, X), constant unless it describes them better."""
        spread = errors.square().mean(dim=0)
        logs = (errors.square() + SMALL_ERROR * spread).log()
        scales = (self.predict(logs).clamp(logs.amin(dim=0), logs.amax(dim=0)) / 2).exp()
        scales = scales * (errors / scales).square().mean(dim=0).sqrt()
        # improvement of the log-density of normal errors
        gain = 0.5 * spread.log() - scales.log()
        gain = gain + 0.5 * (errors.square() / spread - (errors / scales).square())
        return torch.where(self._significant(gain), scales, torch.ones_like(scales))

    def _significant(self, gains: Tensor) -> Tensor:
        """Returns whether the mean of gains (N, T) is above 0 by several standard errors, (T,)."""
        mean = gains.mean(dim=0)
        if self.rows is None:
            errors = gains.std(dim=0) / math.sqrt(len(gains))
        else:  # allows any dependence inside of a unit, as `mean_interval`
            unit = self.rows.unit.unique(return_inverse=True)[1]
            sums = gains.new_zeros(int(unit.max()) + 1, gains.shape[1])
            sums.index_add_(0, unit, gains - mean)
            errors = sums.square().sum(dim=0).sqrt() / len(gains)
        return mean > STANDARD_ERRORS * errors


def _standardised(columns: Tensor) -> Tensor:
    centred = columns - columns.mean(dim=0)
    return centred / centred.square().mean(dim=0).sqrt()


def _normal(columns: Tensor) -> Tensor:
    """Returns which columns (N, X) have the skewness and kurtosis of a normal sample, (X,)."""
    from scipy.stats import normaltest  # slow to import

    return torch.from_numpy(normaltest(columns.numpy()).pvalue > NORMAL)


class _Fold(NamedTuple):
    """The regression that predicts the rows of a fold, in the eigenvectors of the others' Gram matrix."""

    fitted_rows: Tensor  # a mask, (N,)
    predicted_rows: Tensor  # likewise
    fitted: Tensor  # centred features of the rows of the fit, rotated, (N', F)
    predicted: Tensor  # features of the rows to predict, likewise
    values: Tensor  # eigenvalues, (F,)

    @classmethod
    def fit(cls, features: Tensor, fitted: Tensor, predicted: Tensor) -> "_Fold":
        """Prepares the regression on the `fitted` rows of features (N, F)."""
        center = features[fitted].mean(dim=0)
        centred = features[fitted] - center
        values, vectors = torch.linalg.eigh(centred.T @ centred / len(centred))
        rotated = centred @ vectors, (features[predicted] - center) @ vectors
        return cls(fitted, predicted, *rotated, values.clamp_min(0))

    def predict(self, targets: Tensor) -> Tensor:
        """Returns predictions of targets (N, T) for the rows to predict.

        The penalty of each has the best generalised cross-validation (Golub, Heath & Wahba, 1979).
        """
        outside = targets[self.fitted_rows]
        middle, count = outside.mean(dim=0), len(outside)
        cross = self.fitted.T @ (outside - middle) / count  # (F, T)
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


def _polynomials(columns: Tensor) -> Tensor:
    """Returns squares and cubes of columns (N, W), and products if they are few, (N, F)."""
    width = columns.shape[1]
    first, second = (
        torch.triu_indices(width, width)
        if width <= MAX_PRODUCTS
        else (
            torch.arange(width),
            torch.arange(width),
        )
    )
    return torch.cat([columns[:, first] * columns[:, second], columns**3], dim=1)


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
