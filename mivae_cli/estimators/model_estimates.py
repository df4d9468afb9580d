r"""Density models of all columns or of a reduction, chosen on validation pairs.

Shapes: N pairs, X and Z coordinates.
"""

__all__ = ["ModelEstimates"]

from dataclasses import replace
from functools import cached_property
from typing import Literal

from ..errors import DataError
from .corrected_neighbours import CorrectedNeighbours, correct_neighbours
from .gaussian_estimators import is_function
from .gaussian_ratio import NormalScores
from .nearest_neighbours import KSG_DIMENSIONS
from .pair_models.selection import ModelChoice, choose_model, choose_model_by_folds
from .reduced_neighbours import correct_reduced_neighbours, is_better
from .reduction import ReductionChoice, choose_reduction
from .report import Estimate, stopwatch
from .scorer import Pair

MAX_FOLDED = 1_000  # pairs for which the model is chosen by folds
RELIABLE_DIMENSIONS = 3  # in which neighbours see all that critics see
MAX_RESIDUAL = 0.01  # nats, of a density model of little information that is confirmed


class ModelEstimates:
    """Estimates by density models, fitted on first use.

    Arguments:
        pairs: All pairs, x (N, X) and z (N, Z).
        train: Pairs for fitting the candidates.
        valid: Pairs for choosing among them.
        neighbours: The number k of neighbours.
        seed: Seed of all draws.
        dependent: Whether rows depend on one another. The neighbours of dependent rows cannot be
            compared with those of independent draws.
    """

    def __init__(
        self, pairs: Pair, train: Pair, valid: Pair, neighbours: int, seed: int, dependent: bool
    ) -> None:
        self.x, self.z = pairs
        self.train, self.valid = train, valid
        self.neighbours, self.seed, self.dependent = neighbours, seed, dependent

    @cached_property
    def choice(self) -> ModelChoice | None:
        """The density model chosen on the validation pairs."""
        return choose_model(self.train, self.valid, self.seed)

    @cached_property
    def reduction(self) -> ReductionChoice | None:
        """The reduction of many columns, if it describes them better than `choice`."""
        reduction = choose_reduction(self.train, self.valid, self.seed)
        if reduction is None or self.choice is None:
            return reduction
        columns = self.x.shape[1] + self.z.shape[1]
        count = len(self.valid[0])
        better = is_better(reduction, self.choice, columns, count, self.seed)
        return reduction if better else None

    @property
    def corrected(self) -> CorrectedNeighbours | None:
        """The density model with the residual of neighbours.

        None for too few pairs, and for dependent rows: it compares them with independent draws.
        """
        return self._corrected[0]

    @property
    def confirmed(self) -> bool:
        """Whether neighbours see no more than a density model of all columns, in few dimensions."""
        found = self.corrected
        size = self.x.shape[1] + self.z.shape[1]
        if found is None or self.reduction is not None or size > KSG_DIMENSIONS:
            return False
        if size <= RELIABLE_DIMENSIONS:
            return not found.incomplete
        return abs(found.kept_residual) <= MAX_RESIDUAL * (1 + found.information)

    @cached_property
    def _corrected(self) -> tuple[CorrectedNeighbours | None, float]:
        """The result, and the seconds of the computation."""
        with stopwatch() as seconds:
            pairs, given = (self.x, self.z), (self.neighbours, self.seed)
            found: CorrectedNeighbours | None = None
            if not self.dependent and self.reduction is not None:
                found = correct_reduced_neighbours(*pairs, self.reduction, *given)
            elif not self.dependent and (choice := self._choice_of_all) is not None:
                found = correct_neighbours(*pairs, choice, *given)
        return found, seconds()

    @property
    def _choice_of_all(self) -> ModelChoice | None:
        """The density model chosen on all pairs, by folds if they are few."""
        if len(self.x) > MAX_FOLDED:
            return self.choice
        return choose_model_by_folds(self.x, self.z, self.seed)

    @cached_property
    def is_function(self) -> bool:
        """Whether the ranks of z contain a linear function of those of x."""
        x, z = NormalScores.of(self.x)(self.x), NormalScores.of(self.z)(self.z)
        try:
            return is_function(x, z)
        except DataError:  # more coordinates than pairs
            return False

    def estimate(self, name: Literal["model", "model-ksg"]) -> Estimate:
        """Returns the information of the model, or also the residual of neighbours.

        Raises:
            DataError: There are too few pairs, or rows depend on one another.
        """
        found, seconds = self._corrected
        if found is None and self.dependent:
            raise DataError(f"'{name}' needs independent rows; leave it out, or omit the groups")
        if found is None:
            raise DataError(
                f"{len(self.x):,} pairs are too few for a density model of {self.x.shape[1]:,} + "
                f"{self.z.shape[1]:,} coordinates; provide more pairs"
            )
        interval = found.model_interval if name == "model" else found.interval
        estimate = Estimate(name, *interval, "neither", None, False, seconds)
        if name == "model":
            return estimate
        sampling = found.sampling_interval
        return replace(estimate, sampling_low=sampling.low, sampling_high=sampling.high)
