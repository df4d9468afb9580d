"""The names that settings and options choose among, for a help page that need not wait.

They stand apart from `config`, which costs the import of pydantic.
"""

__all__ = [
    "BadRows",
    "Direction",
    "Distance",
    "EstimatorName",
    "FreeBitsScope",
    "MIBound",
    "PairNetwork",
    "Pooling",
    "Precision",
    "Profile",
    "Quoting",
    "TextFormat",
    "TrainedPart",
    "Transform",
]

from typing import Literal

Pooling = Literal["last", "mean", "max"]
FreeBitsScope = Literal["unit", "sentence-unit", "sentence", "batch"]
MIBound = Literal["dual", "known-posterior"]
TrainedPart = Literal["both", "encoder", "decoder"]  # of a model, that a step moves

# What `estimate-mi` measures pairs with
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
]
Direction = Literal["lower", "upper", "neither"]
Profile = Literal["quick", "default", "thorough"]
Transform = Literal["rank", "standard", "asinh"]
Precision = Literal["auto", "float32", "bfloat16"]
PairNetwork = Literal["separable", "bilinear", "concatenated"]

# What `neighbours` measures between posteriors
Distance = Literal["mean", "cosine", "bhattacharyya"]

# How text files are read
TextFormat = Literal["auto", "text", "json", "csv", "tsv"]
Quoting = Literal["auto", "minimal", "none"]
BadRows = Literal["stop", "skip"]
