r"""What all density models of pairs can do.

A density model q(x, z) is fitted to pairs. It gives the log-ratio
:math:`\log q(x, z) / (q(x) \, q(z))`, draws new pairs, and therefore knows its own mutual
information, the mean log-ratio of its draws.

Shapes: N pairs, M rows x, B columns z, X and Z coordinates, D = X + Z.
"""

__all__ = ["DRAWS", "PairModel", "matching_score"]

from typing import Protocol

from torch import Tensor

from ...choices import Transform
from ..bounds import infonce

DRAWS = 100_000  # for the mutual information of a model


class PairModel(Protocol):
    """A density of pairs of normal scores or of standardised coordinates."""

    @property
    def transform(self) -> Transform:
        """The map of each coordinate before the model."""

    def log_ratio(self, x: Tensor, z: Tensor) -> Tensor:
        """Returns the log-ratios of N pairs in nats, with shape (N,)."""

    def scores(self, x: Tensor, z: Tensor) -> Tensor:
        """Returns the log-ratios of x (M, X) against z (B, Z) in nats, with shape (M, B)."""

    def information(self, seed: int) -> float:
        """Returns the mutual information of the model in nats, exactly or from its own draws."""

    def unbiased_information(self, seed: int) -> float | None:
        """Returns the information of the source of the pairs, without the bias of the fit.

        None if the bias has no closed form.
        """

    def draw(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Returns new pairs: x (count, X) and z (count, Z)."""


def matching_score(model: PairModel, x: Tensor, z: Tensor) -> float:
    """Returns the symmetric InfoNCE of held-out pairs, in nats.

    It is the log-score of matching each x to its z and each z to its x, and thus a proper score:
    no model has a larger expectation than the true log-ratio.
    """
    scores = model.scores(x, z)
    return float(infonce(scores) + infonce(scores.T)) / 2
