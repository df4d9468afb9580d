"""Other packages that estimate mutual information, with their default settings.

`latentmi` and `infomeasure` also give the terms whose mean is the estimate; the interval is their mean
plus or minus 1.96 standard errors, as a user would compute it.
"""

__all__ = ["PEERS", "Peer"]

import importlib.util
import math
import os
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cells import Record, timed

MIST_HIDDEN = [128, 64]  # from the configuration of torch-mist; its function has no default
Array = NDArray[Any]


@dataclass(frozen=True)
class Peer:
    """A package and a function that measures with it.

    Attributes:
        package: Its name in the registry.
        module: Its name in imports.
        measure: Measures x (N, X) and z (N, Z) with a seed.
        single: Whether x and z must have one column.
        labels: Whether it accepts labels, and codes.
        most: The largest number of rows that it is given here.
        seeds: The largest number of seeds.
    """

    package: str
    module: str
    measure: Callable[[Array, Array, str, int], Record]
    single: bool = False
    labels: bool = False
    most: int = 10_000
    seeds: int = 3

    @property
    def missing(self) -> str | None:
        """How to install the package if it is missing, else None."""
        if importlib.util.find_spec(self.module) is None:
            return f"not installed: pip install {self.package}"
        return None

    def applies(self, x_dim: int, z_dim: int, labels: str = "") -> bool:
        """Returns whether the package can estimate these pairs."""
        if labels and not self.labels:
            return False
        return not self.single or (x_dim, z_dim) == (1, 1)


def _mean_interval(terms: Array) -> Record:
    """Returns the mean of terms with a 95 % interval."""
    error = float(np.std(terms, ddof=1)) / math.sqrt(len(terms))
    mean = float(np.mean(terms))
    return {"value": mean, "ci": [mean - 1.96 * error, mean + 1.96 * error]}


def _scikit_learn(x: Array, z: Array, labels: str, seed: int) -> Record:
    """Measures the nearest-neighbour or plug-in estimate of scikit-learn."""
    from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

    def values() -> Record:
        codes = "x" in labels
        if "z" in labels:
            found = mutual_info_classif(x, z[:, 0], discrete_features=codes, random_state=seed)
        else:
            found = mutual_info_regression(x, z[:, 0], discrete_features=codes, random_state=seed)
        return {"value": float(found[0])}

    return timed(values)


def _infomeasure(x: Array, z: Array, labels: str, seed: int) -> Record:
    """Measures the nearest-neighbour estimate of infomeasure, or its Miller-Madow of codes."""
    import infomeasure

    def values() -> Record:
        np.random.seed(seed)  # the package draws its noise from the global state
        if labels == "xz":
            codes = (np.unique(side, axis=0, return_inverse=True)[1] for side in (x, z))
            return {"value": float(infomeasure.mutual_information(*codes, approach="mm"))}
        found = infomeasure.estimator(x, z, measure="mi", approach="ksg")
        return _mean_interval(np.asarray(found.local_vals()))

    return timed(values)


def _latentmi(x: Array, z: Array, labels: str, seed: int) -> Record:
    """Measures the estimate of latentmi, which is in bits, in nats.

    Half of the pairs train its networks, and the other half are used for the estimate.
    """
    if not hasattr(np, "NaN"):
        np.NaN = np.nan  # type: ignore[attr-defined]  # which the package reads, for NumPy 1
    from latentmi import lmi

    np.random.seed(seed)  # the package splits by the global state
    torch.manual_seed(seed)

    def values() -> Record:
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
            terms, *_ = lmi.estimate(x, z)
        return _mean_interval(math.log(2) * terms[np.isfinite(terms)])

    return timed(values)


def _torch_mist(estimator: str, x: Array, z: Array, labels: str, seed: int) -> Record:
    """Measures an estimate of torch-mist on a held-out fifth of the pairs, in single precision.

    Its training uses a tenth of the other pairs for validation.
    """
    from torch_mist import estimate_mi

    rest = round(0.8 * len(x))
    of_x, of_z = (torch.from_numpy(side).float() for side in (x, z))
    torch.manual_seed(seed)

    def values() -> Record:
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
            found = estimate_mi(
                data={"x": of_x[:rest], "y": of_z[:rest]},
                test_data={"x": of_x[rest:], "y": of_z[rest:]},
                estimator=estimator,
                hidden_dims=MIST_HIDDEN,
                verbose=False,
            )
        return {"value": float(found[0])}

    return timed(values)


def _quiet(measure: Callable[[Array, Array, str, int], Record]) -> Callable[..., Record]:
    """Returns a measurement without the warnings of the package."""

    def measured(x: Array, z: Array, labels: str, seed: int) -> Record:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return measure(x, z, labels, seed)

    return measured


PEERS = {
    "scikit-learn": Peer(
        "scikit-learn", "sklearn", _quiet(_scikit_learn), single=True, labels=True, most=100_000
    ),
    "infomeasure": Peer("infomeasure", "infomeasure", _quiet(_infomeasure)),
    "torch-mist smile": Peer("torch-mist", "torch_mist", _quiet(partial(_torch_mist, "smile"))),
    "latentmi": Peer("latentmi", "latentmi", _quiet(_latentmi), most=2_000, seeds=1),
    "torch-mist mine": Peer(
        "torch-mist", "torch_mist", _quiet(partial(_torch_mist, "mine")), seeds=1
    ),
}
