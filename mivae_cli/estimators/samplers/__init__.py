r"""Distributions of pairs (x, z) with known mutual information, to test estimators.

A sampler draws independent pairs from q(x, z) and knows I(x; z) in nats: in closed form, or, for
mixtures, by numerical integration. Samplers with a known density also have the log-ratio

.. math:: \log \frac{q(x, z)}{q(x) \, q(z)}

of paired rows. Its mean over joint draws is the mutual information; the mean of its exponential over
independent draws of x and z is 1. Injective maps of x and of z do not change the mutual information
(`Transformed`), so it is also known for distributions that are far from normal.

>>> from mivae_cli.estimators import samplers
>>> sampler = samplers.Transformed(samplers.CorrelatedGaussian(dim=2, rho=0.8), of_z=samplers.cube)
>>> x, z = sampler.draw(1_000, seed=0)
>>> x.shape, z.shape, round(sampler.mutual_information, 2)
(torch.Size([1000, 2]), torch.Size([1000, 2]), 1.02)

`SAMPLERS` contains ready-made samplers by name; `DESCRIPTIONS` describes them.

Shapes: B pairs, X and Z dimensions of x and z, D = X + Z, K components of a mixture. Everything is
in double precision, and no draw changes the global random state.

References:
    | Beyond Normal: On the Evaluation of Mutual Information Estimators (Czyż et al., 2023), for
      most ready-made samplers
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
    "independent": "independent standard normals in 5 and 5 dimensions",
    "gaussian": "20 correlated normal pairs",
    "cubic": "20 correlated normal pairs, z cubed",
    "dense": "normals in 50 and 50 dimensions, all with correlation 0.5",
    "uniform-noise": "x uniform on [0, 1], z = x + uniform noise on [-0.1, 0.1]",
    "half-cube": "a normal pair with correlation 0.75, x and z mapped to sign(t) |t|^1.5",
    "swiss-roll": "a normal pair with correlation 0.75 mapped to uniform, x rolled up in the plane",
    "student-t": "Student t in 5 and 5 dimensions: heavy tails, uncorrelated but dependent",
    "spiral": "normals in 3 and 3 dimensions, 2 pairs with correlation 0.8, x and z twisted",
    "mixture": "four round clusters in the plane: uncorrelated but dependent",
    "channel": "one of four symbols, received correctly with probability 0.85",
}
