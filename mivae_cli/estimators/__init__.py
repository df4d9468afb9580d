"""Mutual information of any paired samples: estimators, bounds, and samplers to test them on.

`estimate_mutual_information` compares estimators and recommends one. `gaussian`,
`gaussian_copula` and `ksg` need no training and can be called alone. `bounds` and
`upper_bounds` turn scores of pairs into estimates; `samplers` draws pairs whose mutual
information is known.

>>> from mivae_cli.estimators import ksg, samplers
>>> sampler = samplers.CorrelatedGaussian(dim=1, rho=0.8)
>>> x, z = sampler.draw(2_000, seed=0)
>>> abs(ksg(x, z).value - sampler.mutual_information) < 0.05
True

Everything is in nats. Names load on first use, so that importing the package needs no torch.
"""

__all__ = [
    "Estimate",
    "FeatureRank",
    "Ranking",
    "Recommendation",
    "Report",
    "bounds",
    "estimate_mutual_information",
    "gaussian",
    "gaussian_copula",
    "ksg",
    "rank_features",
    "samplers",
    "upper_bounds",
]

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import bounds, samplers, upper_bounds
    from .estimate import estimate_mutual_information
    from .feature_ranks import FeatureRank, Ranking
    from .gaussian_estimators import gaussian, gaussian_copula
    from .nearest_neighbours import ksg
    from .ranking import rank_features
    from .report import Estimate, Recommendation, Report

# No module is called like a function: importing it would replace the function in this package.
_MODULES = {
    "Estimate": "report",
    "FeatureRank": "feature_ranks",
    "Ranking": "feature_ranks",
    "Recommendation": "report",
    "Report": "report",
    "estimate_mutual_information": "estimate",
    "gaussian": "gaussian_estimators",
    "gaussian_copula": "gaussian_estimators",
    "ksg": "nearest_neighbours",
    "rank_features": "ranking",
}


def __getattr__(name: str) -> object:
    """Imports a public name on first use."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name not in _MODULES:
        return import_module(f".{name}", __name__)
    found: object = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    return found
