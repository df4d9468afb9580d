r"""Conditional mutual information of a density model, plus what nearest neighbours add, in nats.

.. math:: \hat I = I_q + \hat I_k(\text{data}) - \frac{1}{R} \sum_r \hat I_k(\text{draw}_r)

q is the `JointMixture` whose number of components predicts (x, z) given w best on held-out rows,
and :math:`I_q` its own conditional mutual information. :math:`\hat I_k` is the nearest-neighbour
estimate with k neighbours, of the data and of R sets of N draws from q. If q is the true density, the
difference removes the bias of :math:`\hat I_k`; if it is not, the neighbours correct :math:`I_q`.
Because the bias cancels, k can be larger, and the variance smaller, than without a model. If a small
k gives a significantly different estimate, the model is wrong at the scale of the larger
neighbourhoods: the small k is then used, and the interval is extended by the difference.

Shapes: N rows.
"""

__all__ = ["MAX_ROWS", "CorrectedNeighbours", "best_components", "few_rows"]

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import DataError
from ..gaussian_ratio import small_sample_bias
from ..intervals import Interval
from .joint_mixture import JointMixture
from .neighbours import neighbour_terms
from .samples import Samples

COMPONENTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
ROWS_PER_COMPONENT = 15
PATIENCE = 3  # numbers of components without an improvement before the search stops
MAX_FIT = 4_000  # rows for the choice of the number of components
MAX_ROWS = 4_000  # rows for nearest neighbours in more than MANY columns
MANY = 3
VALID_SHARE, MIN_VALID, MAX_VALID = 0.2, 100, 1_500
FEW_NEIGHBOURS = 3
STANDARD_ERRORS = 2.5  # by which the estimates with few and many neighbours must differ
DRAWS = 6  # sets of draws, R
MODEL_DRAWS = 50_000  # for the conditional mutual information of the model


@dataclass(frozen=True)
class CorrectedNeighbours:
    """The estimate and its parts, in nats.

    Attributes:
        interval: The estimate, with a 95 % interval of its sampling error.
        components: The number of components of the model.
        model: The conditional mutual information of the model.
        residual: What nearest neighbours add.
    """

    interval: Interval
    components: int
    model: float
    residual: float

    @classmethod
    def estimate(cls, samples: Samples, seed: int) -> "CorrectedNeighbours":
        """Estimates from samples whose continuous columns are normal scores.

        Raises:
            DataError: There are fewer than two rows per continuous column.
        """
        if 2 * samples.dimensions >= len(samples):
            raise DataError(
                f"{len(samples):,} rows are too few for {samples.dimensions:,} columns; provide "
                "more rows, or select fewer columns"
            )
        count = len(samples)
        valid = min(max(round(VALID_SHARE * count), min(MIN_VALID, count // 3)), MAX_VALID)
        order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
        components = best_components(samples, order, valid, seed)
        mixture = JointMixture.fit(samples, components, seed)
        model = float(mixture.log_ratios(mixture.draw(MODEL_DRAWS, seed + 1)).mean())
        if components == 1:  # the overfit of a Gaussian, too small for neighbours to correct
            widths = (part.continuous.shape[1] for part in (samples.w, samples.x, samples.z))
            given, *both = widths
            model -= small_sample_bias(len(samples) - given, *both)
        used = few_rows(samples, seed)
        draws = [mixture.draw(len(used), seed + 2 + number) for number in range(DRAWS)]
        many, few = (
            _Residual.of(used, draws, k) for k in (many_neighbours(len(used)), FEW_NEIGHBOURS)
        )
        # a difference means that the model is wrong within the larger neighbourhoods
        apart = few.value - many.value
        noise = float((few.drawn - many.drawn).std()) * math.sqrt(1 + 1 / DRAWS)
        differ = abs(apart) > STANDARD_ERRORS * noise
        residual = few if differ else many
        error = 1.96 * math.hypot(_standard_error(mixture.log_ratios(samples)), residual.error)
        value = model + residual.value
        below, above = (error + max(side, 0.0) if differ else error for side in (-apart, apart))
        return cls(
            Interval(value, value - below, value + above), components, model, residual.value
        )


@dataclass(frozen=True, eq=False)
class _Residual:
    """What nearest neighbours see beyond the model, in nats."""

    value: float
    drawn: Tensor  # nearest-neighbour estimates of draws from the model, (R,)

    @classmethod
    def of(cls, samples: Samples, draws: list[Samples], neighbours: int) -> "_Residual":
        drawn = torch.stack([neighbour_terms(draw, neighbours).mean() for draw in draws])
        return cls(float(neighbour_terms(samples, neighbours).mean() - drawn.mean()), drawn)

    @property
    def error(self) -> float:
        """The standard error, by the spread of the draws."""
        return float(self.drawn.std()) * math.sqrt(1 + 1 / DRAWS)


def many_neighbours(count: int) -> int:
    """Returns the number k of neighbours in N rows: 9 of 300, 16 of 1,000, 32 of 4,000."""
    return max(3, round(0.5 * math.sqrt(count)))


def best_components(samples: Samples, order: Tensor, size: int, seed: int) -> int:
    """Returns the number of components with the best held-out log q(x, z | w).

    Arguments:
        samples: N samples.
        order: The order of the rows, with shape (N,); the first are held out.
        size: The number of rows that are held out.
        seed: Seed of the mixtures.
    """
    valid, train = samples.rows(order[:size]), samples.rows(order[size:][:MAX_FIT])
    best, highest, failures = 1, -math.inf, 0
    for components in COMPONENTS:
        if components * ROWS_PER_COMPONENT > len(train) or failures >= PATIENCE:
            break
        mixture = JointMixture.fit(train, components, seed)
        score = float((mixture.log_prob(valid, "xzw") - mixture.log_prob(valid, "w")).mean())
        failures = 0 if score > highest else failures + 1
        if score > highest:
            best, highest = components, score
    return best


def few_rows(samples: Samples, seed: int) -> Samples:
    """Returns a random subset of rows if nearest neighbours of all would take too long."""
    if samples.dimensions <= MANY or len(samples) <= MAX_ROWS:
        return samples
    order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(seed))
    return samples.rows(order[:MAX_ROWS])


def _standard_error(terms: Tensor) -> float:
    return float(terms.std()) / math.sqrt(len(terms))
