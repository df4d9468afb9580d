"""Other packages that estimate mutual information, with their default settings."""

__all__ = ["PEERS", "Peer"]

import importlib.util
import os
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial

import torch

from cells import DRAWS, Record, timed
from mivae_cli.estimators.samplers import Sampler

MIST_HIDDEN = [128, 64]  # from the configuration of torch-mist; its function has no default


@dataclass(frozen=True)
class Peer:
    """A package and a function that measures with it."""

    package: str
    module: str
    measure: Callable[[Sampler, int, int], Record]
    single: bool = False  # whether x and z must have one coordinate

    @property
    def missing(self) -> str | None:
        """How to install the package if it is missing, else None."""
        if importlib.util.find_spec(self.module) is None:
            return f"not installed: pip install {self.package}"
        return None

    def applies(self, sampler: Sampler) -> bool:
        """Returns whether the package can estimate these pairs."""
        return not self.single or (sampler.x_dim, sampler.z_dim) == (1, 1)


def _scikit_learn(sampler: Sampler, pairs: int, seed: int) -> Record:
    """Measures the nearest-neighbour estimate of scikit-learn."""
    from sklearn.feature_selection import mutual_info_regression

    x, z = (side.numpy() for side in sampler.draw(pairs, DRAWS + seed))

    def values() -> Record:
        found = mutual_info_regression(x, z[:, 0], random_state=seed)
        return {"truth": sampler.mutual_information, "value": float(found[0])}

    return timed(values)


def _torch_mist(estimator: str, sampler: Sampler, pairs: int, seed: int) -> Record:
    """Measures an estimate of torch-mist on a held-out fifth of the pairs, in single precision.

    Its training uses a tenth of the other pairs for validation.
    """
    from torch_mist import estimate_mi

    x, z = (side.float() for side in sampler.draw(pairs, DRAWS + seed))
    rest = round(0.8 * pairs)
    torch.manual_seed(seed)

    def values() -> Record:
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
            found = estimate_mi(
                data={"x": x[:rest], "y": z[:rest]},
                test_data={"x": x[rest:], "y": z[rest:]},
                estimator=estimator,
                hidden_dims=MIST_HIDDEN,
                verbose=False,
            )
        return {"truth": sampler.mutual_information, "value": float(found[0])}

    return timed(values)


PEERS = {
    "scikit-learn": Peer("scikit-learn", "sklearn", _scikit_learn, single=True),
    "torch-mist smile": Peer("torch-mist", "torch_mist", partial(_torch_mist, "smile")),
    "torch-mist mine": Peer("torch-mist", "torch_mist", partial(_torch_mist, "mine")),
}
