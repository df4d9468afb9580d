"""The valid names of settings and options, as literals; without torch, so that help is fast."""

from typing import Literal, get_args

from .errors import ConfigError, cut

Pooling = Literal["last", "mean", "max"]
FreeBitsScope = Literal["unit", "sentence-unit", "sentence", "batch"]
MIBound = Literal["dual", "known-posterior"]
TrainedPart = Literal["both", "encoder", "decoder"]  # that a training step updates

# Estimators of `estimate-mi`
EstimatorName = Literal[
    "dual",
    "mine",
    "dv",
    "nwj",
    "js",
    "tuba",
    "interpolated",
    "infonce",
    "smile",
    "leave-one-out",
    "club",
    "doe",
    "ksg",
    "gaussian",
    "copula",
    "model",
    "model-ksg",
]
Direction = Literal["lower", "upper", "neither"]
Profile = Literal["quick", "default", "thorough"]
Transform = Literal["rank", "standard", "asinh"]
Precision = Literal["auto", "float32", "bfloat16"]
Discrete = Literal["auto", "x", "z", "both", "none"]  # the variables whose columns are levels
Correction = Literal["bh", "by"]  # of p-values: Benjamini-Hochberg, Benjamini-Yekutieli
PairNetwork = Literal["separable", "bilinear", "concatenated"]

# Trackers of `train`, by their packages
TrackerName = Literal["tensorboard", "wandb", "trackio"]

# Distances of `neighbours` between posteriors
Distance = Literal["mean", "cosine", "bhattacharyya"]

# Maps of a corpus in two dimensions
MapMethod = Literal["pca", "umap"]

# Reading of text files
TextFormat = Literal["auto", "text", "json", "csv", "tsv"]
Quoting = Literal["auto", "minimal", "none"]
BadRows = Literal["stop", "skip"]


def check_choice(name: str, value: object, choices: object) -> None:
    """Raises ConfigError unless a value is one of the names of a Literal."""
    if value not in get_args(choices):
        names = ", ".join(get_args(choices))
        raise ConfigError(f"unknown {name} {cut(repr(value), 80)}: choose {names}")
