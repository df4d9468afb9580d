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
    "rank_features",
    "read_config",
    "report",
    "resume",
    "sweep",
    "train",
    "verify",
]

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import estimators
    from .api.codes import Codes
    from .api.configuration import config_template, list_presets, read_config
    from .api.experiments import compare, sweep, verify
    from .api.report import report
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
    from .estimators import estimate_mutual_information, rank_features
    from .generation.decoding import Decoding

__version__ = "0.1.0"

_MODULES = {
    "api.codes": ["Codes"],
    "api.configuration": ["config_template", "list_presets", "read_config"],
    "api.experiments": ["compare", "sweep", "verify"],
    "api.report": ["report"],
    "api.run": ["Run", "load"],
    "api.training": ["resume", "train"],
    "errors": [name for name in __all__ if name.endswith("Error")],
    "estimators": ["estimate_mutual_information", "rank_features"],
    "generation.decoding": ["Decoding"],
}


def __getattr__(name: str) -> object:
    """Imports a public name on first use."""
    if name == "estimators":
        return import_module(".estimators", __name__)
    for module, names in _MODULES.items():
        if name in names:
            _check_platform()
            found: object = getattr(import_module(f".{module}", __name__), name)
            globals()[name] = found
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Returns the public names, for completion."""
    return __all__


def _check_platform() -> None:
    """Raises ConfigError on a system without POSIX file locks, such as Windows.

    Crash-safe files also need directory syncing, hard links and `O_NOFOLLOW`, which the systems
    with these locks provide.
    """
    if find_spec("fcntl") is None:
        import sys

        from .errors import ConfigError

        raise ConfigError(
            f"mivae runs on Linux and macOS, not on {sys.platform}: on Windows, use WSL 2"
        )
