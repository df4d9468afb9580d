"""The configuration of a run: read from TOML, stored as JSON in the run directory.

This module does not import torch, so that commands start quickly.
"""

__all__ = ["EvaluationConfig", "RunConfig"]

from typing import Annotated

from pydantic import Field

from ..limits import MAX_IW_SAMPLES, MAX_SEED
from ..objectives.objective import Objective
from ..schema import Frozen, Name, Text
from .data import DataConfig
from .model import ModelConfig
from .training import CriticConfig, TrainingConfig


class EvaluationConfig(Frozen):
    """Settings of the evaluation by train, eval and sweep."""

    iw_samples: Annotated[int, Field(ge=1, le=MAX_IW_SAMPLES)] = 100
    """Samples of z per sentence for the importance-weighted bound; published tables use 500."""
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 0
    """Random seed of evaluations, independent of the seed of training."""


class RunConfig(Frozen):
    """All settings of a run; with the version of the code, they determine its results."""

    name: Name = "default"
    """Name of the run, used in the name of its directory; by default the names of its presets."""
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 0
    """Random seed of training."""
    device: Text = "auto"
    """Device: auto, cpu, cuda, cuda:1 or mps; auto: a CUDA device if available, else the CPU."""
    data: DataConfig = DataConfig()
    """Corpus and tokenizer."""
    model: ModelConfig = ModelConfig()
    """Encoder, latent code and decoder."""
    objective: Objective = Objective()
    """The loss: D + beta T(R) - lambda I + gamma M."""
    critic: CriticConfig = CriticConfig()
    """Critic of the mutual-information term."""
    training: TrainingConfig = TrainingConfig()
    """Training loop."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """Evaluation of the run."""
