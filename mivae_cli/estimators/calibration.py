r"""Dual variable and clipping range of a critic, chosen on validation pairs.

The largest of M product pairs scores at most :math:`\ln M` above their log-mean-exp
:math:`\log Z`. A score further away on other pairs extrapolates beyond all validation pairs. With
posteriors as narrow as an autoencoder's, such scores can give the dual any size and sign. Scores are
therefore clipped to

.. math:: |f - \log Z| \le \ln M.

The clipped critic is a valid critic, so the dual remains a lower bound. Among M other product
pairs, none contributes more than one nat, and the dual is at most :math:`\ln M + 1`, about 2 ln N
for N validation samples. No distribution-free lower bound can be much larger (McAllester &
Stratos, 2020).

References:
    | Formal Limitations on the Measurement of Mutual Information (McAllester & Stratos, 2020)
"""

__all__ = ["Calibration"]

import math
from dataclasses import dataclass

from torch import Tensor

from .bounds import Scores, dual
from .score_matrix import ScoreSummary


@dataclass(frozen=True)
class Calibration:
    """Scale and clipping range of the scores of a critic, in nats."""

    log_partition: float  # log Z = -log xi
    max_deviation: float  # ln M

    @classmethod
    def of(cls, valid: ScoreSummary) -> "Calibration":
        """Calibrates a critic on all pairs of N >= 2 validation samples."""
        count = len(valid)
        return cls(float(valid.scores.log_partition), math.log(count * (count - 1)))

    @property
    def clip(self) -> tuple[float, float]:
        """The smallest and the largest score after clipping."""
        return self.log_partition - self.max_deviation, self.log_partition + self.max_deviation

    @property
    def ceiling(self) -> float:
        """The largest possible value of the dual."""
        return self.max_deviation + 1

    def bound(self, scores: Scores) -> Tensor:
        """Returns the dual on other pairs, whose product scores must be clipped already."""
        joint = scores.joint.clamp(*self.clip)
        return dual(scores._replace(joint=joint), -self.log_partition)
