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

With heavy tails, a few product pairs may score so high that they make up all of Z, and every other
score lies far below :math:`\log Z`. If the dual of the validation pairs is therefore below that of
a constant critic, 0, scores are also clipped to the quantile of the joint scores with the largest
dual.

References:
    | Formal Limitations on the Measurement of Mutual Information (McAllester & Stratos, 2020)
"""

__all__ = ["MAX_LOSS", "Calibration"]

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from operator import itemgetter

from torch import Tensor

from .bounds import Scores, dual
from .score_matrix import ScoreSummary

MAX_LOSS = 0.1  # nats below 0, within the noise of a critic that has found nothing
QUANTILES = (1.0, 0.99, 0.98, 0.95, 0.9, 0.75, 0.5)  # of the joint scores


@dataclass(frozen=True)
class Calibration:
    """Scale and clipping range of the scores of a critic, in nats."""

    log_partition: float  # log Z = -log xi
    max_deviation: float  # ln M
    largest: float = math.inf  # score, if it is below log Z + ln M

    @classmethod
    def of(cls, valid: ScoreSummary) -> "Calibration":
        """Calibrates a critic on all pairs of N >= 2 validation samples."""
        count = len(valid)
        return cls(float(valid.scores.log_partition), math.log(count * (count - 1)))

    @classmethod
    def robust(
        cls, valid: ScoreSummary, clipped: Callable[[tuple[float, float]], ScoreSummary]
    ) -> "Calibration":
        """Calibrates a critic, or the critic below a limit if its dual is below 0.

        Arguments:
            valid: The scores of all pairs of N >= 2 validation samples.
            clipped: The same with product scores clipped to a range.
        """
        plain = cls.of(valid)
        value = float(plain.bound(valid.scores))
        if value >= -MAX_LOSS:
            return plain
        found = [(value, plain)]
        for limit in valid.joint.quantile(valid.joint.new_tensor(QUANTILES)).tolist():
            below = clipped((-math.inf, limit))
            limited = replace(cls.of(below), largest=limit)
            found.append((float(limited.bound(below.scores)), limited))
        return max(found, key=itemgetter(0))[1]

    @property
    def clip(self) -> tuple[float, float]:
        """The smallest and the largest score after clipping."""
        highest = min(self.log_partition + self.max_deviation, self.largest)
        return self.log_partition - self.max_deviation, highest

    @property
    def ceiling(self) -> float:
        """The largest possible value of the dual."""
        return self.clip[1] - self.log_partition + 1

    def bound(self, scores: Scores) -> Tensor:
        """Returns the dual on other pairs, whose product scores must be clipped already."""
        joint = scores.joint.clamp(*self.clip)
        return dual(scores._replace(joint=joint), -self.log_partition)
