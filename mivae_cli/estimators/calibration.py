r"""The dual that validation pairs allow: its dual variable, and how far from it scores may go.

The largest of M product pairs scores at most :math:`\ln M` above the log-mean-exp
:math:`\log Z` of all of them. A critic that goes farther on a pair claims what no validation pair
has shown, and of critics that tell apart encodings as sharp as an autoencoder's, the dual on other
pairs is then a number of any size and sign. So scores are clipped to

.. math:: |f - \log Z| \le \ln M.

The clipped critic is a critic: the dual stays a lower bound. Of as many other product pairs none
weighs more than one nat, and no figure exceeds :math:`\ln M + 1`, about 2 ln N for N validation
samples: no distribution-free bound could go much farther (McAllester & Stratos, 2020).

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
    """What validation pairs say of a critic, in nats."""

    log_partition: float  # log Z, of which log xi is the negative
    reach: float  # ln M

    @classmethod
    def of(cls, valid: ScoreSummary) -> "Calibration":
        """Reads it off all pairs of N >= 2 validation samples."""
        count = len(valid)
        return cls(float(valid.scores.log_partition), math.log(count * (count - 1)))

    @property
    def clip(self) -> tuple[float, float]:
        """The least and the highest score."""
        return self.log_partition - self.reach, self.log_partition + self.reach

    @property
    def ceiling(self) -> float:
        """The most that the dual can be."""
        return self.reach + 1

    def bound(self, scores: Scores) -> Tensor:
        """Returns the dual of other pairs, of which the product pairs are clipped already."""
        joint = scores.joint.clamp(*self.clip)
        return dual(scores._replace(joint=joint), -self.log_partition)
