r"""Distributions of pairs (x, z) whose mutual information is known, to measure estimates against.

A sampler draws independent pairs from q(x, z) and knows I(x; z) in nats: in closed form, or, for
mixtures, by integration. Where the density is at hand it also has the log-ratio

.. math:: \log \frac{q(x, z)}{q(x) \, q(z)}

of paired rows, whose mean over joint draws is the mutual information, and whose exponential has
mean 1 over independent draws of x and z. Maps that can be undone leave the information as it is
(`Transformed`), so that it is known for shapes far from normal.

Shapes: B pairs, X and Z dimensions of x and z, D = X + Z, K components of a mixture. Everything is
in double precision, and no draw touches the global random state.

References:
    | Beyond Normal: On the Evaluation of Mutual Information Estimators (Czyż et al., 2023), for
      most of the ready-made ones
    | On Variational Bounds of Mutual Information (Poole et al., 2019), for the cubed Gaussian
"""

__all__ = [
    "DESCRIPTIONS",
    "SAMPLERS",
    "CorrelatedGaussian",
    "DenseGaussian",
    "DiscreteChannel",
    "GaussianMixture",
    "Independent",
    "Sampler",
    "SparseGaussian",
    "StudentT",
    "Transformed",
    "UniformNoise",
    "asinh",
    "cube",
    "half_cube",
    "identity",
    "normal_cdf",
    "spiral",
    "swiss_roll",
]

from collections.abc import Mapping
from functools import partial

from .channels import DiscreteChannel, UniformNoise
from .elliptical import CorrelatedGaussian, DenseGaussian, Independent, SparseGaussian, StudentT
from .mixture import GaussianMixture
from .sampler import Sampler
from .transforms import (
    Transformed,
    asinh,
    cube,
    half_cube,
    identity,
    normal_cdf,
    spiral,
    swiss_roll,
)

_SIX_NATS = CorrelatedGaussian.of_information(20, 6.0)
_PAIR = CorrelatedGaussian(1, 0.75)

SAMPLERS: Mapping[str, Sampler] = {
    "independent": Independent(5, 5),
    "gaussian": _SIX_NATS,
    "cubic": Transformed(_SIX_NATS, of_z=cube),
    "dense": DenseGaussian(50, 50, correlation=0.5),
    "uniform-noise": UniformNoise(0.1),
    "half-cube": Transformed(_PAIR, half_cube, half_cube),
    "swiss-roll": Transformed(_PAIR, lambda x: swiss_roll(normal_cdf(x)), normal_cdf),
    "student-t": StudentT(5, 5, dof=2),
    "spiral": Transformed(
        SparseGaussian(3, 3, pairs=2, correlation=0.8),
        partial(spiral, plane=(0, 1), speed=1 / 3),
        partial(spiral, plane=(1, 2), speed=1 / 3),
    ),
    "mixture": GaussianMixture(
        weights=(0.25,) * 4,
        means=((-3.0, -1.0), (-1.0, 3.0), (1.0, -3.0), (3.0, 1.0)),
        covariances=(((0.25, 0.0), (0.0, 0.25)),) * 4,
    ),
    "channel": DiscreteChannel(
        tuple(tuple(0.2125 if i == j else 0.0125 for j in range(4)) for i in range(4))
    ),
}

DESCRIPTIONS: Mapping[str, str] = {
    "independent": "two standard normals of 5 dimensions that share nothing",
    "gaussian": "20 pairs of correlated normals",
    "cubic": "20 pairs of correlated normals, z cubed",
    "dense": "50 and 50 normals, any two of which have correlation 0.5",
    "uniform-noise": "x uniform on [0, 1], z = x + uniform noise of half-width 0.1",
    "half-cube": "a normal pair of correlation 0.75, both sides to the power 1.5, sign kept",
    "swiss-roll": "a normal pair of correlation 0.75 made uniform, x rolled up in the plane",
    "student-t": "a heavy-tailed 5 and 5: uncorrelated, yet large together",
    "spiral": "3 and 3 normals, 2 pairs of correlation 0.8, each side twisted",
    "mixture": "four round blobs in the plane: uncorrelated, yet dependent",
    "channel": "one of four symbols, received right 85 times in 100",
}
