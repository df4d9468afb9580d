"""Variables as the samples that estimators of conditional mutual information read.

Constant columns are left out, w becomes normal scores, and x and z become normal scores of what w
does not predict (module `residuals`). Shapes: N rows, X, Z and W columns.
"""

__all__ = ["PreparedSamples", "check_rows"]

from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import DataError
from ..gaussian_ratio import NormalScores
from ..io.checks import MIN_PAIRS
from ..io.repetition import MAX_TIED
from ..rows import Rows
from ..variables import Variable
from .permutation import independence_p_value
from .plug_in import remaining_entropy
from .residuals import GivenRegression
from .samples import Part, Samples

EXPLAINED = 0.999  # share of the variance that w predicts, above which there is a warning
SAME = 1e-9  # largest difference of the normal scores of two columns treated as the same
MIN_PER_LEVEL = 5  # rows on average; of x or z
ALONE = 0.1  # share of rows without another row of the same levels, likewise


def check_rows(x: Variable, z: Variable, given: Variable) -> int:
    """Returns the common number of rows."""
    for other in (z, given):
        if len(other) != len(x):
            raise DataError(
                f"{x.name} has {len(x):,} rows, but {other.name} has {len(other):,}; provide one "
                "row of each for every sample"
            )
    if len(x) < MIN_PAIRS:
        raise DataError(f"{len(x)} rows are too few; provide at least {MIN_PAIRS}")
    return len(x)


@dataclass(frozen=True, eq=False)
class PreparedSamples:
    """Samples of x, z and w, before and after the removal of what w predicts."""

    raw: Samples
    samples: Samples
    regression: GivenRegression
    rows: Rows  # which rows depend on each other
    smooth: bool  # whether a density model can describe x and z
    warnings: list[str]

    @classmethod
    def of(
        cls, x: Variable, z: Variable, given: Variable, seed: int, rows: Rows | None = None
    ) -> "PreparedSamples":
        """Removes what w predicts from x and z.

        Raises:
            DataError: x or z is constant.
        """
        sides = [_Side.of(x, True), _Side.of(z, True), _Side.of(given, False)]
        raw = Samples(*(side.part for side in sides))
        rows = Rows.independent(len(raw)) if rows is None else rows
        regression = GivenRegression(raw.w, seed, sides[2].numbers, rows)
        warnings = [warning for side in sides for warning in side.warnings]
        warnings += _sparse_levels(raw, given.name)
        parts = []
        for side in sides[:2]:
            part, found = _unexplained(side, sides[2], regression)
            parts.append(part)
            warnings += found
        rough = [warning for side in sides[:2] for warning in side.rough()]
        samples = Samples(parts[0], parts[1], raw.w)
        return cls(raw, samples, regression, rows, not rough, warnings + rough)

    def p_value(self, permutations: int, seed: int) -> float:
        """Returns the p-value of independence given w."""
        samples = self.samples
        if samples.x.empty or samples.z.empty:
            return 1.0
        # numbers without what w predicts depend on w less than labels do
        if bool(samples.x.code.any()) and not bool(samples.z.code.any()):
            samples = Samples(samples.z, samples.x, samples.w)
        return independence_p_value(samples, self.regression, permutations, seed, self.rows)


@dataclass(frozen=True)
class _Side:
    """A variable without its constant columns, as normal scores."""

    variable: Variable
    part: Part
    numbers: Tensor  # continuous columns that vary, divided by their largest magnitude
    columns: tuple[str, ...]  # names of the continuous columns
    warnings: list[str]

    @classmethod
    def of(cls, variable: Variable, must_vary: bool) -> "_Side":
        numbers = variable.continuous
        varies = numbers.amax(dim=0) > numbers.amin(dim=0)
        names = variable.columns[: numbers.shape[1]]
        kept = tuple(name for name, keep in zip(names, varies.tolist(), strict=True) if keep)
        warnings = [
            f"column '{name}' of {variable.name} is constant and ignored"
            for name in names
            if name not in kept
        ]
        numbers = numbers[:, varies] / numbers[:, varies].abs().amax(dim=0)
        part = Part(_scores(numbers), variable.joint_code())
        if must_vary and part.empty:
            raise DataError(f"every column of {variable.name} is constant")
        return cls(variable, part, numbers, kept, warnings)

    def tied(self) -> Tensor:
        """Returns which continuous columns repeat many values."""
        distinct = [len(column.unique()) for column in self.numbers.T]
        return torch.tensor(distinct) < (1 - MAX_TIED) * len(self.numbers)

    def rough(self) -> list[str]:
        """Returns warnings about columns that have no density, and about too many levels."""
        name, rows = self.variable.name, len(self.part.code)
        found = [
            f"column '{column}' of {name} repeats many values, so only nearest neighbours are "
            "reliable; make it discrete if its values are levels or small counts"
            for column, tied in zip(self.columns, self.tied().tolist(), strict=True)
            if tied and self.part.continuous.shape[1]
        ]
        levels = int(self.part.code.max()) + 1
        if found or self.part.continuous.shape[1] or levels * MIN_PER_LEVEL <= rows:
            return found
        return [f"{name} has {levels:,} levels in {rows:,} rows, too few rows for each"]


def _scores(columns: Tensor) -> Tensor:
    """Returns normal scores of variance 1."""
    scores = NormalScores.of(columns)(columns)
    return scores / scores.square().mean(dim=0).sqrt()


def _sparse_levels(samples: Samples, name: str) -> list[str]:
    """Returns a warning if many rows have levels of w that no other row has."""
    sizes = samples.w.code.bincount()
    alone = int((sizes == 1).sum()) / len(samples)
    if alone <= ALONE:
        return []
    warning = (
        f"{alone:.0%} of the rows have a combination of levels of {name} that no other row has, "
        "and tell nothing; use fewer discrete columns or coarser levels"
    )
    return [warning]


def _unexplained(side: _Side, given: _Side, regression: GivenRegression) -> tuple[Part, list[str]]:
    """Returns what w does not predict of x or z, and warnings about what it predicts."""
    name, of = side.variable.name, given.variable.name
    warnings = []
    columns, code = side.part.continuous, side.part.code
    same = torch.zeros(columns.shape[1], dtype=torch.bool)
    for number, column in enumerate(columns.T):
        for scores in given.part.continuous.T:
            apart = torch.minimum((column - scores).abs().max(), (column + scores).abs().max())
            same[number] |= apart < SAME
        if same[number]:
            warnings.append(
                f"column '{side.columns[number]}' of {name} is a function of one of {of}: it is "
                "ignored, because nothing remains of it"
            )
    found = regression.residuals(side.numbers)
    for number in torch.nonzero((found.explained > EXPLAINED) & ~same)[:, 0].tolist():
        warnings.append(
            f"{of} predicts {found.explained[number]:.3%} of the variance of column "
            f"'{side.columns[number]}' of {name}: the estimate describes the rest, which may be "
            "rounding or measurement noise"
        )
    determined = remaining_entropy(code, given.part.code) < SAME
    if code.any() and determined and len(given.part.code.unique()) < len(code) / 2:
        warnings.append(f"the levels of {of} determine the levels of {name}")
        code = torch.zeros_like(code)
    scores = torch.where(side.tied(), columns, found.scores)  # keeps the ties
    return Part(scores[:, ~same], code), warnings
