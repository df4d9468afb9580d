"""Text variational autoencoders with informative latent codes, and mutual-information estimates.

>>> import mivae_cli as mivae
>>> run = mivae.train("corpus.txt", presets=["mine"], settings=small, out="runs/first")
>>> len(run.sample(3, seed=0))
3

Public names are listed in `__all__` here and in `mivae_cli.estimators`. They are loaded on first
use, so importing the package is fast and does not import torch.
"""

__all__ = [
    "CheckpointError",
    "Codes",
    "ConfigError",
    "DataError",
    "Decoding",
    "DivergedError",
    "MivaeError",
    "Run",
    "StorageError",
    "__version__",
    "compare",
    "config_template",
    "estimate_mutual_information",
    "estimators",
    "list_presets",
    "load",
    "read_config",
    "resume",
    "sweep",
    "train",
    "verify",
]

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import estimators
    from .api.codes import Codes
    from .api.configuration import config_template, list_presets, read_config
    from .api.experiments import compare, sweep, verify
    from .api.run import Run, load
    from .api.training import resume, train
    from .errors import (
        CheckpointError,
        ConfigError,
        DataError,
        DivergedError,
        MivaeError,
        StorageError,
    )
    from .estimators import estimate_mutual_information
    from .generation.decoding import Decoding

__version__ = "0.1.0"

_MODULES = {
    "CheckpointError": "errors",
    "Codes": "api.codes",
    "ConfigError": "errors",
    "DataError": "errors",
    "Decoding": "generation.decoding",
    "DivergedError": "errors",
    "MivaeError": "errors",
    "Run": "api.run",
    "StorageError": "errors",
    "compare": "api.experiments",
    "config_template": "api.configuration",
    "estimate_mutual_information": "estimators",
    "list_presets": "api.configuration",
    "load": "api.run",
    "read_config": "api.configuration",
    "resume": "api.training",
    "sweep": "api.experiments",
    "train": "api.training",
    "verify": "api.experiments",
}


def __getattr__(name: str) -> object:
    """Imports a public name on first use."""
    if name == "estimators":
        return import_module(".estimators", __name__)
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import_module(".platforms", __name__).check_platform()
    found: object = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Returns the public names, for completion."""
    return __all__
