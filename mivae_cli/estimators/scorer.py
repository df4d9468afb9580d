"""Scores of the validation and test pairs of a split.

Shapes: N pairs, M rows x, B columns z, X and Z coordinates.
"""

__all__ = ["Clip", "Pair", "Scorer"]

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from .bounds import infonce
from .calibration import Calibration
from .rows import Rows
from .score_matrix import ScoreFunction, ScoreSummary, score_summary

Clip = tuple[float, float] | None  # the smallest and the largest product score
Pair = tuple[Tensor, Tensor]  # x and z


@dataclass(frozen=True)
class Scorer:
    """A score function with its inputs for the validation and the test pairs."""

    scores: ScoreFunction
    valid: Pair
    test: Pair
    valid_rows: Rows
    test_rows: Rows

    @cached_property
    def validation(self) -> ScoreSummary:
        """The scores of all validation pairs."""
        return self._of_validation(None)

    @cached_property
    def calibration(self) -> Calibration:
        """The dual variable and the clipping range, from the validation pairs."""
        return Calibration.robust(self.validation, self._of_validation)

    @cached_property
    def tested(self) -> ScoreSummary:
        """The scores of all test pairs."""
        return self.clipped(None)

    def clipped(self, clip: Clip) -> ScoreSummary:
        """Returns the scores of all test pairs, with product scores clipped."""
        return score_summary(self.scores, *self.test, clip, self.test_rows)

    @cached_property
    def matching(self) -> float:
        """The symmetric InfoNCE of the validation pairs, in nats."""
        scores = self.scores(*self.valid)
        return float(infonce(scores) + infonce(scores.T)) / 2

    def _of_validation(self, clip: Clip) -> ScoreSummary:
        return score_summary(self.scores, *self.valid, clip, self.valid_rows)
